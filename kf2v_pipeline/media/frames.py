"""Looks at a frame's bytes and says whether the service can take them. Reading the bytes belongs to ``storage``."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from io import BytesIO

from PIL import ExifTags, Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from kf2v_pipeline.domain.address import redact
from kf2v_pipeline.domain.clip import Frame
from kf2v_pipeline.errors import FrameError

MAX_FRAME_BYTES = 10 * 1024 * 1024
"""Largest file that the service takes (vendor page, "Input image")."""

MIN_SIDE_PX, MAX_SIDE_PX = 240, 8000
"""Smallest and largest side that the service takes (vendor page, parameter ``first_frame_url``)."""

_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "BMP": BmpImageFile,
    "WEBP": WebPImageFile,
}
"""Pillow's own classes: ``Image.open`` refuses or warns of large pictures before it tells their size, and takes a
phone's JPEG with a second picture in it for another format."""

_TURNED = (5, 6, 7, 8)
"""EXIF orientations that lay the picture on its side (EXIF 2.3, tag 0x0112)."""


def inspect_frame(content: bytes, location: str) -> Frame:
    """What a frame is, once it is known that the service can take it.

    The format is told by the content, never by the name, and the size by the header before anything is decoded.
    Width and height are those of the upright picture, as viewers and the local server show it: an EXIF orientation
    counts. Whether the service heeds it is not documented; Wan's published code (2.1, ``generate.py``) does not.

    Args:
        content: The whole file.
        location: Where it was read; it goes into the frame, and into errors without its secrets.

    Raises:
        FrameError: The service would refuse it, or it is damaged.
    """
    shown = redact(location)
    if len(content) > MAX_FRAME_BYTES:
        what = f"it has {len(content):,} bytes, and {MAX_FRAME_BYTES:,} are allowed"
        raise FrameError(shown, what, "make it smaller, for example as a JPEG")
    picture_format = _format_of(content)
    if picture_format is None:
        raise FrameError(shown, _describe(content), "save it as a JPEG, PNG, BMP or WEBP picture")
    width, height = _upright_size(picture_format, content, shown)
    return Frame(
        location=location,
        sha256=hashlib.sha256(content).hexdigest(),
        width=width,
        height=height,
        size_bytes=len(content),
        format=picture_format,
    )


def _upright_size(picture_format: str, content: bytes, shown: str) -> tuple[int, int]:
    """Width and height of a picture that the service takes, and that is whole; raises ``FrameError`` otherwise."""
    try:
        image = _READERS[picture_format](BytesIO(content))
        width, height = image.size
        flaw = _flaw_of(image)
        orientation = None if flaw else _decode(picture_format, content)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # a WEBP, whose class looks by itself
        what = f"it is giant, and each side must have {MIN_SIDE_PX} to {MAX_SIDE_PX} px"
        raise FrameError(shown, what, "scale it down") from None
    except Exception as error:  # noqa: BLE001  # Pillow raises whatever the broken bytes lead it to
        words = " ".join(str(error).split()) or type(error).__name__
        what = f"the {picture_format} is damaged or cut off ({words})"
        raise FrameError(shown, what, "save or copy it again") from None
    if flaw:
        raise FrameError(shown, *flaw)
    return (height, width) if orientation in _TURNED else (width, height)


def _format_of(content: bytes) -> str | None:
    if content.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if content.startswith(b"BM"):
        return "BMP"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "WEBP"
    return None


def _describe(content: bytes) -> str:
    """What is there in place of a picture that the service takes."""
    if not content:
        return "it is empty"
    if content.startswith(b"GIF8"):
        return "it is a GIF"
    if content.startswith((b"II*\x00", b"MM\x00*")):
        return "it is a TIFF"
    if content[4:8] == b"ftyp":
        return f"it is of the kind {content[8:12].decode('ascii', 'replace').strip()}"
    start = content[:512]
    readable = start.decode("utf-8", "ignore")
    if b"\x00" not in start and len(readable.encode()) > len(start) - 4:  # the last character may be cut
        return "it is text and no picture"
    return "it is no picture that the service knows"


def _flaw_of(image: ImageFile.ImageFile) -> tuple[str, str] | None:
    """What the header shows to be wrong, and what mends it; None where nothing is."""
    width, height = image.size
    allowed = f"it is {width}x{height} px, and each side must have {MIN_SIDE_PX} to {MAX_SIDE_PX}"
    if min(width, height) < MIN_SIDE_PX:
        return allowed, "use a larger picture"
    if max(width, height) > MAX_SIDE_PX:
        return allowed, "scale it down"
    if "A" in image.getbands() or "transparency" in image.info:
        return "it has an alpha channel or transparent pixels, which the service refuses", "flatten it on a background"
    return None


def _decode(picture_format: str, content: bytes) -> int | None:
    """Reads all of the picture; gives its EXIF orientation, None where it has none. Raises what is wrong with it."""
    reader = _READERS[picture_format]
    reader(BytesIO(content)).verify()  # PNG: all checksums, to the end of the file
    with reader(BytesIO(content)) as image:
        # A JPEG is read to its end at an eighth of its size too, in a sixty-fourth of the memory.
        image.draft(None, (image.width // 8, image.height // 8))
        image.load()
        with suppress(Exception):  # broken EXIF turns nothing
            orientation: int | None = image.getexif().get(ExifTags.Base.Orientation)
            return orientation
    return None
