"""Sampling pictures at moved places without aliasing. Which places, is decided elsewhere."""

from __future__ import annotations

from math import ceil, log2, sqrt

import cv2
import numpy as np

from .picture import Bytes, Floats, Planes

_STEP = sqrt(0.5)  # from one size of a picture to the next smaller one


def grid(width: int, height: int) -> Floats:
    """The coordinates ``(x, y)`` of every pixel, ``(height, width, 2)``."""
    across, down = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.dstack([across, down])


def carried(matrix: Floats, points: Floats) -> Floats:
    """Where a homography puts points, in an array of any shape whose last axis is ``(x, y)``."""
    return np.asarray(cv2.perspectiveTransform(points.reshape(1, -1, 2), matrix)).reshape(points.shape)


def sample(field: Floats, places: Floats) -> Floats:
    """A field of one or two channels, read between its pixels; beyond its edges it stays as at the edge."""
    channels = [  # one at a time: two interleaved channels take OpenCV's slow path
        _remap(channel, places, cv2.BORDER_REPLICATE) for channel in cv2.split(field)
    ]
    return channels[0] if field.ndim == 2 else np.dstack(channels)


def magnification(matrix: Floats, width: int, height: int) -> float:
    """How much longer a homography makes a short line at the picture's centre."""
    centre = np.array([width / 2, height / 2])
    x, right, below = carried(matrix, centre + np.array([[0, 0], [1, 0], [0, 1]]))
    return sqrt(abs(float(np.linalg.det(np.array([right - x, below - x])))))


def prescaled(luma: Bytes, matrix: Floats) -> tuple[Bytes, Floats]:
    """A picture and a homography for it, both changed so that a bilinear warp hardly aliases."""
    high, wide = luma.shape
    scale = magnification(matrix, wide, high)
    if scale > 0.9:
        return luma, matrix
    small = cv2.resize(luma, (max(1, round(wide * scale)), max(1, round(high * scale))), interpolation=cv2.INTER_AREA)
    back = np.diag([wide / small.shape[1], high / small.shape[0], 1])
    back[:2, 2] = (back[[0, 1], [0, 1]] - 1) / 2
    return np.asarray(small, np.uint8), matrix @ back


class Source:
    """A picture to be sampled at any size up to its own.

    Luma is kept with three more samples between its own: sampled bilinearly from there it comes out as sharp as from
    a bicubic filter, at a third of the cost. Smaller versions serve frames that show the picture smaller.
    """

    def __init__(self, planes: Planes, smallest: float) -> None:
        """Prepare for magnifications from ``smallest`` on."""
        count = 1 + max(0, ceil(log2(max(smallest, 0.05)) / log2(_STEP) - 0.5))
        self._sizes = [_shrunk(planes, _STEP**index) for index in range(count)]
        self._height, self._width = planes.luma.shape
        self._planes = planes

    def cut(self, rows: slice, columns: slice) -> Planes:
        """The picture just as it is, between these luma rows and columns, all of them even."""
        half = slice(rows.start // 2, rows.stop // 2), slice(columns.start // 2, columns.stop // 2)
        luma, u, v = self._planes
        return Planes(luma=luma[rows, columns], u=u[half], v=v[half])

    def take(self, places: Floats, cell: int, magnification: float) -> Planes:
        """The picture at these places, mirrored beyond its edges.

        Args:
            places: For each cell, with one around, where its middle lies in this picture, ``(x, y)`` in pixels.
            cell: Luma samples of the result to a cell, each way.
            magnification: How large the picture appears; chooses among its sizes.
        """
        index = round(log2(max(magnification, 0.05)) / log2(_STEP))
        size = self._sizes[min(max(index, 0), len(self._sizes) - 1)]
        luma = spread(self._on(size.luma, places, 2), cell)
        chroma = spread(self._on(size.u, places, 1), cell // 2)
        mirrored = cv2.BORDER_REFLECT_101
        return Planes(
            luma=_remap(size.luma, luma, mirrored),
            u=_remap(size.u, chroma, mirrored),
            v=_remap(size.v, chroma, mirrored),
        )

    def _on(self, plane: Bytes, places: Floats, dense: int) -> Floats:
        """Places of the picture as places of one of its planes, which has so many samples, each way, for each."""
        across, down = plane.shape[1] / dense / self._width, plane.shape[0] / dense / self._height
        scale = dense * np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2]])
        return np.asarray(cv2.transform(places, scale))


def spread(cells: Floats, size: int) -> Floats:
    """Cells, with one around, interpolated to so many samples each; the ones around are cut off."""
    large = cv2.resize(cells, None, fx=size, fy=size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(large)[size:-size, size:-size]


def _remap(plane: Floats, places: Floats, border: int) -> Floats:
    second = None  # one map holds both coordinates
    return np.asarray(cv2.remap(plane, places, second, cv2.INTER_LINEAR, borderMode=border))  # type: ignore[call-overload]  # OpenCV's stub forgets that the second map may be missing


def _shrunk(planes: Planes, scale: float) -> Planes:
    """The picture at a smaller size, luma denser than the rest."""
    height, width = planes.luma.shape
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    luma = planes.luma if scale == 1 else cv2.resize(planes.luma, size, interpolation=cv2.INTER_AREA)
    half = (max(1, size[0] // 2), max(1, size[1] // 2))
    return Planes(
        luma=_dense(np.asarray(luma, np.uint8)),
        u=np.asarray(cv2.resize(planes.u, half, interpolation=cv2.INTER_AREA), np.uint8),
        v=np.asarray(cv2.resize(planes.v, half, interpolation=cv2.INTER_AREA), np.uint8),
    )


_HALF_WAY = np.array([-1, 4, -11, 40, 40, -11, 4, -1], np.float32) / 64  # H.265's filter for half a sample


def _dense(plane: Bytes) -> Bytes:
    """The plane with the samples half-way to the right, below, and both, between its own."""
    height, width = plane.shape
    dense = np.empty((2 * height, 2 * width), np.uint8)
    one, anchor, mirrored = np.ones(1, np.float32), (3, 0), cv2.BORDER_REFLECT_101
    dense[::2, ::2] = plane
    dense[::2, 1::2] = cv2.sepFilter2D(plane, -1, _HALF_WAY, one, anchor=anchor, borderType=mirrored)
    below = np.asarray(cv2.sepFilter2D(plane, -1, one, _HALF_WAY, anchor=anchor[::-1], borderType=mirrored), np.uint8)
    dense[1::2, ::2] = below
    dense[1::2, 1::2] = cv2.sepFilter2D(below, -1, _HALF_WAY, one, anchor=anchor, borderType=mirrored)
    return dense
