"""The aspect that a person writes, and the exact size that a cut of a film gets by it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.aspect import FITS, MAX_SIDE_PX, cut_size, read_aspect

UNKNOWN = (0, 0)

sides = st.integers(8, 120).map(lambda steps: steps * 16)
ratios = st.tuples(st.integers(1, 32), st.integers(1, 32))


@pytest.mark.parametrize(
    ("text", "aspect"),
    [
        ("9:16", "9:16"),
        (" 09 : 16 ", "9:16"),
        ("1080:1920", "9:16"),
        ("First_Frame", "first_frame"),
        ("9x16", None),
        ("0:16", None),
        ("2.39:1", None),
        ("1366:768", None),
        ("wide", None),
        ("", None),
    ],
)
def test_an_aspect_is_two_whole_numbers_or_the_word_for_the_first_frames(text: str, aspect: str | None) -> None:
    assert read_aspect(text) == aspect


@pytest.mark.parametrize(
    ("size", "aspect", "crop", "padded"),
    [
        ((816, 1104), "9:16", (612, 1088), (828, 1472)),
        ((816, 1104), "3:4", (816, 1088), (828, 1104)),
        ((816, 1104), "4:5", (816, 1020), (888, 1110)),
        ((816, 1104), "1:1", (816, 816), (1104, 1104)),
        ((1280, 720), "9:16", (396, 704), (1296, 2304)),
        ((1280, 720), "3:4", (540, 720), (1284, 1712)),
        ((1280, 720), "4:5", (576, 720), (1280, 1600)),
        ((1280, 720), "1:1", (720, 720), (1280, 1280)),
        ((1280, 720), "16:9", (1280, 720), (1280, 720)),
    ],
)
def test_cuts_of_the_services_sizes(
    size: tuple[int, int], aspect: str, crop: tuple[int, int], padded: tuple[int, int]
) -> None:
    assert cut_size(size, aspect, "crop", first_frame=UNKNOWN) == crop
    assert cut_size(size, aspect, "pad", first_frame=UNKNOWN) == padded
    assert cut_size(size, aspect, "blur", first_frame=UNKNOWN) == padded


@given(width=sides, height=sides, ratio=ratios, fit=st.sampled_from(FITS))
def test_a_cut_is_even_exact_and_the_tightest(width: int, height: int, ratio: tuple[int, int], fit) -> None:
    aspect = read_aspect(f"{ratio[0]}:{ratio[1]}")
    assert aspect is not None
    wide, high = map(int, aspect.split(":"))
    found = cut_size((width, height), aspect, fit, first_frame=UNKNOWN)
    if found is None:
        assert max(width * high, height * wide) > MAX_SIDE_PX * min(wide, high) * 0.9 or min(width, height) < 64
        return
    assert found[0] % 2 == found[1] % 2 == 0
    assert found[0] * high == found[1] * wide
    step = (2 * wide, 2 * high)
    if fit == "crop":
        assert found[0] <= width
        assert found[1] <= height
        assert found[0] + step[0] > width or found[1] + step[1] > height
    else:
        assert found[0] >= width
        assert found[1] >= height
        assert found[0] - step[0] < width or found[1] - step[1] < height


def test_the_first_frames_own_aspect_is_exact_where_that_costs_little() -> None:
    assert cut_size((816, 1104), "first_frame", "crop", first_frame=(750, 1000)) == (816, 1088)
    assert cut_size((1280, 704), "first_frame", "crop", first_frame=(1280, 720)) == (1248, 702)


def test_the_first_frames_own_aspect_is_the_nearest_size_where_it_has_no_other() -> None:
    assert cut_size((1280, 704), "first_frame", "crop", first_frame=(1366, 768)) == (1252, 704)
    assert cut_size((1280, 704), "first_frame", "pad", first_frame=(1366, 768)) == (1280, 720)


@given(width=sides, height=sides, frame=st.tuples(st.integers(240, 8000), st.integers(240, 8000)))
def test_a_crop_to_the_first_frame_lies_within_the_film(width: int, height: int, frame: tuple[int, int]) -> None:
    found = cut_size((width, height), "first_frame", "crop", first_frame=frame)
    assert found is not None
    assert found[0] <= width
    assert found[1] <= height
    assert found[0] % 2 == found[1] % 2 == 0


def test_without_the_frames_size_its_aspect_gives_no_cut() -> None:
    assert cut_size((1280, 720), "first_frame", "crop", first_frame=UNKNOWN) is None


def test_a_cut_that_would_be_too_large_is_none() -> None:
    assert cut_size((1280, 720), "1:9", "pad", first_frame=UNKNOWN) is None
