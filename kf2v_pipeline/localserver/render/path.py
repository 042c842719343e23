"""The camera's path: fractional powers of a homography. Where a homography comes from belongs elsewhere.

All matrices map points ``(x, y, 1)`` in pixels, pixel centres at whole numbers.
"""

from __future__ import annotations

import cv2
import numpy as np

from .picture import Floats

_SMALL = 0.05  # norm below which both series end at double precision
_TERMS = 14


class CameraPath:
    """The steady camera move that carries one picture into another.

    The powers of a matrix form the one-parameter group through it: a zoom stays a zoom about its fixed point, a
    rotation turns evenly, a pan keeps its speed.

    They come from a logarithm by repeated square roots, never from eigenvectors: a pure translation has only one
    eigenvector, and would silently become the identity.
    """

    def __init__(self, matrix: Floats, width: int, height: int) -> None:
        """Take the homography that carries the first picture's points to the last one's.

        Raises:
            ValueError: No steady move leads there (a mirror image, half a turn, a horizon through the picture).
        """
        self.size = (width, height)
        scale = float(max(width, height))
        centred = np.array([[1 / scale, 0, -width / 2 / scale], [0, 1 / scale, -height / 2 / scale], [0, 0, 1]])
        self._into, self._back = centred, np.linalg.inv(centred)
        self._logarithm = _logarithm(self._into @ matrix @ self._back)

    @classmethod
    def still(cls, width: int, height: int) -> CameraPath:
        """The path of a camera that does not move."""
        return cls(np.eye(3), width, height)

    def at(self, share: float) -> Floats:
        """The homography after that share of the move: 0 gives the identity, 1 the whole, -1 its inverse."""
        return np.asarray(self._back @ _exponential(share * self._logarithm) @ self._into)


def corners(matrix: Floats, width: int, height: int) -> Floats:
    """Where a homography puts the picture's corners, ``(4, 2)`` in pixels, clockwise from the top left."""
    box = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64) - 0.5
    return np.asarray(cv2.perspectiveTransform(box[None], matrix)[0])


def _logarithm(matrix: Floats) -> Floats:
    determinant = float(np.linalg.det(matrix))
    if not determinant > 0:
        raise ValueError("the homography mirrors the picture")
    root = matrix / np.cbrt(determinant)
    doublings = 0
    while np.linalg.norm(root - np.eye(3)) > _SMALL:
        root = _square_root(root)
        doublings += 1
        if doublings > 24:
            raise ValueError("the homography has no real logarithm")
    step = power = root - np.eye(3)
    total = step.copy()
    for n in range(2, _TERMS):
        power = power @ step
        total += power * ((-1) ** (n + 1) / n)
    return np.asarray(total * 2**doublings)


def _square_root(matrix: Floats) -> Floats:
    """The principal root by Denman and Beavers' iteration."""
    root, inverse = matrix, np.eye(3)
    for _ in range(40):
        try:
            following = (root + np.linalg.inv(inverse)) / 2
            inverse = (inverse + np.linalg.inv(root)) / 2
        except np.linalg.LinAlgError:
            break
        moved = np.linalg.norm(following - root)
        root = following
        if moved < 1e-14 * np.linalg.norm(root):
            break
    if not np.allclose(root @ root, matrix, atol=1e-8):
        raise ValueError("the homography has no real square root")
    return root


def _exponential(matrix: Floats) -> Floats:
    halvings = max(0, int(np.ceil(np.log2(max(float(np.linalg.norm(matrix)), _SMALL) / _SMALL))))
    small = matrix / 2**halvings
    power = total = np.eye(3)
    for n in range(1, _TERMS):
        power = power @ small / n
        total = total + power
    for _ in range(halvings):
        total = total @ total
    return np.asarray(total)
