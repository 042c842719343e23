"""Makes pictures that the service takes of those that it would refuse. Judging them belongs to ``frames``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageFile, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from kf2v_pipeline.media.frames import MAX_FRAME_BYTES, MAX_SIDE_PX

MAX_SOURCE_BYTES = 256 * 1024 * 1024
"""Largest file that is worth reading to be fixed."""

MAX_SOURCE_PIXELS = 120_000_000
"""Largest picture that is decoded to be fixed, for a gigabyte of memory at most; phones make 108 megapixels."""

JPEG_QUALITY = 95
_SHRINK = 0.8
"""What both sides are multiplied with while a picture's file is too large."""

_TAKEN: tuple[type[ImageFile.ImageFile], ...] = (JpegImageFile, PngImageFile, BmpImageFile, WebPImageFile)
_OTHERS: tuple[type[ImageFile.ImageFile], ...] = (GifImageFile, TiffImageFile, Jpeg2KImageFile, PpmImageFile)
"""Pillow's own classes, for the reason that ``frames`` gives; formats that need other programs are left out."""

with suppress(ImportError):  # Pillow 11.3
    from PIL.AvifImagePlugin import AvifImageFile

    _OTHERS += (AvifImageFile,)

_PLAIN_MODES = ("RGB", "L")
_MODES = {"P": "a palette", "PA": "a palette", "1": "black and white", "I": "16 bits a channel"}


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """A picture that was made of another one.

    Attributes:
        content: A PNG, or a JPEG where that is too large.
        done: What was done, in words.
    """

    content: bytes
    done: str


def fix_frame(content: bytes) -> Fixed | None:
    """The picture as the service takes it: 8 bits a channel, no transparency, upright, within its sizes.

    Transparent parts become white, and of an animation the first picture is taken. What is too small stays so.

    Args:
        content: The whole file.

    Returns:
        None where nothing has to be fixed, and where it can't be: ``inspect_frame`` then says what is wrong.
    """
    try:
        with _open(content) as image:
            done = list(_needs(image, content))
            if not done or image.width * image.height > MAX_SOURCE_PIXELS:
                return None
            picture, profile = _flatten(ImageOps.exif_transpose(image))
            picture.info = {}  # comments and the like, which an encoder would copy
        saved, kind, size = _encode(_scale(picture, min(1.0, MAX_SIDE_PX / max(picture.size))), profile)
    except Exception:  # noqa: BLE001  # Pillow raises whatever the broken bytes lead it to
        return None
    if size != picture.size:
        done.append(f"scaled from {picture.width}x{picture.height} to {size[0]}x{size[1]} px")
    return Fixed(content=saved, done=", ".join([*filter(None, done), f"saved as {kind}"]))


def _open(content: bytes) -> ImageFile.ImageFile:
    for reader in (*_TAKEN, *_OTHERS):
        with suppress(SyntaxError):  # Pillow's word for another format
            return reader(BytesIO(content))
    raise SyntaxError("no picture of a known format")


def _needs(image: ImageFile.ImageFile, content: bytes) -> Iterator[str]:
    """What has to be done, in words; empty ones where saving it anew says it all."""
    odd = [] if isinstance(image, _TAKEN) else [str(image.format)]
    has_alpha = _has_alpha(image)
    if image.mode not in (*_PLAIN_MODES, "RGBA", "LA"):
        odd.append(_MODES.get(image.mode.partition(";")[0], image.mode))
    if odd:
        yield f"converted from {' with '.join(odd)}"
    if getattr(image, "is_animated", False):
        yield "its first picture taken"
    if has_alpha:
        yield "flattened on white"
    if max(image.size) > MAX_SIDE_PX or len(content) > MAX_FRAME_BYTES:
        yield ""


def _has_alpha(image: Image.Image) -> bool:
    return "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info


def _flatten(image: Image.Image) -> tuple[Image.Image, bytes | None]:
    """The picture in 8 bits a channel without transparency, and the profile of its colours; None where it has none."""
    profile: bytes | None = image.info.get("icc_profile")
    if image.mode.partition(";")[0] == "I":
        levels = np.asarray(image).astype(np.int64).clip(0, 65_535) // 257
        return Image.fromarray(levels.astype(np.uint8)), profile
    if _has_alpha(image):
        picture = image.convert("RGBA")
        flat = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        return flat.convert("RGB"), None if image.mode == "LA" else profile
    if image.mode in _PLAIN_MODES:
        return image.copy(), profile
    return image.convert("L" if image.mode == "1" else "RGB"), profile if image.mode == "P" else None


def _scale(picture: Image.Image, factor: float) -> Image.Image:
    if factor == 1:
        return picture
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _encode(picture: Image.Image, profile: bytes | None) -> tuple[bytes, str, tuple[int, int]]:
    """The file, its kind, and the size that its picture has in the end."""
    saved = _save(picture, "PNG", icc_profile=profile)
    if saved is not None:
        return saved, "PNG", picture.size
    while (saved := _save(picture, "JPEG", icc_profile=profile, quality=JPEG_QUALITY)) is None:
        picture = _scale(picture, _SHRINK)
    return saved, "JPEG", picture.size


def _save(picture: Image.Image, kind: str, **options: bytes | int | None) -> bytes | None:
    """The file; None where it would be too large."""
    room = _Room()
    try:
        picture.save(room, kind, **options)
    except _Full:
        return None
    return room.getvalue()


class _Full(Exception):
    """There is no room for the file."""


class _Room(BytesIO):
    """Takes no more bytes than the service does, so that no encoder works on in vain."""

    def write(self, data: bytes) -> int:  # type: ignore[override]  # Pillow writes bytes
        if self.tell() + len(data) > MAX_FRAME_BYTES:
            raise _Full
        return super().write(data)
