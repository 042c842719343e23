"""Probing real films, and files that are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kf2v_pipeline.errors import VideoError
from kf2v_pipeline.media.fit import film_size
from kf2v_pipeline.media.preview import previews
from kf2v_pipeline.media.probe import Film, probe
from kf2v_pipeline.media.reel import read_reel

MakeFilm = Callable[..., Path]


def test_a_film_is_described_by_what_is_in_it(make_film: MakeFilm) -> None:
    path = make_film("a.mp4", size=(96, 64), frames=15, fps=30)
    assert probe(path) == Film(
        width=96,
        height=64,
        fps=30.0,
        frames=15,
        duration_s=0.5,
        codec="h264",
        pixel_format="yuv420p",
        has_audio=False,
        size_bytes=path.stat().st_size,
    )


def test_sound_is_noticed(make_film: MakeFilm) -> None:
    assert probe(make_film("a.mp4", sound=True)).has_audio


def test_a_file_that_is_no_mp4_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "a.mp4"
    page.write_text("<html>the address has expired</html>")
    with pytest.raises(VideoError, match="no MP4"):
        probe(page)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(VideoError, match="no MP4"):
        probe(tmp_path / "a.mp4")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="No such file"):
        probe(tmp_path / "a.mp4")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 1, exclude_max=True))
def test_a_film_that_is_cut_off_anywhere_is_refused(make_film: MakeFilm, tmp_path: Path, part: float) -> None:
    whole = tmp_path / "whole.mp4"
    if not whole.exists():
        make_film("whole.mp4")
    content = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(VideoError):
        probe(cut)


def test_a_download_that_broke_off_says_how_much_is_there(make_film: MakeFilm) -> None:
    path = make_film("a.mp4")
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(VideoError, match=f"cut off: it has {len(content) - 100} of {len(content)} bytes"):
        probe(path)


def test_bytes_that_follow_the_film_do_no_harm(make_film: MakeFilm) -> None:
    path = make_film("a.mp4", frames=10)
    with path.open("ab") as file:
        file.write(b"\xff\xff\xff\xfftail of no box")
    assert probe(path).frames == 10


def test_a_film_with_damaged_pictures_is_refused(make_film: MakeFilm) -> None:
    path = make_film("a.mp4", frames=30)
    content = bytearray(path.read_bytes())
    pictures = content.index(b"mdat") + 4
    for at in range(pictures + (len(content) - pictures) // 2, len(content), 3):
        content[at] ^= 0x5A
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"damaged|does not decode"):
        probe(path)


def test_a_file_with_sound_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(path, "w", format="mp4") as container:
        tones = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        container.mux(tones.encode(silence))
        container.mux(tones.encode())
    with pytest.raises(VideoError, match="no video stream"):
        probe(path)


def test_a_film_whose_tags_are_no_utf_8_is_like_any_other(make_film: MakeFilm) -> None:
    path = make_film("a.mp4", frames=10)
    content = path.read_bytes()
    assert content.count(b"Lavf") == 1  # the tag "encoder"
    path.write_bytes(content.replace(b"Lavf", "标识".encode("gbk")))
    with pytest.raises(UnicodeDecodeError), av.open(path):
        pass
    assert probe(path).frames == 10
    assert len(read_reel(path).pictures) == 10
    assert previews(path).poster
    assert film_size(path) == (96, 64)
