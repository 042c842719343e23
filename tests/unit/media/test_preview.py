"""Small pictures, looked at as pictures: sizes, colours, and limits."""

from __future__ import annotations

import base64
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kf2v_pipeline.errors import VideoError
from kf2v_pipeline.media.preview import (
    INLINE_LIMIT,
    LOOP_PICTURE_MS,
    LOOP_PICTURES,
    PreviewMaker,
    inline_strip,
    previews,
    shrink_frame,
)
from kf2v_pipeline.media.probe import probe

MakeFilm = Callable[..., Path]


def opened(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content))


def red_at(picture: Image.Image, x: int) -> int:
    return int(np.asarray(picture.convert("RGB"))[picture.height // 2, x, 0])


def test_the_poster_is_the_first_picture_no_larger_than_640_px(make_film: MakeFilm) -> None:
    picture = opened(previews(make_film("a.mp4", size=(1280, 720), frames=3)).poster)
    assert (picture.format, picture.size) == ("JPEG", (640, 360))
    assert red_at(picture, 320) < 20


def test_a_small_film_is_not_enlarged_for_its_poster(make_film: MakeFilm) -> None:
    assert opened(previews(make_film("a.mp4", size=(96, 64))).poster).size == (96, 64)


def test_the_strip_shows_first_quarters_and_last_side_by_side(make_film: MakeFilm) -> None:
    strip = opened(previews(make_film("a.mp4", size=(160, 120), frames=41)).strip)
    assert strip.size == (5 * 160, 120)
    reds = [red_at(strip, at * 160 + 80) for at in range(5)]
    assert reds == pytest.approx([0, 64, 128, 191, 255], abs=12)


def test_a_film_of_one_picture_has_a_strip_too(make_film: MakeFilm) -> None:
    assert opened(previews(make_film("a.mp4", size=(320, 180), frames=1)).strip).size == (5 * 213, 120)


def test_a_small_film_is_not_enlarged(make_film: MakeFilm) -> None:
    made = previews(make_film("a.mp4", size=(96, 64)))
    assert opened(made.strip).size == (5 * 96, 64)
    assert inlined(inline_strip(made.strip)).height <= 54


def test_a_wide_film_is_sharp_in_its_strip(make_film: MakeFilm) -> None:
    made = previews(make_film("a.mp4", size=(1600, 320)))
    assert opened(made.strip).size == (5 * 600, 120)
    assert opened(made.loop).size == (320, 64)


def durations(loop: Image.Image) -> list[int]:
    """How long each picture shows, in milliseconds; equal pictures that follow each other are one."""
    lengths = []
    for number in range(loop.n_frames):
        loop.seek(number)
        loop.load()
        lengths.append(loop.info["duration"])
    return lengths


def test_the_loop_shows_the_whole_course_of_the_film_in_few_small_pictures(make_film: MakeFilm) -> None:
    loop = opened(previews(make_film("a.mp4", size=(1280, 720), frames=60)).loop)
    assert (loop.format, loop.size, loop.info["loop"]) == ("WEBP", (320, 180), 0)
    assert red_at(loop, 160) < 20
    assert sum(durations(loop)) == LOOP_PICTURES * LOOP_PICTURE_MS
    assert red_at(loop, 160) > 235


def test_a_film_of_few_pictures_has_as_many_in_its_loop(make_film: MakeFilm) -> None:
    assert opened(previews(make_film("a.mp4", frames=3)).loop).n_frames == 3
    assert opened(previews(make_film("a.mp4", frames=1)).loop).n_frames == 1


def test_a_film_that_holds_less_than_its_index_says_ends_with_the_last_picture_that_is_there(
    make_film: MakeFilm,
) -> None:
    film = make_film("a.mp4", size=(160, 120), frames=41)
    content = film.read_bytes()
    film.write_bytes(content[: len(content) - len(content) // 6])
    strip = opened(previews(film).strip)
    assert red_at(strip, 4 * 160 + 80) > red_at(strip, 2 * 160 + 80)


def test_a_file_that_is_no_film_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no film")
    with pytest.raises(VideoError, match="does not decode"):
        previews(tmp_path / "a.mp4")


def inlined(markdown: str) -> Image.Image:
    start = "![](data:image/webp;base64,"
    assert markdown.startswith(start)
    return opened(base64.b64decode(markdown[len(start) : -1]))


def test_the_inline_strip_is_three_pictures_that_dagster_does_not_fold(make_film: MakeFilm) -> None:
    markdown = inline_strip(previews(make_film("a.mp4", size=(1280, 720))).strip)
    assert len(markdown) < INLINE_LIMIT
    picture = inlined(markdown)
    assert (picture.format, picture.size) == ("WEBP", (288, 54))
    assert red_at(picture, 48) < red_at(picture, 144) < red_at(picture, 240)


def test_the_inline_strip_of_a_portrait_keeps_its_shape(make_film: MakeFilm) -> None:
    picture = inlined(inline_strip(previews(make_film("a.mp4", size=(540, 960), frames=5)).strip))
    assert picture.height == 54
    assert picture.width == pytest.approx(3 * 54 * 540 / 960, abs=3)


def test_the_inline_strip_of_noise_shrinks_until_it_fits() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (120, 5 * 213, 3), np.uint8)
    buffer = BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=95)
    markdown = inline_strip(buffer.getvalue())
    assert len(markdown) < INLINE_LIMIT
    assert inlined(markdown).height <= 54


def frame(size: tuple[int, int], mode: str, suffix: str, **options: object) -> bytes:
    buffer = BytesIO()
    Image.new(mode, size, 120 if mode == "L" else None).save(buffer, suffix, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "suffix"), [("RGB", "PNG"), ("L", "PNG"), ("CMYK", "JPEG"), ("RGB", "WEBP"), ("P", "BMP")]
)
def test_a_frame_of_any_kind_shrinks_to_a_small_jpeg(mode: str, suffix: str) -> None:
    picture = opened(shrink_frame(frame((1200, 800), mode, suffix)))
    assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (480, 320))


def test_a_photograph_that_was_taken_sideways_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert opened(shrink_frame(frame((600, 400), "RGB", "JPEG", exif=exif))).size == (320, 480)


def test_a_frame_that_is_no_picture_is_refused() -> None:
    with pytest.raises(OSError, match="cannot identify"):
        shrink_frame(b"no picture")


def test_a_film_is_looked_at_and_its_pictures_are_made_in_one_pass(make_film: MakeFilm) -> None:
    film, maker = make_film("a.mp4", size=(160, 120), frames=41), PreviewMaker()
    assert probe(film, maker.see).frames == 41
    assert maker.made() == previews(film)


def test_a_film_that_no_picture_format_can_show_is_refused_like_one_that_is_no_film(make_film: MakeFilm) -> None:
    path, maker = make_film("a.mp4", size=(15360, 128)), PreviewMaker()
    assert probe(path, maker.see).frames == 10
    with pytest.raises(VideoError, match="can't be converted"):
        maker.made()
    with pytest.raises(VideoError, match="can't be converted"):
        previews(path)
