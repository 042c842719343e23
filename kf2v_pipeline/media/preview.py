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
from kf2v_pipeline.media.probe import open_film, pictures_of

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

_INLINE_HEIGHT_PX = 54
_INLINE_QUALITIES = (5, 10, 20, 30, 40)

_QUALITY = 82
_LOOP_QUALITY = 45
_LOOP_EFFORT = 2
"""Of 0 to 6: one more doubles the time and saves a twentieth of the bytes."""


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


class PreviewMaker:
    """Makes a film's pictures while it is decoded, once: show it every picture, and then take what it made.

    The first is kept whole, so that the poster is sharp; the others are as small as their use allows. A film that
    holds fewer pictures than its index says has its last one in place of those that are missing.
    """

    def __init__(self) -> None:
        self._shrink = VideoReformatter()  # one for all: to set one up takes longer than to shrink a picture
        self._wanted: frozenset[int] = frozenset()
        self._last = 0
        self._found: dict[int, Image.Image] = {}
        self._final: av.VideoFrame | None = None
        self._error: Exception | None = None

    @property
    def has_seen(self) -> bool:
        """Whether it was shown a picture."""
        return self._final is not None

    def see(self, number: int, promised: int, picture: av.VideoFrame) -> None:
        """Is shown a picture; never raises.

        Args:
            number: Of the picture, from 0.
            promised: How many the film's index says there are.
        """
        if number == 0:
            self._last = max(promised - 1, 0)
            self._wanted = frozenset(_numbers(self._last)) - {self._last}
        self._final = picture
        if number == 0 or number in self._wanted:
            try:
                self._found[number] = _image(picture, self._shrink, whole=number == 0)
            except Exception as error:  # noqa: BLE001  # an odd film leads libraries to any error, and it is paid for
                self._error = error

    def made(self) -> Previews:
        """The pictures of what was shown.

        Raises:
            VideoError: Nothing was shown, or it can't be made a picture of.
        """
        if self._final is None:
            raise VideoError("the file holds no picture")
        if self._error is not None:
            raise VideoError(f"its pictures can't be converted ({self._error})")
        try:
            final = self._found[0] if self._last == 0 else _image(self._final, self._shrink, whole=False)
            return _previews({number: self._found.get(number, final) for number in _numbers(self._last)})
        except Exception as error:
            raise VideoError(f"its pictures can't be converted ({error})") from error


def previews(path: Path) -> Previews:
    """Poster, film strip and loop, in one pass over the film, up to where it can't be decoded any more.

    Raises:
        VideoError: The file can't be read as a film.
    """
    maker = PreviewMaker()
    try:
        with open_film(path) as container:
            for number, picture in enumerate(pictures_of(container)):
                maker.see(number, container.streams.video[0].frames, picture)
    except (FFmpegError, OSError) as error:
        if not maker.has_seen:
            raise VideoError(f"the file does not decode ({error.strerror})") from error
    return maker.made()


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
    height = min(_INLINE_HEIGHT_PX, strip.height)
    while True:
        size = (max(1, min(height * 16 // 9, round(height * width / cells[0].height))), height)
        row = _side_by_side([ImageOps.fit(cell, size, Image.Resampling.LANCZOS) for cell in cells], height)
        if (markdown := _inlined(row)) is not None:
            return markdown
        height = height * 4 // 5


def _inlined(picture: Image.Image) -> str | None:
    """Markdown of a picture at the best quality that keeps it short enough; None where none does."""

    def markdown_at(quality: int) -> str:
        buffer = BytesIO()
        picture.save(buffer, "WEBP", quality=quality, method=4)
        return f"![](data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()})"

    best = markdown_at(_INLINE_QUALITIES[-1])
    if len(best) < INLINE_LIMIT:
        return best
    best = markdown_at(_INLINE_QUALITIES[0])
    if len(best) >= INLINE_LIMIT:
        return None
    fits, fails = 0, len(_INLINE_QUALITIES) - 1
    while fails - fits > 1:
        middle = (fits + fails) // 2
        markdown = markdown_at(_INLINE_QUALITIES[middle])
        if len(markdown) < INLINE_LIMIT:
            best, fits = markdown, middle
        else:
            fails = middle
    return best


def _previews(pictures: Mapping[int, Image.Image]) -> Previews:
    """What is made of a film's pictures, by number."""
    last = max(pictures)
    height = min(STRIP_HEIGHT_PX, pictures[last].height)
    strip = _side_by_side([pictures[at] for at in _spread(last, STRIP_PICTURES)], height)
    moving = [_thumbnail(pictures[at], LOOP_SIDE_PX) for at in dict.fromkeys(_spread(last, LOOP_PICTURES))]
    return Previews(poster=_jpeg(_thumbnail(pictures[0], POSTER_SIDE_PX)), strip=_jpeg(strip), loop=_animated(moving))


def _numbers(last: int) -> list[int]:
    """Which pictures of a film a preview shows."""
    return sorted({0, last, *_spread(last, STRIP_PICTURES), *_spread(last, LOOP_PICTURES)})


def _spread(last: int, count: int) -> list[int]:
    """Numbers of so many pictures, from 0 to ``last``, as even as whole numbers can be."""
    return [last * step // (count - 1) for step in range(count)]


def _image(picture: av.VideoFrame, shrink: VideoReformatter, *, whole: bool) -> Image.Image:
    """A picture as Pillow has it; unless whole, no larger than loop and strip need it: a film gives 28 of them."""
    needed = max(LOOP_SIDE_PX / max(picture.width, picture.height), STRIP_HEIGHT_PX / picture.height)
    scale = 1.0 if whole else min(1.0, needed)
    small = shrink.reformat(
        picture,
        width=max(1, round(picture.width * scale)),
        height=max(1, round(picture.height * scale)),
        format="rgb24",
        interpolation=Interpolation.AREA,
        threads=1,  # more are set up anew for each picture, which takes longer than one needs
    )
    plane = small.planes[0]  # PyAV's own way to Pillow goes line by line
    return Image.frombytes("RGB", (small.width, small.height), memoryview(plane), "raw", "RGB", plane.line_size, 1)


def _thumbnail(picture: Image.Image, side: int) -> Image.Image:
    if max(picture.size) <= side:
        return picture
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return small


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture in that size, or itself: Pillow copies one that has the size already."""
    return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)


def _animated(pictures: Sequence[Image.Image]) -> bytes:
    """A WebP that shows the pictures over and over; a still one where there is but one."""
    buffer = BytesIO()
    first, *others = (_resized(picture, pictures[-1].size) for picture in pictures)
    moving = {"save_all": True, "append_images": others, "duration": LOOP_PICTURE_MS, "loop": 0} if others else {}
    first.save(buffer, "WEBP", quality=_LOOP_QUALITY, method=_LOOP_EFFORT, **moving)
    return buffer.getvalue()


def _side_by_side(pictures: Sequence[Image.Image], height: int) -> Image.Image:
    width = max(1, round(pictures[0].width * height / pictures[0].height))
    row = Image.new("RGB", (width * len(pictures), height))
    for number, picture in enumerate(pictures):
        row.paste(_resized(picture, (width, height)), (number * width, 0))
    return row


def _jpeg(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY, optimize=True, progressive=True)
    return buffer.getvalue()
