"""Cuts of real films: their size, their pictures, and all that must come through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from made_films import Studio, slow_pan, write_film

from kf2v_pipeline.domain.aspect import cut_size
from kf2v_pipeline.errors import StorageError, VideoError
from kf2v_pipeline.media.fit import Way, film_size, fit_film, read_tags

MakeFilm = Callable[..., Path]

LABEL = '{"Label":"1","ContentProducer":"someone"}'
TALL, WIDE = (816, 1104), (1280, 720)


@pytest.fixture(scope="module", params=[TALL, WIDE], ids=["816x1104", "1280x720"])
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few pictures in a size that the service makes, with its label in the file."""
    folder = tmp_path_factory.mktemp("films")
    bare = write_film(slow_pan(Studio(request.param, 3), 1), folder / "bare.mp4")
    return labelled(bare, folder / "film.mp4")


def labelled(bare: Path, path: Path) -> Path:
    with av.open(bare) as source, av.open(path, "w", options={"movflags": "use_metadata_tags"}) as target:
        target.metadata.update({"AIGC": LABEL, "comment": "made by a model"})
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return path


def pictures(path: Path) -> list[Any]:
    """The brightness of every picture."""
    with av.open(path) as film:
        return [frame.to_ndarray(format="yuv420p")[: frame.height] for frame in film.decode(video=0)]


def psnr(a: Any, b: Any) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((a.astype(float) - b) ** 2), 1e-9)))


def cut(film: Path, target: Path, aspect: str, fit: Any) -> tuple[Way, tuple[int, int]]:
    size = cut_size(film_size(film), aspect, fit, first_frame=(0, 0))
    assert size is not None
    return fit_film(film, target, size=size, fit=fit), size


@pytest.mark.parametrize("fit", ["crop", "pad", "blur"])
@pytest.mark.parametrize("aspect", ["9:16", "3:4", "4:5", "1:1"])
def test_a_cut_is_exact_to_the_pixel_and_shows_the_film_in_its_middle(
    film: Path, tmp_path: Path, aspect: str, fit: str
) -> None:
    path = tmp_path / "cut.mp4"
    _, size = cut(film, path, aspect, fit)
    wide, high = map(int, aspect.split(":"))
    assert film_size(path) == size
    assert size[0] * high == size[1] * wide
    raw, made = pictures(film), pictures(path)
    assert len(made) == len(raw)
    assert made[0].shape == (size[1], size[0])
    inner, outer = (made, raw) if fit == "crop" else (raw, made)
    height, width = inner[0].shape
    left, top = (outer[0].shape[1] - width) // 4 * 2, (outer[0].shape[0] - height) // 4 * 2
    shown = [each[top : top + height, left : left + width] for each in outer]
    assert min(psnr(a, b) for a, b in zip(shown, inner, strict=True)) > 38


def test_what_only_leaves_out_rows_is_not_encoded_anew(tmp_path: Path) -> None:
    film = write_film(slow_pan(Studio(TALL, 3), 2), tmp_path / "film.mp4")
    way, size = cut(film, tmp_path / "cut.mp4", "3:4", "crop")
    assert (way, size) == (Way.LOSSLESS, (816, 1088))
    raw, made = pictures(film), pictures(tmp_path / "cut.mp4")
    assert all(np.array_equal(b, a[8:1096]) for a, b in zip(raw, made, strict=True))


def test_a_film_whose_header_crops_already_is_cut_without_encoding_too(tmp_path: Path) -> None:
    """1080 rows are stored as 1088, of which the header leaves out eight."""
    film = write_film(slow_pan(Studio((240, 184), 6), 2), tmp_path / "film.mp4")
    assert fit_film(film, tmp_path / "cut.mp4", size=(240, 180), fit="crop") is Way.LOSSLESS
    raw, made = pictures(film), pictures(tmp_path / "cut.mp4")
    assert all(np.array_equal(b, a[2:182]) for a, b in zip(raw, made, strict=True))


@pytest.mark.parametrize(("aspect", "fit"), [("3:4", "crop"), ("9:16", "crop"), ("1:1", "blur")])
def test_the_label_the_colours_and_the_timing_come_through(film: Path, tmp_path: Path, aspect: str, fit: str) -> None:
    path = tmp_path / "cut.mp4"
    cut(film, path, aspect, fit)
    tags = read_tags(path)
    assert (tags["AIGC"], tags["comment"]) == (LABEL, "made by a model")
    with av.open(film) as raw, av.open(path) as made:
        for name in ("color_range", "colorspace", "color_primaries", "color_trc", "pix_fmt"):
            before, after = (getattr(each.streams.video[0].codec_context, name) for each in (raw, made))
            assert after == before, name
        times = [[frame.time for frame in each.decode(video=0)] for each in (raw, made)]
    assert times[0] == pytest.approx(times[1])


@pytest.mark.parametrize("size", [(96, 48), (32, 64)], ids=["lossless", "encoded"])
def test_sound_is_copied(make_film: MakeFilm, tmp_path: Path, size: tuple[int, int]) -> None:
    film = make_film("film.mp4", sound=True)
    fit_film(film, tmp_path / "cut.mp4", size=size, fit="crop")

    def sound(path: Path) -> list[bytes]:
        with av.open(path) as opened:
            return [bytes(packet) for packet in opened.demux(audio=0) if packet.dts is not None]

    assert sound(tmp_path / "cut.mp4") == sound(film) != []


def test_what_is_no_film_is_refused(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"<html>")
    with pytest.raises(VideoError, match="can't be cut"):
        fit_film(tmp_path / "film.mp4", tmp_path / "cut.mp4", size=(16, 16), fit="pad")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_a_full_disk_is_no_flaw_of_the_film(film: Path, fit: Any) -> None:
    with pytest.raises(StorageError, match=r"^Storage /dev/full: No space left on device; make room there and run ag"):
        cut(film, Path("/dev/full"), "1:1", fit)
