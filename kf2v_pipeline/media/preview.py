"""Small pictures of films and frames, for galleries and for Dagster. Where they are kept belongs to ``storage``."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import av
from av.error import FFmpegError
from PIL import Image, ImageOps

from kf2v_pipeline.errors import VideoError

POSTER_SIDE_PX = 640
FRAME_SIDE_PX = 480
STRIP_PICTURES = 5
"""First, quarter points, last."""
STRIP_HEIGHT_PX = 120

INLINE_LIMIT = 1000
"""Dagster's UI folds Markdown away from this many characters on (seen in its 1.13 web bundle)."""

_QUALITY = 82


@dataclass(frozen=True, kw_only=True)
class Previews:
    """The pictures of one film, as JPEG files.

    Attributes:
        poster: Its first picture, so that nothing jumps when the film begins to play over it.
        strip: Five pictures of it side by side.
    """

    poster: bytes
    strip: bytes


def previews(path: Path) -> Previews:
    """Poster and film strip, in one pass over the film.

    Raises:
        VideoError: The file can't be read as a film.
    """
    pictures = _pictures(path)
    poster = pictures[0].copy()
    poster.thumbnail((POSTER_SIDE_PX, POSTER_SIDE_PX), Image.Resampling.LANCZOS)
    return Previews(poster=_jpeg(poster), strip=_jpeg(_side_by_side(pictures, STRIP_HEIGHT_PX)))


def poster(path: Path) -> bytes:
    """The film's poster alone."""
    return previews(path).poster


def film_strip(path: Path) -> bytes:
    """The film's strip alone."""
    return previews(path).strip


def shrink_frame(content: bytes) -> bytes:
    """A small upright JPEG of a frame.

    Raises:
        OSError: It is no picture that Pillow reads.
    """
    with Image.open(BytesIO(content)) as image:
        image.draft("RGB", (FRAME_SIDE_PX, FRAME_SIDE_PX))
        small = ImageOps.exif_transpose(image).convert("RGB")
    small.thumbnail((FRAME_SIDE_PX, FRAME_SIDE_PX), Image.Resampling.LANCZOS)
    return _jpeg(small)


def inline_strip(strip_jpeg: bytes) -> str:
    """Markdown of a picture of under 1,000 characters: the strip's first, middle and last picture, as WebP."""
    with Image.open(BytesIO(strip_jpeg)) as strip:
        width = strip.width // STRIP_PICTURES
        cells = [strip.crop((at * width, 0, (at + 1) * width, strip.height)) for at in (0, 2, 4)]
    height = 54
    while True:
        size = (max(1, min(height * 16 // 9, round(height * width / cells[0].height))), height)
        row = _side_by_side([ImageOps.fit(cell, size, Image.Resampling.LANCZOS) for cell in cells], height)
        for quality in (40, 30, 20, 10, 5):
            buffer = BytesIO()
            row.save(buffer, "WEBP", quality=quality, method=6)
            markdown = f"![](data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()})"
            if len(markdown) < INLINE_LIMIT:
                return markdown
        height = height * 4 // 5


def _pictures(path: Path) -> list[Image.Image]:
    """The film's first picture, those at its quarter points, and its last one."""
    found: list[Image.Image] = []
    picture = None
    try:
        with av.open(path) as container:
            stream = next(iter(container.streams.video), None)
            if stream is None:
                raise VideoError("the file has no video stream")
            stream.thread_type = "AUTO"
            last = max(stream.frames - 1, 0)
            wanted = [last * step // (STRIP_PICTURES - 1) for step in range(STRIP_PICTURES - 1)]
            for number, picture in enumerate(container.decode(stream)):
                found += [picture.to_image()] * wanted.count(number)
    except (FFmpegError, OSError) as error:
        raise VideoError(f"the file does not decode ({error.strerror})") from error
    if picture is None:
        raise VideoError("the file holds no picture")
    final = picture.to_image()
    return found + [final] * (STRIP_PICTURES - len(found))


def _side_by_side(pictures: Sequence[Image.Image], height: int) -> Image.Image:
    width = max(1, round(pictures[0].width * height / pictures[0].height))
    row = Image.new("RGB", (width * len(pictures), height))
    for number, picture in enumerate(pictures):
        row.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (number * width, 0))
    return row


def _jpeg(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY, optimize=True, progressive=True)
    return buffer.getvalue()
