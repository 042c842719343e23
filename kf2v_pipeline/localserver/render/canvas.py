"""Both pictures side by side on one small canvas, seen from the middle of the camera's path.

There the camera's move is gone, so whatever still differs has moved by itself. What moved belongs elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .path import CameraPath, corners
from .picture import Bytes, Floats
from .warp import grid, prescaled

_LONG_SIDE = 640  # pixels; finer canvases find no better motion, and cost more
_BRIGHTNESS, _CONTRAST = 128.0, 50.0  # mean and deviation that both pictures are brought to
_MOST_GAIN = 4.0  # beyond that there is little but noise to amplify
_MIN_SHARE = 0.02  # of the picture that both must show, for motion to be worth a look


@dataclass(frozen=True, kw_only=True, eq=False)
class Canvas:
    """The part of the scene that both pictures show, at low resolution.

    Attributes:
        width: In canvas pixels.
        height: In canvas pixels.
        from_middle: Homography from the output's pixels at the middle of the path to the canvas.
        from_first: Homography from the first picture's pixels to the canvas.
        from_last: The same for the last picture.
        first: Luma of the first picture, its exposure evened out; what it does not show is taken from the last.
        last: Luma of the last picture, filled likewise.
        shared: 1 where both show something, else 0.
    """

    width: int
    height: int
    from_middle: Floats
    from_first: Floats
    from_last: Floats
    first: Bytes
    last: Bytes
    shared: Floats

    @property
    def grid(self) -> Floats:
        """The coordinates ``(x, y)`` of every pixel, ``(height, width, 2)``."""
        return grid(self.width, self.height)


def lay_out(first: Bytes, last: Bytes, path: CameraPath) -> Canvas | None:
    """Put both luma pictures on a canvas; None where they show hardly anything in common."""
    high, wide = first.shape
    half, back = path.at(0.5), path.at(-0.5)
    area, shape = cv2.intersectConvexConvex(
        corners(half, wide, high).astype(np.float32), corners(back, wide, high).astype(np.float32)
    )
    if shape is None or area < _MIN_SHARE * wide * high:
        return None
    low, top = shape.reshape(-1, 2).min(axis=0), shape.reshape(-1, 2).max(axis=0)
    scale = min(1.0, _LONG_SIDE / float(max(top - low)))
    width, height = (int(side) for side in np.ceil((top - low) * scale))
    shift = -scale * low - 0.5  # the corner of the shared part becomes the corner of the first canvas pixel
    from_middle = np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]], np.float64)
    a, seen_a = _placed(first, from_middle @ half, width, height)
    b, seen_b = _placed(last, from_middle @ back, width, height)
    shared = seen_a * seen_b
    a, b = _levelled(a, shared), _levelled(b, shared)
    return Canvas(
        width=width,
        height=height,
        from_middle=from_middle,
        from_first=from_middle @ half,
        from_last=from_middle @ back,
        first=np.where(seen_a > 0, a, b),
        last=np.where(seen_b > 0, b, a),
        shared=shared.astype(np.float32),
    )


def _levelled(luma: Bytes, shared: Bytes) -> Bytes:
    """The picture brought to a common brightness and contrast, so that day and night can be compared."""
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(luma, mask=shared))
    gain = min(_CONTRAST / max(deviation, 1.0), _MOST_GAIN)
    return np.asarray(cv2.addWeighted(luma, gain, luma, 0.0, _BRIGHTNESS - gain * mean), np.uint8)


def _placed(luma: Bytes, matrix: Floats, width: int, height: int) -> tuple[Bytes, Bytes]:
    """A picture on the canvas, and where it shows something."""
    seen = cv2.warpPerspective(np.ones_like(luma), matrix, (width, height), flags=cv2.INTER_NEAREST)
    small, matrix = prescaled(luma, matrix)
    placed = cv2.warpPerspective(
        small, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(placed, np.uint8), np.asarray(seen, np.uint8)
