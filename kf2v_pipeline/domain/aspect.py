"""The aspect that a person wants a film in, and the exact size that this gives. Making the cut belongs to ``media``."""

from __future__ import annotations

import re
from math import gcd
from typing import Literal, get_args

Fit = Literal["crop", "pad", "blur"]
"""How a film is brought to an aspect: what sticks out is cut off, bars are added, or a blurred copy of it is."""

FITS: tuple[Fit, ...] = get_args(Fit)
DEFAULT_FIT: Fit = "crop"

FIRST_FRAME = "first_frame"
"""The word for the aspect of the clip's own first frame."""

MAX_PART = 100
"""Largest number in an aspect that a person may write."""

MAX_SIDE_PX = 4096
"""Longest side of a cut: what H.264 players take (level 5.1)."""

_RATIO = re.compile(r"([0-9]{1,4})\s*:\s*([0-9]{1,4})")

_LOSS = 0.05
"""Share of a film's area that may go for an exact ratio of the first frame, where no aspect was written down."""


def read_aspect(text: str) -> str | None:
    """The aspect as a clip has it, reduced, such as ``9:16``; None where the text is none."""
    written = text.strip().lower()
    if written == FIRST_FRAME:
        return FIRST_FRAME
    match = _RATIO.fullmatch(written)
    if match is None:
        return None
    wide, high = int(match[1]), int(match[2])
    if not wide or not high:
        return None
    wide, high = _reduced(wide, high)
    return f"{wide}:{high}" if max(wide, high) <= MAX_PART else None


def cut_size(size: tuple[int, int], aspect: str, fit: Fit, *, first_frame: tuple[int, int]) -> tuple[int, int] | None:
    """Width and height of a film's cut: both even, and exactly in the aspect.

    For ``crop`` the largest such size within the film, for ``pad`` and ``blur`` the smallest one that holds all of it:
    no pixel of the film is scaled. For ``first_frame`` it is exact where that costs little, and else the nearest size
    that there is, since a frame of 1366x768 has no other size in its ratio.

    Args:
        size: The film's own, in pixels.
        aspect: As ``read_aspect`` gives it.
        first_frame: Size of the clip's first frame; zeros where it is not known.

    Returns:
        None where there is no such size: the film is too small, or the cut would be too large, or the frame's size is
        not known.
    """
    if aspect == FIRST_FRAME:
        if not all(first_frame):
            return None
        ratio = _reduced(*first_frame)
        exact = _exact_size(size, ratio, fit)
        if exact is not None and _is_near(exact, size, ratio, fit):
            return exact
        return _nearest_size(size, ratio, fit)
    wide, high = aspect.split(":")
    return _exact_size(size, (int(wide), int(high)), fit)


def _reduced(wide: int, high: int) -> tuple[int, int]:
    common = gcd(wide, high)
    return wide // common, high // common


def _exact_size(size: tuple[int, int], ratio: tuple[int, int], fit: Fit) -> tuple[int, int] | None:
    """The ratio's own multiple: an even one, since one number of a reduced ratio is odd."""
    if fit == "crop":
        times = min(size[0] // ratio[0], size[1] // ratio[1]) // 2 * 2
    else:
        times = -(-max(-(-size[0] // ratio[0]), -(-size[1] // ratio[1])) // 2) * 2
    found = ratio[0] * times, ratio[1] * times
    return found if times and max(found) <= MAX_SIDE_PX else None


def _is_near(exact: tuple[int, int], size: tuple[int, int], ratio: tuple[int, int], fit: Fit) -> bool:
    """Whether an exact size costs no more than a twentieth of what the ratio itself costs."""
    best = _nearest_size(size, ratio, fit)
    if best is None:
        return True
    area, goal = exact[0] * exact[1], best[0] * best[1]
    return area >= goal * (1 - _LOSS) if fit == "crop" else area <= goal * (1 + _LOSS)


def _nearest_size(size: tuple[int, int], ratio: tuple[int, int], fit: Fit) -> tuple[int, int] | None:
    """The even size whose ratio is nearest, by the side that stays as it is."""
    width, height = size
    keeps_height = (width * ratio[1] >= height * ratio[0]) == (fit == "crop")
    if keeps_height:
        found = _even(height * ratio[0] / ratio[1]), height
    else:
        found = width, _even(width * ratio[1] / ratio[0])
    if fit == "crop":
        found = min(found[0], width), min(found[1], height)
    else:
        found = max(found[0], width), max(found[1], height)
    return found if min(found) >= 2 and max(found) <= MAX_SIDE_PX else None


def _even(number: float) -> int:
    return max(2, round(number / 2) * 2)
