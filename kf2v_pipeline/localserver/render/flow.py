"""Dense motion between two small luma pictures, and what can be done with it. What moves together belongs elsewhere."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from .picture import Bytes, Floats
from .warp import grid, sample


class DenseFlow(Protocol):
    """Anything that finds dense motion; a learned one may take the place of the default."""

    def __call__(self, first: Bytes, last: Bytes, *, near: bool) -> Floats:
        """For each pixel of the first picture, how far away ``(x, y)`` the last one shows the same.

        Args:
            first: Luma.
            last: Luma of the same size.
            near: The motion is known to be small: look no farther than about sixteen pixels.
        """
        ...


def dis_flow(first: Bytes, last: Bytes, *, near: bool) -> Floats:
    """Motion by dense inverse search, which needs no weights."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    search.setPatchStride(4)
    search.setVariationalRefinementIterations(0)  # it blurs motion across edges
    search.setCoarsestScale(2 if near else -1)
    still = np.zeros((*first.shape, 2), np.float32)
    if min(first.shape) < 64:  # too small for its coarsest patches
        return still
    return np.asarray(search.calc(first, last, still))


def consistency(there: Floats, back: Floats, tolerance: float) -> Floats:
    """1 where a motion and the motion back cancel out, towards 0 as they miss by more pixels than the tolerance."""
    height, width = there.shape[:2]
    missed = there + sample(back, grid(width, height) + there)
    return np.asarray(np.exp(-np.square(missed).sum(axis=2) / tolerance**2))


def filled(field: Floats, trust: Floats) -> Floats:
    """The field where it is trusted, smoothly carried on from there into the rest.

    Args:
        field: ``(height, width, 2)``.
        trust: ``(height, width)``, 0 to 1.
    """
    sums = [(field * trust[..., None], trust)]
    while sums[-1][1].size > 1:
        total, weight = sums[-1]
        size = ((weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2)
        sums.append(
            (
                cv2.resize(total, size, interpolation=cv2.INTER_AREA),
                cv2.resize(weight, size, interpolation=cv2.INTER_AREA),
            )
        )
    total, weight = sums[-1]
    result = total / np.maximum(weight, 1e-6)[..., None]
    for total, weight in reversed(sums[:-1]):
        wide = cv2.resize(result, (weight.shape[1], weight.shape[0]), interpolation=cv2.INTER_LINEAR)
        result = total + (1 - weight)[..., None] * wide
    return np.asarray(result, np.float32)


def inverted(motion: Floats, share: float) -> Floats:
    """Where each pixel came from after that share of a motion: the offset back to its start."""
    height, width = motion.shape[:2]
    places = grid(width, height)
    offset = np.zeros_like(motion)
    for _ in range(6):
        offset = -share * sample(motion, places + offset)
    return offset
