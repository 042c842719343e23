"""Looks at a film: is it a whole MP4 whose pictures decode, and what is in it. Making pictures is not done here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from kf2v_pipeline.errors import VideoError

See = Callable[[int, int, av.VideoFrame], None]
"""Is shown each picture of a film: its number from 0, how many pictures the film's index promises, the picture."""

_SMALL_PX = 400_000
"""Pictures up to this size (832x480) are decoded in one thread: several would take three times the processor."""


@dataclass(frozen=True, kw_only=True)
class Film:
    """What is in one video file.

    Attributes:
        fps: Pictures per second, on average.
        frames: Pictures that decode, counted.
        codec: FFmpeg's name, such as ``h264``.
        pixel_format: FFmpeg's name, such as ``yuv420p``.
    """

    width: int
    height: int
    fps: float
    frames: int
    duration_s: float
    codec: str
    pixel_format: str
    has_audio: bool
    size_bytes: int


def probe(path: Path, see: See | None = None) -> Film:
    """What is in the file, once every picture of it has decoded.

    Args:
        see: Is shown each picture meanwhile; it must not raise.

    Raises:
        VideoError: It is no MP4, is cut off, has no video stream, or a picture of it is damaged.
    """
    try:
        size_bytes = _check_boxes(path)
        with open_film(path) as container:
            return _decode(container, size_bytes, see)
    except (FFmpegError, OSError) as error:
        raise VideoError(f"the file does not decode ({error.strerror})") from error


def open_film(path: Path) -> InputContainer:
    """Opens a film, also one whose tags are no UTF-8: what they say in another encoding is shown as well as it can be.

    Raises:
        FFmpegError: It is no film.
        OSError: It can't be read.
    """
    return av.open(path, metadata_errors="replace")


def pictures_of(container: InputContainer) -> Iterator[av.VideoFrame]:
    """Decodes a film's pictures, in order.

    Raises:
        VideoError: It has no video stream.
    """
    stream = _video_of(container)
    is_small = stream.width * stream.height <= _SMALL_PX
    stream.thread_type = "NONE" if is_small else "AUTO"
    yield from container.decode(stream)


def _video_of(container: InputContainer) -> VideoStream:
    if not container.streams.video:
        raise VideoError("the file has no video stream")
    return container.streams.video[0]


def _decode(container: InputContainer, size_bytes: int, see: See | None) -> Film:
    stream = _video_of(container)
    frames = 0
    for picture in pictures_of(container):
        if see is not None:
            see(frames, stream.frames, picture)
        frames += 1
        # The decoder paints over what is damaged and goes on; this flag is all that it says.
        if picture.is_corrupt:
            raise VideoError(f"picture {frames} of the file is damaged")
    if not frames:
        raise VideoError("the file holds no picture")
    duration_s = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
    fps = float(stream.average_rate) if stream.average_rate else 0.0
    return Film(
        width=stream.codec_context.width,
        height=stream.codec_context.height,
        fps=fps,
        frames=frames,
        duration_s=duration_s,
        codec=stream.codec_context.name,
        pixel_format=stream.codec_context.pix_fmt or "unknown",
        has_audio=bool(container.streams.audio),
        size_bytes=size_bytes,
    )


def _check_boxes(path: Path) -> int:
    """Refuses what is no whole MP4, by its outermost boxes alone; gives the file's size in bytes."""
    size_bytes = path.stat().st_size
    ends = _box_ends(path)
    if "ftyp" not in ends:
        raise VideoError(f"the file is no MP4 ({size_bytes} bytes that do not begin with ftyp)")
    promised = max(ends.get(name, 0) for name in ("ftyp", "moov", "moof", "mdat"))
    if promised > size_bytes:
        raise VideoError(f"the file is cut off: it has {size_bytes} of {promised} bytes")
    if "moov" not in ends:
        raise VideoError("the file is cut off: its index (moov) is missing")
    return size_bytes


def _box_ends(path: Path) -> dict[str, int]:
    """Where each outermost box ends, the last one of each name (ISO/IEC 14496-12, 4.2); empty if there is no ftyp."""
    ends: dict[str, int] = {}
    with path.open("rb") as file:
        start = 0
        while len(head := file.read(16)) >= 8:
            length, name = int.from_bytes(head[:4], "big"), head[4:8].decode("latin-1")
            if length == 1:
                length = int.from_bytes(head[8:], "big")
            if length < 8 or (not ends and name != "ftyp"):
                break
            start += length
            ends[name] = start
            file.seek(start)
    return ends
