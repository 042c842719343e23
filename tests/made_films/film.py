"""A film before it is encoded, and how it becomes a real file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

Pixels = np.ndarray
"""A picture, ``(height, width, 3)``, blue-green-red, 8 bit."""


@dataclass(frozen=True, kw_only=True)
class MadeFilm:
    """A film before it is encoded.

    Attributes:
        first: What is named as its first frame, in any size.
        last: The same of its last frame.
        pictures: All of them, in one size.
        crf: How roughly it is encoded.
    """

    pictures: Sequence[Pixels]
    first: Pixels
    last: Pixels
    fps: int = 30
    crf: int = 23
    pixel_format: str = "yuv420p"
    codec: str = "libx264"
    has_sound: bool = False


def write_film(made: MadeFilm, path: Path) -> Path:
    """Encodes the film as the service would: MP4, BT.709, no sound unless it has some."""
    height, width = made.pictures[0].shape[:2]
    with av.open(path, "w", format="mp4") as container:
        # x264's AVX-512 code gives the same pictures other bytes from run to run
        x264 = {"preset": "veryfast", "crf": str(made.crf), "x264-params": "cpu-independent=1"}
        options = x264 if made.codec == "libx264" else {"q": "3"}
        stream = container.add_stream(made.codec, rate=made.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, made.pixel_format
        stream.thread_count = 1
        tones = container.add_stream("aac", rate=8000) if made.has_sound else None
        for number, picture in enumerate(made.pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame = frame.reformat(format=made.pixel_format, dst_colorspace="ITU709")
            frame.pts, frame.time_base = number, Fraction(1, made.fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tones is not None:
            container.mux(_silence(tones))
    return path


def _silence(tones: av.AudioStream) -> Iterator[av.Packet]:
    silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
    silence.sample_rate = 8000
    yield from tones.encode(silence)
    yield from tones.encode(None)


def as_file(picture: Pixels) -> bytes:
    """The picture as a JPEG, as people have their frames."""
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92])[1])
