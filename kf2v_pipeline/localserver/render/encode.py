"""Frames on their way out: painted by worker threads, encoded in order, written as MP4.

What a frame shows belongs elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc

from .picture import Bytes, Planes

FPS = 30
"""Frames per second (vendor page: the output is 30 fps)."""

WORKERS = 2
"""Threads that paint; more gain little, since the encoder works beside them."""

IN_FLIGHT = 4
"""Frames that are painted or wait for the encoder; what keeps memory flat."""

_BT709_MATRIX = 1  # AVCOL_SPC_BT709; PyAV's Colorspace is swscale's numbering, where 709 happens to be 1 too

COMMENT = "rendered by the local engine from its two frames, not by a generative model"
"""Written into the file, so that nobody takes it for the model's work."""

Painter = Callable[[int, Planes], None]
"""Paints the frame of an index into planes that are handed in."""


def write_film(paint: Painter, out_path: Path, *, width: int, height: int, frames: int) -> None:
    """Paint and encode so many frames as H.264 in MP4, 30 a second, silent, index in front.

    The same frames give the same bytes. The file appears under its name only when it is complete.
    """
    part_path = out_path.with_name(f"{out_path.name}.part")
    try:
        with av.open(str(part_path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            container.metadata["comment"] = COMMENT
            stream = container.add_stream("libx264", rate=FPS, options=_encoder_options(frames))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.time_base = stream.codec_context.time_base = Fraction(1, FPS)
            stream.thread_type, stream.thread_count = "FRAME", 3  # fixed: the bytes depend on the count
            stream.color_range, stream.colorspace = ColorRange.MPEG, _BT709_MATRIX
            stream.color_primaries, stream.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
            for index, frame in enumerate(_painted(paint, width, height, frames)):
                frame.pts, frame.time_base = index, Fraction(1, FPS)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        part_path.replace(out_path)
    finally:
        part_path.unlink(missing_ok=True)


def _encoder_options(frames: int) -> dict[str, str]:
    """Fast and visually clean; the first and the last picture, which people compare, get more bits.

    ``cpu-independent`` costs nothing and makes the bytes the same on every processor; without it x264's AVX-512
    code gives other bytes from run to run.
    """
    ends = f"zones=0,0,q=12/{frames - 1},{frames - 1},q=12"
    return {"preset": "faster", "crf": "18", "x264-params": f"{ends}:cpu-independent=1"}


def _painted(paint: Painter, width: int, height: int, frames: int) -> Iterator[av.VideoFrame]:
    """The frames in order, painted ahead by a few."""

    def work(index: int) -> av.VideoFrame:
        frame = av.VideoFrame(width, height, "yuv420p")
        paint(index, _planes_of(frame))
        return frame

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # two painters side by side beat OpenCV's own threads inside each call
    try:
        with ThreadPoolExecutor(WORKERS, "paint") as pool:
            ahead: deque[Future[av.VideoFrame]] = deque()
            for index in range(frames):
                ahead.append(pool.submit(work, index))
                if len(ahead) == IN_FLIGHT:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
    finally:
        cv2.setNumThreads(threads)


def _planes_of(frame: av.VideoFrame) -> Planes:
    """The frame's own memory, to be painted into."""
    width, height = frame.width, frame.height
    luma, u, v = (_rows(plane) for plane in frame.planes)
    return Planes(
        luma=luma[:height, :width],
        u=u[: height // 2, : width // 2],
        v=v[: height // 2, : width // 2],
    )


def _rows(plane: Any) -> Bytes:
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
