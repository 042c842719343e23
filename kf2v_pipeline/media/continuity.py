"""How a film goes on from picture to picture: where it stands still, where it jumps, and where it jumps back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from kf2v_pipeline.media.reel import Blocks, Luma, block_means

STILL_LEVELS = 1.0
"""How much a block of a picture may change, in levels, while it stands still: what an encoder does to a still."""

JUMP_SHARE = 0.2
"""The least change of a jump, as a share of the pictures' own contrast."""

JUMP_RATIO = 2.5
"""How many times the change around it a jump must be: that of a fast move is much the same from picture to picture."""

NEIGHBOURS = 6
"""Pictures on either side that a change is compared with."""

MAX_FLASH = 3
"""Pictures that break out of a film and are still a flash; more are two cuts."""

RETURN_SHARE = 0.5
"""How far the film may have moved on over a flash, as a share of the jump into it."""

BREAK = 0.05
"""The least loss of likeness of a jump, from 0 to 1, with the camera's shift taken out."""

BREAK_RATIO = 4.0
"""How many times the loss around it that of a jump must be. Good films reach 1.7, cuts hardly fall below 10."""

_COARSE_PX = 64
_MIN_DEVIATION = 1.25
"""Levels of contrast below which pictures have no likeness to lose, such as those of a film that comes out of black."""

_NOISE = 1.0
"""Variance that is noise, in square levels."""

_MIN_CONTRAST = 6.0
"""Levels of contrast that a picture is taken to have at least."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Continuity:
    """How a film goes on.

    Attributes:
        longest_freeze: Pictures in a row, counted after the first one, that show what the first of them shows.
        flashes: How often up to ``MAX_FLASH`` pictures break out of the film.
        cuts: How often it jumps and does not come back.
    """

    longest_freeze: int
    flashes: int
    cuts: int


def follow(pictures: Luma, colours: Blocks) -> Continuity:
    """Follows a film from its first picture to its last.

    Args:
        pictures: All of it, small; at least one.
        colours: The means of its colours by blocks, as ``reel`` gives them.
    """
    flashes, cuts = _count_jumps(_coarse(pictures))
    return Continuity(longest_freeze=_longest_freeze(pictures, colours), flashes=flashes, cuts=cuts)


def _longest_freeze(pictures: Luma, colours: Blocks) -> int:
    """The longest run in which no block differs from the run's first picture."""
    blocks = np.stack([np.vstack(both) for both in zip(_blocks(pictures), colours, strict=True)])
    longest = start = 0
    for at in range(1, len(blocks)):
        while start < at and float(np.abs(blocks[at] - blocks[start]).max()) > STILL_LEVELS:
            start += 1
        longest = max(longest, at - start)
    return longest


def _blocks(pictures: Luma) -> list[Blocks]:
    return [block_means(each, each.shape) for each in pictures]


def _coarse(pictures: Luma) -> Floats:
    height, width = pictures.shape[1:]
    scale = min(1.0, _COARSE_PX / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.stack([cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in pictures]).astype(np.float32)


def _count_jumps(pictures: Floats) -> tuple[int, int]:
    """Flashes and cuts."""
    flashes = cuts = 0
    waiting = [int(at) for at in np.flatnonzero(_jumps(pictures))]
    while waiting:
        at = waiting.pop(0)
        back = next((later for later in waiting if later - at <= MAX_FLASH and _returns(pictures, at, later)), None)
        if back is None:
            cuts += 1
        else:
            flashes += 1
            waiting = [later for later in waiting if later > back]
    return flashes, cuts


def _returns(pictures: Floats, at: int, back: int) -> bool:
    """Whether the picture after a break shows what the one before it does, as far as jumps go."""
    gone_on = _change(pictures[at], pictures[back + 1])
    return gone_on <= RETURN_SHARE * min(
        _change(pictures[at], pictures[at + 1]), _change(pictures[back], pictures[back + 1])
    )


def _jumps(pictures: Floats) -> NDArray[np.bool_]:
    """Whether the film jumps from each picture to the next one: in how it looks, or in what it shows.

    The first finds a flash, which may leave what is shown as it was; the second a cut in the dark, where there is
    little to change, and one while a hand shakes the camera, where all changes.
    """
    height, width = pictures.shape[1:]
    window = np.asarray(cv2.createHanningWindow((max(width, 2), max(height, 2)), cv2.CV_32F), np.float32)
    changes = np.array([_change(a, b) for a, b in pairwise(pictures)], np.float32)
    breaks = np.array([_break(a, b, window) for a, b in pairwise(pictures)], np.float32)
    return np.asarray(_stand_out(changes, JUMP_SHARE, JUMP_RATIO) | _stand_out(breaks, BREAK, BREAK_RATIO))


def _stand_out(values: Floats, least: float, ratio: float) -> NDArray[np.bool_]:
    """Which values are large by themselves and against those around them."""
    around = np.array([_around(values, at) for at in range(len(values))], np.float32)
    return np.asarray((values >= least) & (values >= ratio * around))


def _around(changes: Floats, at: int) -> float:
    """The third largest change around one: two more jumps near it, as of a flash, do not hide it."""
    near = np.concatenate([changes[max(0, at - NEIGHBOURS) : at], changes[at + 1 : at + 1 + NEIGHBOURS]])
    return float(np.sort(near)[-3]) if len(near) >= 3 else 0.0


def _change(a: Floats, b: Floats) -> float:
    """Mean difference of two pictures, as a share of the contrast of the one that has more."""
    contrast = max(float(a.std()), float(b.std()), _MIN_CONTRAST)
    return float(np.abs(a - b).mean()) / contrast


def _break(a: Floats, b: Floats, window: Floats) -> float:
    """How little of what one picture shows the next one still shows, wherever the camera has shifted it: 0 to 1.

    One less the correlation, so that light does not matter.
    """
    if a.shape != window.shape or min(float(a.std()), float(b.std())) < _MIN_DEVIATION:
        return 0.0
    height, width = a.shape
    (right, down), _ = cv2.phaseCorrelate(a.copy(), b.copy(), window)  # it writes into them
    shifts = [(0.0, 0.0), (right, down)] if abs(right) <= width / 4 and abs(down) <= height / 4 else [(0.0, 0.0)]
    return min(1 - _correlation(a, b, *shift) for shift in shifts)


def _correlation(a: Floats, b: Floats, right: float, down: float) -> float:
    """Of two pictures where they overlap once the first is shifted by so many pixels."""
    height, width = a.shape
    move = np.array([[1, 0, right], [0, 1, down]], np.float32)
    moved = cv2.warpAffine(a, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    x, y = int(np.ceil(abs(right))), int(np.ceil(abs(down)))
    one, other = (each[y : height - y, x : width - x] for each in (moved, b))
    one, other = one - one.mean(), other - other.mean()
    spread = np.sqrt((float(np.square(one).mean()) + _NOISE) * (float(np.square(other).mean()) + _NOISE))
    return (float((one * other).mean()) + _NOISE) / float(spread)
