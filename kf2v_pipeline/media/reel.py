"""A film as it is measured: the brightness of every picture, small, in one pass. Judging it is done elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from numpy.typing import NDArray

from kf2v_pipeline.media.probe import open_film, pictures_of

Luma = NDArray[np.uint8]
"""Brightness of limited range, 16 is black and 235 is white: ``(height, width)``, or pictures of it as a first axis."""

SIDE_PX = 256
"""The longer side of the pictures that are measured."""

MAX_PICTURES = 3_600
"""Pictures that are looked at, two minutes of film: more would be no film of the service."""

BLOCK_PX = 8
"""Side of the blocks of a measured picture; of its colours only the blocks' means are kept."""

Blocks = NDArray[np.float32]

_PLANAR_8_BIT = ("yuv420p", "yuvj420p", "yuv422p", "yuv444p")
"""Pixel formats of three planes: brightness and two of colour, a byte each."""


@dataclass(frozen=True, kw_only=True)
class Reel:
    """What one pass over a film gave.

    Attributes:
        pictures: All that decode, in order, longer side ``SIDE_PX``; ``(count, height, width)``, none where the file
            can't be read.
        colours: Both planes of colour one above the other, a mean per block: ``(count, rows, columns)``.
        fps: Pictures a second, on average; 0 where it is not known.
        width: Of the film itself, in pixels; 0 where the file can't be read.
        is_whole: Whether every picture decoded, and none was damaged.
        is_steady: Whether every picture is shown as long as every other.
        square_pixels: Whether its pixels are square, and it is shown as it is stored, upright.
    """

    pictures: Luma
    colours: Blocks
    fps: float
    width: int
    height: int
    duration_s: float
    codec: str
    pixel_format: str
    has_audio: bool
    is_whole: bool
    is_steady: bool
    square_pixels: bool


_NOTHING = Reel(
    pictures=np.empty((0, 0, 0), np.uint8),
    colours=np.empty((0, 0, 0), np.float32),
    fps=0.0,
    width=0,
    height=0,
    duration_s=0.0,
    codec="",
    pixel_format="",
    has_audio=False,
    is_whole=False,
    is_steady=False,
    square_pixels=False,
)


def read_reel(path: Path) -> Reel:
    """Reads all of a film once; a file that is no film gives a reel without pictures."""
    try:
        with open_film(path) as container:
            return _read(container) if container.streams.video else _NOTHING
    except (FFmpegError, OSError):
        return _NOTHING


def _read(container: InputContainer) -> Reel:
    stream = container.streams.video[0]
    pictures: list[Luma] = []
    colours: list[Blocks] = []
    instants: list[int] = []
    is_whole, rotation = True, 0.0
    try:
        for frame in pictures_of(container):
            is_whole = is_whole and not frame.is_corrupt
            rotation = float(frame.rotation)
            luma, colour = _small_planes(frame)
            pictures.append(luma)
            colours.append(colour)
            instants.append(frame.pts or 0)
            if len(pictures) == MAX_PICTURES:
                break
    except (FFmpegError, OSError):
        is_whole = False
    if not pictures or any(picture.shape != pictures[0].shape for picture in pictures):
        return _NOTHING
    is_whole = is_whole and len(pictures) >= min(stream.frames, MAX_PICTURES)  # a file that is cut off just ends
    gaps = np.diff(instants)
    aspect: Fraction | None = stream.sample_aspect_ratio
    return Reel(
        pictures=np.stack(pictures),
        colours=np.stack(colours),
        fps=float(stream.average_rate) if stream.average_rate else 0.0,
        width=stream.codec_context.width,
        height=stream.codec_context.height,
        duration_s=float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0,
        codec=stream.codec_context.name,
        pixel_format=stream.codec_context.pix_fmt or "",
        has_audio=bool(container.streams.audio),
        is_whole=is_whole,
        is_steady=bool(not gaps.size or gaps.max() - gaps.min() <= max(1, gaps.min() // 50)),
        square_pixels=(not aspect or aspect == 1) and rotation == 0,
    )


def small_size(width: int, height: int) -> tuple[int, int]:
    """The size in which a picture is measured; one that is smaller stays as it is."""
    scale = min(1.0, SIDE_PX / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def block_means(picture: Any, blocks_of: tuple[int, ...]) -> Blocks:
    """Means over the blocks of a picture.

    Args:
        blocks_of: Height and width of the measured picture, which says how many blocks there are.
    """
    size = (max(1, blocks_of[1] // BLOCK_PX), max(1, blocks_of[0] // BLOCK_PX))
    return np.asarray(cv2.resize(picture.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)


def _small_planes(frame: av.VideoFrame) -> tuple[Luma, Blocks]:
    if frame.format.name not in _PLANAR_8_BIT:
        frame = frame.reformat(format="yuv420p")
    luma, *colours = (_rows(plane) for plane in frame.planes)
    small = cv2.resize(luma, small_size(frame.width, frame.height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), np.vstack([block_means(colour, small.shape) for colour in colours])


def _rows(plane: Any) -> Luma:
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
