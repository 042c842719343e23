"""The checks tell films with a fault from good ones; ``python -m bench quality`` asks that of many more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from made_films import FAULTS, GOOD, Camera, MadeFilm, Studio, as_file, photograph, slow_pan, write_film

from kf2v_pipeline.domain.quality import CHECKS, flaws
from kf2v_pipeline.media.conformity import conformity_flaws
from kf2v_pipeline.media.likeness import compare_ends, edges_agree, ssim
from kf2v_pipeline.media.quality import Measured, Promise, measure_film
from kf2v_pipeline.media.reel import read_reel

STUDIO = Studio((320, 180), 90)
PROMISE = Promise(duration_s=3, fps=30, ratio=16 / 9, silent=True)


def measured(made: MadeFilm, folder: Path, promise: Promise = PROMISE) -> Measured:
    path = write_film(made, folder / "film.mp4")
    ratio = made.first.shape[1] / made.first.shape[0]
    return measure_film(
        path,
        promise=replace(promise, ratio=ratio),
        first_frame=as_file(made.first),
        last_frame=as_file(made.last),
    )


def found(made: MadeFilm, folder: Path) -> set[str]:
    return {flaw.check for flaw in flaws(measured(made, folder).quality)}


@pytest.mark.parametrize("seed", [3])
@pytest.mark.parametrize("kind", GOOD)
def test_a_good_film_has_no_flaw(kind: str, seed: int, tmp_path: Path) -> None:
    assert found(GOOD[kind](STUDIO, seed), tmp_path) == set()


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("check", FAULTS)
def test_a_fault_is_found(check: str, seed: int, tmp_path: Path) -> None:
    assert check in found(FAULTS[check](STUDIO, seed), tmp_path)


@pytest.mark.parametrize(
    ("check", "seed"),
    [
        pytest.param("cut", 18, id="a cut in the dark"),
        pytest.param("cut", 22, id="a cut while the camera shakes"),
        pytest.param("last_frame", 23, id="a squeezed frame with little at its sides"),
    ],
)
def test_a_fault_that_is_hard_to_see_is_found(check: str, seed: int, tmp_path: Path) -> None:
    studio = Studio((320, 180), 150)
    assert check in found(FAULTS[check](studio, seed), tmp_path)


def test_edges_agree_in_any_light_and_not_once_a_picture_is_squeezed() -> None:
    picture = cv2.resize(cv2.cvtColor(photograph(1), cv2.COLOR_BGR2GRAY), (128, 72), interpolation=cv2.INTER_AREA)
    squeezed = cv2.resize(picture[:, 16:-16], (128, 72))
    assert edges_agree(picture, picture // 4 + 60) > 0.98
    assert edges_agree(picture, squeezed) < 0.8
    assert edges_agree(np.full_like(picture, 16), np.full_like(picture, 16)) == pytest.approx(1)


def test_there_is_a_made_fault_for_every_check() -> None:
    assert FAULTS.keys() == CHECKS.keys()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fps": 24}, "24.00 pictures a second instead of 30"),
        ({"codec": "mpeg4"}, "mpeg4 instead of h264"),
        ({"pixel_format": "yuv444p"}, "not every player shows"),
        ({"has_sound": True}, "promised to be silent"),
    ],
)
def test_a_broken_promise_is_told_in_words(changes: dict[str, object], words: str, tmp_path: Path) -> None:
    made = replace(slow_pan(Studio((256, 144), 75), 0), **changes)  # type: ignore[arg-type]
    assert words in ", ".join(measured(made, tmp_path).broken_promises)


def test_another_length_and_another_shape_are_broken_promises(tmp_path: Path) -> None:
    path = write_film(slow_pan(Studio((256, 144), 60), 0), tmp_path / "film.mp4")
    told = conformity_flaws(read_reel(path), Promise(duration_s=5, ratio=3 / 4))
    assert len(told) == 2
    assert "2.00 s instead of 5" in told[0]
    assert "another shape" in told[1]


def test_a_model_that_promises_nothing_may_have_sound_and_any_rate(tmp_path: Path) -> None:
    made = replace(slow_pan(Studio((256, 144), 48), 0), fps=24, has_sound=True)
    path = write_film(made, tmp_path / "film.mp4")
    assert conformity_flaws(read_reel(path), Promise(duration_s=2)) == ()


@pytest.mark.parametrize("size", [(750, 1000), (1366, 768), (640, 640), (2000, 700), (1280, 720)])
def test_the_services_own_rounding_is_no_other_shape(size: tuple[int, int], tmp_path: Path) -> None:
    from kf2v_pipeline.domain.geometry import output_size  # noqa: PLC0415  # its only use here

    path = write_film(slow_pan(Studio(output_size(*size, "480P"), 15), 0), tmp_path / "film.mp4")
    assert conformity_flaws(read_reel(path), Promise(duration_s=0.5, fps=30, ratio=size[0] / size[1])) == ()


def test_a_file_that_is_no_film_has_only_flaws_of_conformity(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"<html>")
    told = measure_film(tmp_path / "film.mp4", promise=PROMISE)
    assert [flaw.check for flaw in flaws(told.quality)] == ["conformity"]
    assert told.quality.cuts is None


def test_a_film_that_is_cut_off_is_measured_as_far_as_it_goes(tmp_path: Path) -> None:
    with av.open(tmp_path / "film.mp4", "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 256, 144, "yuv420p"
        for picture in slow_pan(STUDIO, 1).pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    content = (tmp_path / "film.mp4").read_bytes()
    (tmp_path / "film.mp4").write_bytes(content[: len(content) * 2 // 3])
    told = measure_film(tmp_path / "film.mp4", promise=PROMISE)
    assert told.quality.conformity_flaws
    assert "damaged or missing" in told.broken_promises[0] or "no film" in told.broken_promises[0]


def test_without_frames_the_film_itself_is_measured_all_the_same(tmp_path: Path) -> None:
    path = write_film(slow_pan(STUDIO, 1), tmp_path / "film.mp4")
    quality = measure_film(path, promise=PROMISE).quality
    assert (quality.first_frame_ssim, quality.last_frame_ssim, quality.swap_margin) == (None, None, None)
    assert (quality.cuts, quality.flashes, quality.black_s) == (0, 0, 0.0)


def test_with_one_frame_alone_nothing_is_said_of_a_swap(tmp_path: Path) -> None:
    made = slow_pan(STUDIO, 1)
    path = write_film(made, tmp_path / "film.mp4")
    quality = measure_film(path, promise=PROMISE, first_frame=as_file(made.first), last_frame=b"no picture").quality
    assert quality.first_frame_ssim is not None
    assert quality.first_frame_ssim > 0.9
    assert (quality.last_frame_ssim, quality.swap_margin) == (None, None)


def test_a_picture_is_just_like_itself_and_two_dark_ones_are_not_alike() -> None:
    dark = [cv2.resize(cv2.cvtColor(photograph(n), cv2.COLOR_BGR2GRAY), (128, 72)) // 10 + 16 for n in (1, 9)]
    assert ssim(dark[0], dark[0]) == pytest.approx(1, abs=1e-4)
    assert ssim(dark[0], dark[1]) < 0.4


def test_a_frame_of_another_shape_is_compared_as_the_service_cuts_it() -> None:
    film = cv2.cvtColor(STUDIO.view(photograph(4), Camera()), cv2.COLOR_BGR2GRAY)
    pictures = np.stack([(film * 0.859 + 16).astype(np.uint8)] * 2)
    tall = cv2.copyMakeBorder(STUDIO.view(photograph(4), Camera()), 40, 40, 0, 0, cv2.BORDER_CONSTANT)
    likeness = compare_ends(pictures, as_file(tall), None)
    assert likeness.first is not None
    assert likeness.first > 0.9


def test_a_film_whose_colours_alone_change_does_not_stand_still(tmp_path: Path) -> None:
    """Blue becomes yellow, as bright as before."""
    pictures = [np.full((144, 256, 3), (230 - 2 * n, 90, 90 + n // 5), np.uint8) for n in range(90)]
    made = MadeFilm(pictures=pictures, first=pictures[0], last=pictures[-1])
    assert "frozen" not in found(made, tmp_path)
