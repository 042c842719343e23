"""Whether a film is what the service promises: its file, its stream, its length and its shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kf2v_pipeline.domain.geometry import STEP
from kf2v_pipeline.media.reel import Reel

CODEC = "h264"
PIXEL_FORMATS = ("yuv420p", "yuvj420p")
"""Sampling that every player shows; the vendor's page says H.264 and no more."""

DURATION_SLACK_S = 0.5
"""How far a film's length may be from what was asked for. Wan's own 5 seconds are 81 pictures at 16 a second."""

FPS_SLACK = 0.05


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What a film is promised to be. None promises nothing.

    Attributes:
        fps: Pictures a second (vendor page of kf2v, "Video": 30); not documented for every model.
        ratio: Width over height of its first frame, which the film follows.
        silent: Whether it has no sound (vendor page of kf2v).
    """

    duration_s: float | None = None
    fps: float | None = None
    ratio: float | None = None
    silent: bool = False


def conformity_flaws(reel: Reel, promise: Promise) -> tuple[str, ...]:
    """In which ways a film is not what was promised, each in a clause; empty where it is."""
    if not len(reel.pictures):
        return ("it is no film whose pictures can be decoded",)
    return tuple(_flaws(reel, promise))


def _flaws(reel: Reel, promise: Promise) -> Iterator[str]:
    if not reel.is_whole:
        yield "a picture of it is damaged or missing"
    if reel.codec != CODEC:
        yield f"its pictures are {reel.codec} instead of {CODEC}"
    if reel.pixel_format not in PIXEL_FORMATS:
        yield f"its pictures are {reel.pixel_format}, which not every player shows"
    if not reel.square_pixels:
        yield "it is shown in another shape than it is stored in"
    if not reel.is_steady:
        yield "its pictures do not follow each other steadily"
    if promise.fps is not None and abs(reel.fps - promise.fps) > FPS_SLACK:
        yield f"it has {reel.fps:.2f} pictures a second instead of {promise.fps:g}"
    if promise.duration_s is not None and abs(reel.duration_s - promise.duration_s) > DURATION_SLACK_S:
        yield f"it runs {reel.duration_s:.2f} s instead of {promise.duration_s:g}"
    if promise.silent and reel.has_audio:
        yield "it has sound, and was promised to be silent"
    if promise.ratio is not None and not _follows(reel.width, reel.height, promise.ratio):
        yield f"its {reel.width}x{reel.height} px have another shape than its first frame"


def _follows(width: int, height: int, ratio: float) -> bool:
    """Whether a film has a frame's shape, as far as sides cut down to multiples of 16 can have it, either way."""
    slack = 2 * STEP
    return (width - slack) / (height + slack) <= ratio <= (width + slack) / max(height - slack, 1)
