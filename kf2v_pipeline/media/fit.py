"""Brings a film to another size: one decode, one filter graph, one encode, or none where the stream's header will do.

Which size is ``domain.aspect``'s matter. No pixel is scaled: the film is cut, or stands on bars or on a blurred copy.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.filter import Graph
from av.video.stream import VideoStream

from kf2v_pipeline.domain.aspect import Fit
from kf2v_pipeline.errors import StorageError, VideoError
from kf2v_pipeline.media.probe import open_film

CRF, PRESET = "20", "veryfast"
"""Visually clean: 45 dB and more against the film that is cut (``python -m bench fit``)."""

MAX_ASIDE_PX = 16
"""Width that may go from the right side alone, so that nothing is encoded anew: what the service's own rounding takes.
FFmpeg's decoders heed a crop of the left side only in steps of 32 or 64 pixels."""

BLUR_SIDE_PX, BLUR_SIGMA = 90, 8
"""The background is blurred this small: it looks the same, at a fraction of the work."""

SOURCE_TAG = "kf2v_source_sha256"
"""Under which name a cut says of which film it was made."""

_OPTIONS = {"movflags": "+faststart+use_metadata_tags"}
"""Index first; and every tag is kept, also those that MP4 has no name of its own for, such as the label ``AIGC``."""

_CONTAINERS_OWN = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})
"""Tags that the writer of a file sets itself."""

_MACROBLOCK_PX = 16

_FIXES = {
    errno.ENOSPC: "make room there and run again",
    errno.EDQUOT: "make room there and run again",
    errno.EACCES: "allow this user to read and write there",
    errno.EPERM: "allow this user to read and write there",
    errno.EROFS: "allow this user to read and write there",
}
"""What mends an error of this machine, by its number; any other is taken for the film's own."""


class Way(Enum):
    """How a cut was made."""

    LOSSLESS = "lossless"
    """The stream's header says what to leave out; its pictures are the film's own."""
    ENCODED = "encoded"


def fit_film(
    source: Path, target: Path, *, size: tuple[int, int], fit: Fit, tags: Mapping[str, str] | None = None
) -> Way:
    """Writes the cut of a film.

    Sound and the file's tags are carried over, colours keep their meaning.

    Args:
        size: Of the cut, in pixels, both even: within the film's for ``crop``, around it for ``pad`` and ``blur``.
        tags: More tags for the file.

    Raises:
        StorageError: This machine has no room for the cut, or does not let us write there. It is no flaw of the film.
        VideoError: The film can't be read, or can't be cut so.
    """
    try:
        if fit == "crop" and _crop_header(source, target, size, tags or {}):
            return Way.LOSSLESS
        with open_film(source) as film, av.open(target, "w", format="mp4", options=_OPTIONS) as cut:
            _tag(film, cut, tags or {})
            _encode(film, cut, size, fit)
    except (FFmpegError, OSError) as error:
        if fix := _FIXES.get(error.errno or 0):
            raise StorageError(str(error.filename or target), str(error.strerror), fix) from error
        raise VideoError(f"the film can't be cut ({error.strerror})") from error
    except IndexError:
        raise VideoError("the file has no video stream") from None
    return Way.ENCODED


def read_tags(path: Path) -> dict[str, str]:
    """The tags of a film's file.

    Raises:
        VideoError: The file can't be read as a film.
    """
    try:
        with open_film(path) as film:
            return dict(film.metadata)
    except (FFmpegError, OSError) as error:
        raise VideoError(f"the file does not decode ({error.strerror})") from error


def film_size(path: Path) -> tuple[int, int]:
    """Width and height of a film as its header says, in pixels.

    Raises:
        VideoError: The file can't be read as a film.
    """
    try:
        with open_film(path) as film:
            stream = film.streams.video[0]
            return stream.codec_context.width, stream.codec_context.height
    except (FFmpegError, OSError, IndexError) as error:
        raise VideoError("the file does not decode") from error


def _crop_header(source: Path, target: Path, size: tuple[int, int], tags: Mapping[str, str]) -> bool:
    """Cuts without encoding where that gives just this size; False where it does not."""
    with open_film(source) as film:
        stream = film.streams.video[0]
        aside, above = stream.codec_context.width - size[0], stream.codec_context.height - size[1]
        if stream.codec_context.name != "h264" or aside > MAX_ASIDE_PX or stream.codec_context.pix_fmt != "yuv420p":
            return False
        top = above // 4 * 2
        options = {
            "crop_left": 0,
            "crop_right": aside + -stream.codec_context.width % _MACROBLOCK_PX,
            "crop_top": top,
            "crop_bottom": above - top + -stream.codec_context.height % _MACROBLOCK_PX,
        }
        words = ":".join(f"{name}={value}" for name, value in options.items())
        with av.open(target, "w", format="mp4", options=_OPTIONS) as cut:
            _tag(film, cut, tags)
            _copy(film, cut, f"h264_metadata={words}")
    return _is_the_crop(source, target, size, top)


def _copy(film: InputContainer, cut: OutputContainer, filter_words: str) -> None:
    """Copies both streams; the pictures' packets go through a bitstream filter."""
    pictures = film.streams.video[0]
    outs: dict[int, Any] = {pictures.index: cut.add_stream_from_template(pictures)}
    filtered = BitStreamFilterContext(filter_words, pictures, outs[pictures.index])
    for sound in film.streams.audio[:1]:
        outs[sound.index] = cut.add_stream_from_template(sound)
    for packet in film.demux(*(film.streams[index] for index in outs)):
        if packet.stream.index != pictures.index:
            _mux(cut, outs[packet.stream.index], packet)
            continue
        for changed in filtered.filter(packet if packet.dts is not None else None):
            _mux(cut, outs[pictures.index], changed)


def _mux(cut: OutputContainer, stream: Any, packet: Any) -> None:
    if packet.dts is not None:
        packet.stream = stream
        cut.mux(packet)


def _is_the_crop(source: Path, target: Path, size: tuple[int, int], top: int) -> bool:
    """Whether the cut's first picture is just that part of the film's: headers may be odder than was supposed."""
    whole, part = _first_picture(source), _first_picture(target)
    if whole is None or part is None or (part.width, part.height) != size:
        return False
    return bool(np.array_equal(_rows(part), _rows(whole)[top : top + size[1], : size[0]]))


def _first_picture(path: Path) -> av.VideoFrame | None:
    with open_film(path) as film:
        return next(film.decode(film.streams.video[0]), None)


def _rows(picture: av.VideoFrame) -> Any:
    plane: Any = picture.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: picture.height, : picture.width]


def _encode(film: InputContainer, cut: OutputContainer, size: tuple[int, int], fit: Fit) -> None:
    pictures = film.streams.video[0]
    pictures.thread_type = "AUTO"
    out = _new_stream(pictures, cut, size)
    outs: dict[int, Any] = {pictures.index: out}
    for sound in film.streams.audio[:1]:
        outs[sound.index] = cut.add_stream_from_template(sound)
    graph = _graph(pictures, size, fit)
    for packet in film.demux(*(film.streams[index] for index in outs)):
        if packet.stream.index != pictures.index:
            _mux(cut, outs[packet.stream.index], packet)
            continue
        for frame in pictures.decode(packet):
            graph.push(frame)
            cut.mux([each for done in _pull(graph) for each in out.encode(done)])
    graph.push(None)
    cut.mux([each for done in _pull(graph) for each in out.encode(done)])
    cut.mux(out.encode(None))


def _new_stream(pictures: VideoStream, cut: OutputContainer, size: tuple[int, int]) -> VideoStream:
    source = pictures.codec_context
    rate = pictures.average_rate or Fraction(30)
    out = cut.add_stream("libx264", rate=rate, options={"crf": CRF, "preset": PRESET})
    out.width, out.height, out.pix_fmt = *size, "yuv420p"
    out.time_base = out.codec_context.time_base = pictures.time_base or 1 / rate
    out.codec_context.color_range, out.codec_context.colorspace = source.color_range, source.colorspace
    out.codec_context.color_primaries, out.codec_context.color_trc = source.color_primaries, source.color_trc
    out.metadata.update({name: value for name, value in pictures.metadata.items() if name not in _CONTAINERS_OWN})
    return out


def _graph(pictures: VideoStream, size: tuple[int, int], fit: Fit) -> Graph:
    """The filters from the film's picture to the cut's."""
    graph = Graph()
    source, sink = graph.add_buffer(template=pictures), graph.add("buffersink")
    width, height = pictures.codec_context.width, pictures.codec_context.height
    left, top = (_centre(inner, outer) for inner, outer in zip(size, (width, height), strict=True))
    shape = f"{size[0]}:{size[1]}:{left}:{top}"
    if fit == "blur":
        split, over = graph.add("split"), graph.add("overlay", f"{left}:{top}")
        _chain(source, split)
        last = _chain(split, *_background(graph, (width, height), size))
        last.link_to(over, 0, 0)
        split.link_to(over, 1, 1)
        _chain(over, graph.add("format", "yuv420p"), sink)
    else:
        change = graph.add("crop", shape) if fit == "crop" else graph.add("pad", f"{shape}:black")
        _chain(source, graph.add("format", "yuv420p"), change, sink)
    graph.configure()
    return graph


def _background(graph: Graph, film: tuple[int, int], size: tuple[int, int]) -> Iterator[Any]:
    """Filters that make a blurred picture of the cut's size: the film's middle, in the cut's shape."""
    scale = min(film[0] / size[0], film[1] / size[1])
    yield graph.add("crop", f"{_even(size[0] * scale)}:{_even(size[1] * scale)}")
    small = BLUR_SIDE_PX / min(size)
    yield graph.add("scale", f"{_even(size[0] * small)}:{_even(size[1] * small)}")
    yield graph.add("gblur", f"sigma={BLUR_SIGMA}")
    yield graph.add("scale", f"{size[0]}:{size[1]}")


def _chain(first: Any, *others: Any) -> Any:
    for other in others:
        first.link_to(other)
        first = other
    return first


def _pull(graph: Graph) -> Iterable[av.VideoFrame]:
    while True:
        try:
            frame: Any = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        frame.pict_type = 0  # the encoder chooses its own key pictures
        yield frame


def _centre(inner: int, outer: int) -> int:
    """Where a side begins that stands in the middle of another, even, since colours lie two by two."""
    return abs(inner - outer) // 4 * 2


def _even(number: float) -> int:
    return max(2, round(number / 2) * 2)


def _tag(film: InputContainer, cut: OutputContainer, tags: Mapping[str, str]) -> None:
    cut.metadata.update({name: value for name, value in film.metadata.items() if name not in _CONTAINERS_OWN})
    cut.metadata.update(tags)
