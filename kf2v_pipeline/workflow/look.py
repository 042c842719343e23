"""Looks at the frames that a manifest names: each file once, known ones not at all. Judging rows is the plan's work."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from kf2v_pipeline.domain.clip import Frame
from kf2v_pipeline.errors import FrameError, StorageError
from kf2v_pipeline.media.frames import MAX_FRAME_BYTES, inspect_frame
from kf2v_pipeline.storage.source import locate, read_bytes, token

Look = Frame | FrameError
"""What came of looking at a frame."""


class FrameCache(Protocol):
    """Frames that were looked at before; the ledger keeps them."""

    def known_frames(self, tokens: Mapping[str, str]) -> Mapping[str, Frame]:
        """The known ones of these locations: those whose change token is still this one."""

    def remember_frames(self, frames: Mapping[str, tuple[str, Frame]]) -> None:
        """Keeps frames by location, each with the change token that its file had before it was read."""


def look_at_frames(
    references: Iterable[str], base: str, frame_cache: FrameCache, *, workers: int = 8
) -> dict[str, Look]:
    """The frames behind references, by reference; an error stands for one that can't be used.

    Args:
        references: Paths and URLs as the manifest has them.
        base: The manifest's address, from which relative ones count.
        frame_cache: Frames that need not be read again.
        workers: How many files are read side by side.
    """
    places = {reference: _place(reference, base) for reference in dict.fromkeys(references)}
    locations = list(dict.fromkeys(place for place in places.values() if isinstance(place, str)))
    with ThreadPoolExecutor(workers, thread_name_prefix="frames") as pool:
        # The tokens come first: a file that changes while it is read is read again next time.
        tokens = {
            location: sign
            for share in pool.map(_tokens, (locations[start::workers] for start in range(workers)))
            for location, sign in share.items()
        }
        known = frame_cache.known_frames(tokens)
        unknown = [location for location in locations if location not in known]
        seen = dict(zip(unknown, pool.map(_look, unknown), strict=True))
    fresh = {
        location: (tokens[location], look)
        for location, look in seen.items()
        if isinstance(look, Frame) and location in tokens
    }
    if fresh:
        frame_cache.remember_frames(fresh)
    looks: Mapping[str, Look] = {**seen, **known}
    return {reference: looks[place] if isinstance(place, str) else place for reference, place in places.items()}


def read_frame(location: str) -> bytes:
    """A frame's bytes.

    Raises:
        FrameError: They can't be read, or are too many.
    """
    try:
        return read_bytes(location, limit_bytes=MAX_FRAME_BYTES)
    except StorageError as error:
        raise FrameError(error.path, error.what, error.fix) from None


def _place(reference: str, base: str) -> str | FrameError:
    try:
        return locate(reference, base)
    except StorageError as error:
        return FrameError(error.path, error.what, error.fix)


def _look(location: str) -> Look:
    try:
        return inspect_frame(read_frame(location), location)
    except FrameError as error:
        return error


def _tokens(locations: Collection[str]) -> dict[str, str]:
    """The change tokens of those that have one; many at a time, since a local one takes microseconds."""
    return {location: sign for location in locations if (sign := token(location)) is not None}
