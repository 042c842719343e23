"""How like a film's ends are to the frames that it was made of. What is like enough is ``domain.quality``'s matter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from kf2v_pipeline.media.brightness import is_black
from kf2v_pipeline.media.reel import Luma

SIDE_PX = 128
"""The longer side of the pictures that are compared: small enough that a hundredth closer, or softer, is no matter."""

MAX_SQUEEZE = 0.04
"""How far two shapes may lie apart for a frame to be squeezed to the film's: what cutting a film's sides down to
multiples of 16 does to it (``domain.geometry``)."""

_MIN_RANGE = 24.0
"""Levels between dark and bright that a picture is taken to have at least: what lies closer together is noise."""

_BT709 = (0.1826, 0.6142, 0.0620)
"""From red, green, blue of 0 to 255 to brightness of limited range, less 16 (ITU-R BT.709, 8 bit)."""

_BLUR = (11, 11)
_SIGMA = 1.5
"""The window of SSIM (Wang, Bovik, Sheikh, Simoncelli 2004)."""

_EDGE_SIGMA = 2.0
"""Pixels by which edges are softened before they are compared: what is a hundredth closer is still in place."""

_EDGE_NOISE = 0.1
"""Levels a pixel of a gradient that is noise; where there are no edges at all, they agree."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """How like a film's two ends are to the two frames, each way; 1 being the same.

    SSIM of brightness, times the square of how far their edges agree.

    Attributes:
        first: Of its first picture and the first frame.
        last: Of its last picture and the last frame.
        margin: How much better that fits, on average, than the frames the other way round; None without both frames.
        asks_for_black: Whether one of the frames is black itself.
    """

    first: float | None
    last: float | None
    margin: float | None
    asks_for_black: bool


def compare_ends(pictures: Luma, first_frame: bytes | None, last_frame: bytes | None) -> Likeness:
    """How like the film's ends are to the frames.

    Args:
        pictures: All of the film, small; at least one.
        first_frame: The file of the first frame; None where it can't be read.
        last_frame: The same of the last one, or where there is none.
    """
    begin, end = _shrunk(pictures[0]), _shrunk(pictures[-1])
    first_shapes, last_shapes = _shapes(first_frame, begin), _shapes(last_frame, end)
    first, last = _best(begin, first_shapes), _best(end, last_shapes)
    margin = None
    if first is not None and last is not None:
        swapped = [_best(end, first_shapes), _best(begin, last_shapes)]
        margin = (first + last - sum(value or 0.0 for value in swapped)) / 2
    asks_for_black = any(is_black(shape) for shape in (*first_shapes, *last_shapes))
    return Likeness(first=first, last=last, margin=margin, asks_for_black=asks_for_black)


def ssim(picture: Luma, frame: Luma) -> float:
    """Structural similarity of two pictures of the same size, by the frame's own range of brightness.

    The usual constants suppose a range of 255 levels: with them two dark pictures are alike whatever they show. And
    the usual mean is that of an empty sky where there is much of it: here each place counts as much as it has to show.
    """
    dark, bright = np.percentile(frame, (1, 99))
    span = max(float(bright - dark), _MIN_RANGE)
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    a, b = picture.astype(np.float32), frame.astype(np.float32)
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a, var_b = _blurred(a * a) - mean_a**2, _blurred(b * b) - mean_b**2
    both = _blurred(a * b) - mean_a * mean_b
    share = (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    weight = np.sqrt(np.maximum(var_a, 0) + np.maximum(var_b, 0) + c2)
    return float((share * weight).sum() / weight.sum())


def edges_agree(picture: Luma, frame: Luma) -> float:
    """How far the edges of two pictures of the same size lie in the same places and run the same way, up to 1.

    The cosine of their gradients, softened: no light, noise or little less sharpness changes it. It tells a picture
    that was squeezed from one that was cut even where most of both is an empty sky, which SSIM finds alike.
    """
    a, b = _gradients(picture), _gradients(frame)
    noise = _EDGE_NOISE**2 * a.size
    cosine = (float((a * b).sum()) + noise) / np.sqrt((float((a * a).sum()) + noise) * (float((b * b).sum()) + noise))
    return max(0.0, float(cosine))


def _gradients(picture: Luma) -> Floats:
    soft = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), _EDGE_SIGMA)
    return np.stack([cv2.Sobel(soft, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1))])


def _shrunk(picture: Luma) -> Luma:
    height, width = picture.shape
    scale = min(1.0, SIDE_PX / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _best(picture: Luma, shapes: list[Luma]) -> float | None:
    return max((ssim(picture, shape) * edges_agree(picture, shape) ** 2 for shape in shapes), default=None)


def _shapes(content: bytes | None, picture: Luma) -> list[Luma]:
    """A frame as the service may have laid it over the film; none where it can't be read."""
    if content is None:
        return []
    try:
        views = list(_views(content))
    except Exception:  # noqa: BLE001  # Pillow raises whatever the broken bytes lead it to
        return []
    size = (picture.shape[1], picture.shape[0])
    return [shape for view in views for shape in _laid_over(view, size)]


def _views(content: bytes) -> Iterator[Image.Image]:
    """The picture upright; and as it lies in the file, where it lies otherwise: the service may not heed EXIF."""
    with Image.open(BytesIO(content)) as image:
        image.draft("RGB", (4 * SIDE_PX, 4 * SIDE_PX))
        image.load()
        picture = image.convert("RGB") if image.mode != "L" else image.copy()
        yield ImageOps.exif_transpose(image).convert("RGB")
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            yield picture.convert("RGB")


def _laid_over(view: Image.Image, size: tuple[int, int]) -> Iterator[Luma]:
    """Cut to the film's shape; and squeezed to it, where both shapes are nearly the same."""
    yield _luma(ImageOps.fit(view, size, Image.Resampling.BOX))
    squeeze = (view.width * size[1]) / (view.height * size[0])
    if 1 < max(squeeze, 1 / squeeze) <= 1 + MAX_SQUEEZE:
        yield _luma(view.resize(size, Image.Resampling.BOX))


def _luma(picture: Image.Image) -> Luma:
    weighted: Any = cv2.transform(np.asarray(picture, np.float32), np.array([_BT709], np.float32))
    return np.asarray(np.rint(weighted + 16), np.uint8)


def _blurred(values: Any) -> Floats:
    return np.asarray(cv2.GaussianBlur(values, _BLUR, _SIGMA), np.float32)
