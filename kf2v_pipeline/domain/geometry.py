"""Sizes of pictures and films. Reading pictures belongs to ``media``."""

from __future__ import annotations

from math import isqrt

STEP = 16
"""Both sides of a film are multiples of this many pixels (vendor page, FAQ on the output's size)."""

TIER_AREA = {"480P": 832 * 480, "720P": 1280 * 720, "1080P": 1920 * 1080}
"""Pixels that a resolution aims at. 720P follows from the vendor's example (750x1000 gives 816x1104); the
others are inferred from the published model code and live reports, so a film's true size is always read from it."""


def output_size(width: int, height: int, resolution: str) -> tuple[int, int]:
    """Width and height in pixels that a film gets from a first frame of that size.

    The frame's ratio is kept, the area comes near the resolution's, and both sides are cut down to multiples of
    16 (vendor page, FAQ; rounding as in the published Wan 2.1 code). Integers only, so no float edge.

    Raises:
        KeyError: The resolution is unknown.
        ValueError: A side is not positive.
    """
    if width <= 0 or height <= 0:
        raise ValueError(f"a frame of {width}x{height} pixels has no shape")
    area = TIER_AREA[resolution]
    wide = isqrt(area * width // height)
    high = isqrt(area * height // width)
    return max(STEP, wide // STEP * STEP), max(STEP, high // STEP * STEP)
