"""Measures a film, in one pass over it. What its numbers mean is said in ``domain.quality``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kf2v_pipeline.domain.quality import Quality
from kf2v_pipeline.media.brightness import count_black, flicker
from kf2v_pipeline.media.conformity import Promise, conformity_flaws
from kf2v_pipeline.media.continuity import follow
from kf2v_pipeline.media.likeness import compare_ends
from kf2v_pipeline.media.reel import Reel, read_reel

__all__ = ["Measured", "Promise", "measure_film"]

_DIGITS = 4
"""Decimals that are kept: more would differ from one processor to another."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured of a film.

    Attributes:
        broken_promises: In which ways it is not what was promised, each in a clause.
    """

    quality: Quality
    broken_promises: tuple[str, ...]


def measure_film(
    path: Path, *, promise: Promise, first_frame: bytes | None = None, last_frame: bytes | None = None
) -> Measured:
    """Measures a film; one that can't be read has nothing but flaws of conformity.

    Args:
        path: The film, on this machine.
        promise: What it is promised to be.
        first_frame: The file of the frame that it was to begin with; None where it can't be read any more.
        last_frame: The same of the frame that it was to end with, or where there is none.
    """
    reel = read_reel(path)
    broken = conformity_flaws(reel, promise)
    if not len(reel.pictures):
        return Measured(quality=Quality(conformity_flaws=len(broken)), broken_promises=broken)
    return Measured(quality=_measure(reel, len(broken), first_frame, last_frame), broken_promises=broken)


def _measure(reel: Reel, broken: int, first_frame: bytes | None, last_frame: bytes | None) -> Quality:
    likeness = compare_ends(reel.pictures, first_frame, last_frame)
    continuity = follow(reel.pictures, reel.colours)
    fps = reel.fps or 30.0
    black = 0 if likeness.asks_for_black else count_black(reel.pictures)
    return Quality(
        first_frame_ssim=_rounded(likeness.first),
        last_frame_ssim=_rounded(likeness.last),
        swap_margin=_rounded(likeness.margin),
        longest_freeze_s=round(continuity.longest_freeze / fps, _DIGITS),
        black_s=round(black / fps, _DIGITS),
        flashes=continuity.flashes,
        cuts=continuity.cuts,
        flicker=round(flicker(reel.pictures, fps), _DIGITS),
        conformity_flaws=broken,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
