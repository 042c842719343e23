"""What two pictures share: matched features, and the homography that most obey. Dense motion belongs elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .path import CameraPath, corners
from .picture import Bytes, Floats

_LONG_SIDE = 640  # pixels at which features are looked for; more costs twice and finds nothing else
_MOST = 2500  # features of a picture; more only make matching slower
_RATIO = 0.82  # of the best match's distance to the second best's
_MIN_INLIERS = 20  # related pictures have 25 and more, unrelated ones 6 at most
_MIN_SHARE = 0.25


@dataclass(frozen=True, kw_only=True, eq=False)
class Matches:
    """Points that two pictures share.

    Attributes:
        first: ``(n, 2)``, pixels in the first picture.
        last: ``(n, 2)``, the same points in the last picture.
    """

    first: Floats
    last: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Alignment:
    """The camera move between two pictures of one scene.

    Attributes:
        path: From the first picture's pixels to the last one's.
        inliers: How many matches obey it.
    """

    path: CameraPath
    inliers: int


def match_features(first: Bytes, last: Bytes) -> Matches:
    """Match SIFT features of two luma pictures of one size; each point is used once."""
    (points_a, words_a), (points_b, words_b) = _features(first), _features(last)
    if len(points_a) < 2 or len(points_b) < 2:
        return Matches(first=np.empty((0, 2)), last=np.empty((0, 2)))
    likeness = words_a @ words_b.T  # unit vectors: squared distance = 2 - 2 * likeness
    rows = np.arange(len(words_a))
    target = likeness.argmax(axis=1)
    best = likeness[rows, target]
    mutual = np.ascontiguousarray(likeness.T).argmax(axis=1)[target] == rows
    likeness[rows, target] = -1
    clear = 1 - best < _RATIO**2 * (1 - likeness.max(axis=1))
    keep = mutual & clear
    return Matches(first=points_a[keep], last=points_b[target[keep]])


def align(matches: Matches, width: int, height: int) -> Alignment | None:
    """The homography between two pictures; None where they do not show one scene from two views."""
    if len(matches.first) < _MIN_INLIERS:
        return None
    matrix, mask = cv2.findHomography(
        matches.first, matches.last, cv2.USAC_MAGSAC, 3 * max(width, height) / 1280, maxIters=5000, confidence=0.9999
    )
    if np.size(matrix) != 9:  # OpenCV found none
        return None
    inliers = int(mask.sum())
    if inliers < max(_MIN_INLIERS, _MIN_SHARE * len(matches.first)) or not _plausible(matrix, width, height):
        return None
    try:
        path = CameraPath(matrix, width, height)
    except ValueError:
        return None
    if not all(_plausible(path.at(share), width, height) for share in (-0.5, 0.25, 0.5, 0.75)):
        return None
    return Alignment(path=path, inliers=inliers)


def _features(luma: Bytes) -> tuple[Floats, Floats]:
    """Points in the picture's pixels, and their descriptors as unit vectors (RootSIFT)."""
    scale = _LONG_SIDE / max(luma.shape)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(luma, None, fx=scale, fy=scale, interpolation=method)
    sift = cv2.SIFT.create(_MOST, 3, 0.02, 10, 1.6, True)  # the last: no half-pixel shift between octaves
    found, words = sift.detectAndCompute(small, None)
    if not found:
        return np.empty((0, 2)), np.empty((0, 128))
    points = (np.array([point.pt for point in found]) + 0.5) / scale - 0.5
    return points, np.sqrt(words / np.maximum(words.sum(axis=1, keepdims=True), 1e-6))


def _plausible(matrix: Floats, width: int, height: int) -> bool:
    """Whether the picture stays a convex, unmirrored quadrangle of a sane size, wholly before the camera."""
    depth = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]]) @ matrix[2]
    if not (np.isfinite(matrix).all() and (depth * np.sign(matrix[2, 2]) > 1e-3 * abs(matrix[2, 2])).all()):
        return False
    quad = corners(matrix, width, height)
    edges = np.roll(quad, -1, axis=0) - quad
    following = np.roll(edges, -1, axis=0)
    turns = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
    area = cv2.contourArea(quad.astype(np.float32)) / (width * height)
    return bool((turns > 0).all() and 0.04 < area < 25)
