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

_COARSE_PX = 64
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
    """Whether the film jumps from each picture to the next one."""
    changes = np.array([_change(a, b) for a, b in pairwise(pictures)], np.float32)
    around = np.array([_around(changes, at) for at in range(len(changes))], np.float32)
    return np.asarray((changes >= JUMP_SHARE) & (changes >= JUMP_RATIO * around))


def _around(changes: Floats, at: int) -> float:
    """The third largest change around one: two more jumps near it, as of a flash, do not hide it."""
    near = np.concatenate([changes[max(0, at - NEIGHBOURS) : at], changes[at + 1 : at + 1 + NEIGHBOURS]])
    return float(np.sort(near)[-3]) if len(near) >= 3 else 0.0


def _change(a: Floats, b: Floats) -> float:
    """Mean difference of two pictures, as a share of the contrast of the one that has more."""
    contrast = max(float(a.std()), float(b.std()), _MIN_CONTRAST)
    return float(np.abs(a - b).mean()) / contrast
