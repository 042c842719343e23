"""Small pictures of films and frames, for galleries and for Dagster. Where they are kept belongs to ``storage``."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import av
from av.error import FFmpegError
from av.video.reformatter import Interpolation, VideoReformatter
from PIL import Image, ImageOps

from kf2v_pipeline.errors import VideoError

POSTER_SIDE_PX = 640
FRAME_SIDE_PX = 480
STRIP_PICTURES = 5
"""First, quarter points, last."""
STRIP_HEIGHT_PX = 120

LOOP_SIDE_PX = 320
LOOP_PICTURES = 24
LOOP_PICTURE_MS = 100
"""A loop shows a film of five seconds at about twice its speed, in roughly a hundredth of its bytes."""

INLINE_LIMIT = 1000
"""Dagster's UI folds Markdown away from this many characters on (seen in its 1.13 web bundle)."""

_QUALITY = 82
_LOOP_QUALITY = 45
_LOOP_EFFORT = 2
"""Of 0 to 6: one more doubles the time and saves a twentieth of the bytes."""

_WORKING_SIDE_PX = 480
"""Strips and loops are made from pictures of this size: a whole one takes 3 MB, and a film gives 28 of them."""


@dataclass(frozen=True, kw_only=True)
class Previews:
    """The pictures of one film.

    Attributes:
        poster: Its first picture, so that nothing jumps when the film begins to play over it; a JPEG.
        strip: Five pictures of it side by side; a JPEG.
        loop: Its course in a few pictures that move; an animated WebP.
    """

    poster: bytes
    strip: bytes
    loop: bytes


def previews(path: Path) -> Previews:
    """Poster, film strip and loop, in one pass over the film.

    Raises:
        VideoError: The file can't be read as a film.
    """
    pictures = _pictures(path)
    last = max(pictures)
    strip = _side_by_side([pictures[at] for at in _spread(last, STRIP_PICTURES)], STRIP_HEIGHT_PX)
    moving = [_thumbnail(pictures[at], LOOP_SIDE_PX) for at in dict.fromkeys(_spread(last, LOOP_PICTURES))]
    return Previews(poster=_jpeg(_thumbnail(pictures[0], POSTER_SIDE_PX)), strip=_jpeg(strip), loop=_animated(moving))


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


def _pictures(path: Path) -> Mapping[int, Image.Image]:
    """Those pictures of the film that a preview shows, by number from 0; the highest number is the last picture's.

    The first is whole, so that the poster is sharp; the others are as small as their use allows. A film that holds
    fewer pictures than its index says has its last one in place of those that are missing.
    """
    found: dict[int, Image.Image] = {}
    picture = None
    try:
        with av.open(path) as container:
            stream = next(iter(container.streams.video), None)
            if stream is None:
                raise VideoError("the file has no video stream")
            stream.thread_type = "AUTO"
            last = max(stream.frames - 1, 0)
            wanted = {*_spread(last, STRIP_PICTURES), *_spread(last, LOOP_PICTURES)} - {last}
            shrink = VideoReformatter()  # one for all pictures: to set one up takes longer than to shrink a picture
            for number, picture in enumerate(container.decode(stream)):
                if number == 0 or number in wanted:
                    found[number] = _image(picture, shrink, whole=number == 0)
    except (FFmpegError, OSError) as error:
        raise VideoError(f"the file does not decode ({error.strerror})") from error
    if picture is None:
        raise VideoError("the file holds no picture")
    final = found[0] if last == 0 else _image(picture, shrink, whole=False)
    return {number: found.get(number, final) for number in sorted({0, *wanted, last})}


def _spread(last: int, count: int) -> list[int]:
    """Numbers of so many pictures, from 0 to ``last``, as even as whole numbers can be."""
    return [last * step // (count - 1) for step in range(count)]


def _image(picture: av.VideoFrame, shrink: VideoReformatter, *, whole: bool) -> Image.Image:
    scale = 1.0 if whole else min(1.0, _WORKING_SIDE_PX / max(picture.width, picture.height))
    small = shrink.reformat(
        picture,
        width=max(1, round(picture.width * scale)),
        height=max(1, round(picture.height * scale)),
        format="rgb24",
        interpolation=Interpolation.AREA,
    )
    image: Image.Image = small.to_image()  # type: ignore[no-untyped-call]  # PyAV has no types for it
    return image


def _thumbnail(picture: Image.Image, side: int) -> Image.Image:
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return small


def _animated(pictures: Sequence[Image.Image]) -> bytes:
    """A WebP that shows the pictures over and over; a still one where there is but one."""
    buffer = BytesIO()
    first, *others = (picture.resize(pictures[-1].size) for picture in pictures)
    moving = {"save_all": True, "append_images": others, "duration": LOOP_PICTURE_MS, "loop": 0} if others else {}
    first.save(buffer, "WEBP", quality=_LOOP_QUALITY, method=_LOOP_EFFORT, **moving)
    return buffer.getvalue()


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
