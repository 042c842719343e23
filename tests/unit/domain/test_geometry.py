from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.geometry import STEP, TIER_AREA, output_size

SIDES = st.integers(360, 2000)
TIERS = st.sampled_from(sorted(TIER_AREA))


@pytest.mark.parametrize(
    ("frame", "resolution", "film"),
    [
        ((750, 1000), "720P", (816, 1104)),  # the vendor page's own example
        ((1280, 720), "720P", (1280, 720)),
        ((720, 1280), "720P", (720, 1280)),
        ((1920, 1080), "720P", (1280, 720)),
        ((1000, 1000), "720P", (960, 960)),
        ((832, 480), "480P", (832, 480)),
        ((1920, 1080), "1080P", (1920, 1072)),
    ],
)
def test_a_film_has_the_size_of_the_vendors_rule(
    frame: tuple[int, int], resolution: str, film: tuple[int, int]
) -> None:
    assert output_size(*frame, resolution) == film


@given(SIDES, SIDES, TIERS)
def test_both_sides_are_multiples_of_sixteen(width: int, height: int, resolution: str) -> None:
    assert [side % STEP for side in output_size(width, height, resolution)] == [0, 0]


@given(SIDES, SIDES, TIERS)
def test_a_film_never_has_more_pixels_than_its_resolution(width: int, height: int, resolution: str) -> None:
    wide, high = output_size(width, height, resolution)
    assert wide * high <= TIER_AREA[resolution]


@given(SIDES, SIDES, TIERS)
def test_a_side_is_less_than_a_step_shorter_than_the_exact_ratio_asks_for(
    width: int, height: int, resolution: str
) -> None:
    wide, high = output_size(width, height, resolution)
    area = TIER_AREA[resolution]
    assert wide**2 * height <= area * width < (wide + STEP) ** 2 * height
    assert high**2 * width <= area * height < (high + STEP) ** 2 * width


@given(SIDES, SIDES, TIERS)
def test_a_turned_frame_makes_a_turned_film(width: int, height: int, resolution: str) -> None:
    assert output_size(width, height, resolution) == output_size(height, width, resolution)[::-1]


def test_the_thinnest_frame_still_makes_a_film() -> None:
    assert min(output_size(1, 1_000_000, "480P")) == STEP


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, 0), (-1, 10)])
def test_a_frame_without_a_side_has_no_shape(width: int, height: int) -> None:
    with pytest.raises(ValueError, match="no shape"):
        output_size(width, height, "720P")


def test_a_resolution_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError):
        output_size(1280, 720, "8K")
