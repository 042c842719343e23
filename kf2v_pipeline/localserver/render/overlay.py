"""What is laid over finished frames: film grain and the watermark."""

from __future__ import annotations

from math import pi, sin

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .picture import Bytes, Floats, Planes

LABEL = "AI generated"
"""The vendor's watermark says so too (vendor page: bottom right, in Chinese)."""

_WHITE, _BLACK, _GREY = 235.0, 16.0, 128.0  # limited range


class Watermark:
    """The label bottom right: white on a soft shadow."""

    def __init__(self, width: int, height: int) -> None:
        """Draw it once, for frames of this size."""
        letters = _letters(max(9, round(min(width, height) * 0.032)))
        shadow = np.clip(cv2.GaussianBlur(letters, (0, 0), 2.0) * 1.2, 0, 1) * 0.45
        letters = letters * 0.75
        self._gain = (1 - shadow) * (1 - letters)
        self._lift = _BLACK * shadow * (1 - letters) + _WHITE * letters
        self._fade = cv2.resize(self._gain, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)

    def draw(self, frame: Planes) -> None:
        """Draw it into the frame."""
        high, wide = self._gain.shape
        corner = frame.luma[-high:, -wide:]
        corner[:] = np.rint(corner * self._gain + self._lift)
        for plane in (frame.u, frame.v):
            corner = plane[-high // 2 :, -wide // 2 :]
            corner[:] = np.rint((corner - _GREY) * self._fade + _GREY)


def _letters(size: int) -> Floats:
    """How much of each pixel the label covers, 0 to 1, with its margins; both sides even."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(LABEL))
    margin = size * 3 // 4
    width, height = right - left + 2 * margin, bottom - top + 2 * margin
    image = Image.new("L", (width + width % 2, height + height % 2))
    ImageDraw.Draw(image).text((margin - left, margin - top), LABEL, font=font, fill=255)
    return np.asarray(image, np.float32) / 255


class Grain:
    """Fine noise on luma, another on every frame, gone at the first and the last."""

    _TILE = 256  # pixels by which the window into the noise moves about

    def __init__(self, width: int, height: int, seed: int) -> None:
        """Make the noise once; same seed, same grain."""
        self._seed = seed
        noise = np.random.default_rng(seed).standard_normal((height + self._TILE, width + self._TILE), np.float32)
        soft = cv2.GaussianBlur(noise, (0, 0), 0.8)
        self._noise = np.asarray(np.clip(128 + 32 * soft / soft.std(), 0, 255), np.uint8)

    def draw(self, frame: Planes, index: int, share: float) -> None:
        """Add it to the frame of an index, at that share of the film."""
        strength = 1.5 / 32 * min(1.0, 4 * sin(pi * share))
        left, top = np.random.default_rng((self._seed, index)).integers(0, self._TILE, 2)
        height, width = frame.luma.shape
        window: Bytes = self._noise[top : top + height, left : left + width]
        frame.luma[:] = cv2.addWeighted(frame.luma, 1.0, window, strength, -128 * strength)
