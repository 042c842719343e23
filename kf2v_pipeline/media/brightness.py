"""How bright a film is over time: where it is black, and how much it trembles."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from kf2v_pipeline.media.reel import Luma

BLACK_LEVEL = 24.0
"""A picture is black where hardly a pixel (1 of 100) is brighter; 16 is black in a film, and encoders add a little."""

DARK_FRAME = 32.0
"""A frame whose brightest hundredth is darker is black itself, so that black pictures are what was asked for."""

REVERSALS = 6
"""Turns of the brightness within a second that make a flicker: three pairs of opposing changes, as ITU-R BT.1702
and the W3C's guidelines (2.3.1) count flashes."""

_SIDE_PX = 128
"""The longer side of the pictures whose brightness is compared."""

_LEAST_CERTAINTY = 0.05
"""How sure of a move OpenCV must be (its peak's share of all) for the move to be believed."""

_HALVINGS = 12
"""Steps of the search for the largest change: a four-thousandth of the film's range is near enough."""

Floats = NDArray[np.float64]
Picture = NDArray[np.float32]


def count_black(pictures: Luma) -> int:
    """How many pictures of a film are black; small pictures, at least one."""
    return int((_bright(pictures) <= BLACK_LEVEL).sum())


def is_black(picture: Luma) -> bool:
    """Whether a frame is so dark that a black picture is a likeness of it."""
    return bool(_bright(picture[None])[0] < DARK_FRAME)


def flicker(pictures: Luma, fps: float) -> float:
    """The largest change, in levels, that the brightness makes up and down three times within a second.

    A film that grows brighter or darker has no such turns, however fast it does so, and a flash has two of them. What
    a moving camera brings in or leaves behind does not count: each picture is compared where it overlaps the one
    before.
    """
    levels = _levels(pictures)
    window = max(REVERSALS + 1, round(fps) or 30)
    low, high = 0.0, float(np.ptp(levels))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _most_turns(levels, middle, window) >= REVERSALS else (low, middle)
    return low


def _levels(pictures: Luma) -> Floats:
    """How bright each picture is against the first one, with the camera's moves taken out."""
    height, width = pictures.shape[1:]
    scale = min(1.0, _SIDE_PX / max(width, height))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = [cv2.resize(each, size, interpolation=cv2.INTER_AREA).astype(np.float32) for each in pictures]
    window: Picture = np.asarray(cv2.createHanningWindow(size, cv2.CV_32F), np.float32)
    return np.cumsum([0.0, *(_brighter(a, b, window) for a, b in pairwise(small))])


def _brighter(before: Picture, after: Picture, window: Picture) -> float:
    """How much brighter the second of two pictures is where it shows what the first one does."""
    height, width = before.shape
    (right, down), certainty = cv2.phaseCorrelate(before.copy(), after.copy(), window)  # it writes into them
    if not (certainty >= _LEAST_CERTAINTY and abs(right) <= width / 4 and abs(down) <= height / 4):
        right = down = 0.0
    move = np.array([[1, 0, right], [0, 1, down]], np.float32)
    moved = cv2.warpAffine(before, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    x, y = int(abs(right)) + 1, int(abs(down)) + 1
    return float((after - moved)[y:-y, x:-x].mean())


def _most_turns(means: Floats, swing: float, window: int) -> int:
    """The most changes of at least a swing, each against the one before it, in any window of so many pictures."""
    turns = np.array(list(_turns(means, swing)))
    if not turns.size:
        return 0
    return int(max(np.searchsorted(turns, turns + window) - np.arange(len(turns))))


def _turns(means: Floats, swing: float) -> Iterator[int]:
    """Where the brightness has gone on by a swing from its last high or low, each in the other direction."""
    low = high = means[0]
    direction = 0
    for at, mean in enumerate(means):
        low, high = min(low, mean), max(high, mean)
        if direction <= 0 and mean - low >= swing > 0:
            direction, low, high = 1, mean, mean
            yield at
        elif direction >= 0 and high - mean >= swing > 0:
            direction, low, high = -1, mean, mean
            yield at


def _bright(pictures: Luma) -> Floats:
    """The brightest hundredth of each picture begins here, in levels."""
    return np.asarray(np.percentile(pictures.reshape(len(pictures), -1), 99, axis=1), np.float64)
