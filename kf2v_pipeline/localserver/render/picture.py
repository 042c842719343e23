"""Pictures on their way in: decoded, sized by the vendor's rule, cover-fitted, turned into video's planes.

What happens between two pictures belongs elsewhere.
"""

from __future__ import annotations

from math import isqrt
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
"""Samples of 0 to 255: ``(height, width)``, or with channels as a third axis."""

Floats = NDArray[Any]
"""Numbers that are no samples: maps and weights in single precision, matrices in double."""

AREA = {"480P": 832 * 480, "720P": 1280 * 720, "1080P": 1920 * 1080}
"""Pixels that a resolution aims at; only 720P is documented by an example (750x1000 gives 816x1104)."""

STEP = 16
"""Both sides of a film are multiples of this many pixels."""


class RenderError(ValueError):
    """A film can't be rendered from what was given. Its text is one sentence for a person."""


class Planes(NamedTuple):
    """A picture as 4:2:0 video, BT.709, limited range, chroma centred between its four luma samples.

    Attributes:
        luma: ``(height, width)``.
        u: ``(height / 2, width / 2)``, blue against luma.
        v: The same, red against luma.
    """

    luma: Bytes
    u: Bytes
    v: Bytes


def output_size(width: int, height: int, resolution: str) -> tuple[int, int]:
    """Width and height in pixels of the film that starts with a picture of this size.

    The picture's ratio is kept, the area comes near the resolution's, both sides are cut to multiples of 16
    (vendor's FAQ; rounding as in the published Wan 2.1 code).

    Raises:
        RenderError: The resolution is unknown, or a side is not positive.
    """
    if resolution not in AREA:
        raise RenderError(f"The resolution {resolution} is none of {', '.join(AREA)}.")
    if width <= 0 or height <= 0:
        raise RenderError(f"A picture of {width}x{height} pixels has no shape.")
    wide = isqrt(AREA[resolution] * width // height)
    high = isqrt(AREA[resolution] * height // width)
    return max(STEP, wide // STEP * STEP), max(STEP, high // STEP * STEP)


def decode_picture(data: bytes, which: str) -> Bytes:
    """The picture's pixels, upright, blue-green-red; an alpha channel is dropped.

    Args:
        data: A file that OpenCV reads: JPEG, PNG, WebP, BMP, TIFF.
        which: What the picture is to the film, for the error's text ("first").

    Raises:
        RenderError: It is no picture that can be decoded.
    """
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise RenderError(f"The {which} frame can't be decoded as a picture.")
    return np.asarray(pixels, np.uint8)


def cover(pixels: Bytes, width: int, height: int) -> Bytes:
    """The picture scaled to fill the given size, what sticks out cut off evenly on both sides."""
    high, wide = pixels.shape[:2]
    scale = max(width / wide, height / high)
    keep_wide, keep_high = min(wide, round(width / scale)), min(high, round(height / scale))
    left, top = (wide - keep_wide) // 2, (high - keep_high) // 2
    cut = pixels[top : top + keep_high, left : left + keep_wide]
    if cut.shape[:2] == (height, width):
        return np.ascontiguousarray(cut)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(cut, (width, height), interpolation=method), np.uint8)


_BT709 = np.array(
    [
        [0.0620, 0.6142, 0.1826, 16.0],
        [0.4392, -0.3386, -0.1006, 128.0],
        [-0.0403, -0.3989, 0.4392, 128.0],
    ]
)
"""From blue, green, red of 0 to 255 to Y, U, V of limited range (ITU-R BT.709, 8 bit)."""


def to_planes(pixels: Bytes) -> Planes:
    """The picture as video; both sides must be even."""
    full = cv2.transform(pixels.astype(np.float32), _BT709)
    luma, u, v = cv2.split(full)
    height, width = luma.shape
    half = (width // 2, height // 2)
    u, v = (cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in (u, v))
    return Planes(luma=_to_bytes(luma), u=_to_bytes(u), v=_to_bytes(v))


def _to_bytes(samples: Any) -> Bytes:
    return np.asarray(np.clip(np.rint(samples), 0, 255), np.uint8)
