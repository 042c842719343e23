"""Pictures on their way in."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.localserver.render import RenderError, output_size
from kf2v_pipeline.localserver.render.picture import AREA, cover, decode_picture, to_planes

sides = st.integers(240, 8000)
resolutions = st.sampled_from(sorted(AREA))


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (750, 1000, (816, 1104)),  # the vendor's own example
        (1280, 720, (1280, 720)),
        (720, 1280, (720, 1280)),
        (1000, 1000, (960, 960)),
        (800, 1000, (848, 1072)),
    ],
)
def test_the_size_at_720p_is_the_vendors(width, height, expected):
    assert output_size(width, height, "720P") == expected


@given(sides, sides, resolutions)
def test_both_sides_are_multiples_of_16(width, height, resolution):
    assert all(side % 16 == 0 and side > 0 for side in output_size(width, height, resolution))


@given(sides, sides, resolutions)
def test_the_area_never_passes_the_resolutions(width, height, resolution):
    wide, high = output_size(width, height, resolution)
    assert wide * high <= AREA[resolution]


@given(sides, sides, resolutions)
def test_a_picture_on_its_side_makes_a_film_on_its_side(width, height, resolution):
    assert output_size(height, width, resolution) == output_size(width, height, resolution)[::-1]


@given(sides, sides, st.integers(2, 5), resolutions)
def test_only_the_ratio_counts(width, height, times, resolution):
    assert output_size(width * times, height * times, resolution) == output_size(width, height, resolution)


@pytest.mark.parametrize(("width", "height", "resolution"), [(0, 100, "720P"), (100, -1, "720P"), (100, 100, "4K")])
def test_a_size_without_sense_is_refused(width, height, resolution):
    with pytest.raises(RenderError):
        output_size(width, height, resolution)


@pytest.mark.parametrize("kind", [".jpg", ".png", ".webp", ".bmp"])
def test_the_vendors_formats_are_read(kind):
    picture = np.full((40, 60, 3), (30, 120, 210), np.uint8)
    decoded = decode_picture(bytes(cv2.imencode(kind, picture)[1]), "first")
    assert decoded.shape == (40, 60, 3)
    assert np.abs(decoded.astype(int) - picture).max() <= 4


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(RenderError, match="first frame"):
        decode_picture(data, "first")


@given(st.integers(20, 90), st.integers(20, 90), st.sampled_from([(32, 48), (48, 32), (64, 64)]))
def test_covering_fills_the_size_exactly(width, height, size):
    assert cover(np.zeros((height, width, 3), np.uint8), *size).shape == (size[1], size[0], 3)


def test_covering_cuts_evenly_on_both_sides():
    picture = np.zeros((10, 40, 3), np.uint8)
    picture[:, 15:25] = 255
    assert cover(picture, 10, 10).min() == 255


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((0, 0, 0), (16, 128, 128)),
        ((255, 255, 255), (235, 128, 128)),
        ((0, 0, 255), (63, 102, 240)),
        ((255, 0, 0), (32, 240, 118)),
    ],
)
def test_colours_become_those_of_bt709(colour, expected):
    """The figures of ITU-R BT.709 for 8 bit, from blue, green, red."""
    planes = to_planes(np.full((4, 4, 3), colour, np.uint8))
    assert tuple(int(plane[0, 0]) for plane in planes) == expected
