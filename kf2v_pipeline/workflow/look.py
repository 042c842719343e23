"""Looks at the frames that a manifest names: each file once, known ones not at all. Judging rows is the plan's work."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Protocol

from kf2v_pipeline.domain.address import has_secret
from kf2v_pipeline.domain.clip import Frame
from kf2v_pipeline.errors import FrameError, StorageError
from kf2v_pipeline.media.fix import MAX_SOURCE_BYTES, Fixed, fix_frame
from kf2v_pipeline.media.frames import MAX_FRAME_BYTES, inspect_frame
from kf2v_pipeline.storage.source import locate, read_bytes, token
from kf2v_pipeline.wan.frame_url import is_temporary

Look = Frame | FrameError
"""What came of looking at a frame."""

_FIXING = Lock()


class FrameCache(Protocol):
    """Frames that were looked at before; the ledger keeps them."""

    def known_frames(self, tokens: Mapping[str, str]) -> Mapping[str, Frame]:
        """The known ones of these locations: those whose change token is still this one."""

    def remember_frames(self, frames: Mapping[str, tuple[str, Frame]]) -> None:
        """Keeps frames by location, each with the change token that its file had before it was read."""


def look_at_frames(
    references: Iterable[str],
    base: str,
    frame_cache: FrameCache,
    *,
    fix: bool = False,
    workers: int = 8,
    at_once: int = 1000,
) -> dict[str, Look]:
    """The frames behind references, by reference and with their whole address; an error stands for one of no use.

    Args:
        references: Paths and URLs as the manifest has them.
        base: The manifest's address, from which relative ones count.
        frame_cache: Frames that need not be read again.
        fix: Whether frames that the service would refuse are fixed.
        workers: How many files are read side by side.
        at_once: How many frames are looked at before they are kept: a reading that dies is gone on with.
    """
    places = {reference: _place(reference, base) for reference in dict.fromkeys(references)}
    locations = list(dict.fromkeys(place for place in places.values() if isinstance(place, str)))
    with ThreadPoolExecutor(workers, thread_name_prefix="frames") as pool:
        # The tokens come first: a file that changes while it is read is read again next time.
        tokens = {
            location: sign
            for share in pool.map(partial(_tokens, fix), (locations[start::workers] for start in range(workers)))
            for location, sign in share.items()
        }
        known = frame_cache.known_frames(tokens)
        unknown = [location for location in locations if location not in known]
        seen: dict[str, Look] = {}
        for start in range(0, len(unknown), at_once):
            some = unknown[start : start + at_once]
            share = dict(zip(some, pool.map(partial(_look, fix), some), strict=True))
            fresh = {
                location: (tokens[location], look)
                for location, look in share.items()
                if isinstance(look, Frame) and location in tokens
            }
            if fresh:
                frame_cache.remember_frames(fresh)
            seen |= share
    looks: Mapping[str, Look] = {**seen, **known}
    return {reference: looks[place] if isinstance(place, str) else place for reference, place in places.items()}


def read_frame(location: str, *, fix: bool = False) -> bytes:
    """A frame's bytes.

    Args:
        fix: Whether they may be many, since they are fixed.

    Raises:
        FrameError: They can't be read, or are too many.
    """
    try:
        return read_bytes(location, limit_bytes=MAX_SOURCE_BYTES if fix else MAX_FRAME_BYTES)
    except StorageError as error:
        raise FrameError(error.path, error.what, error.fix, is_away=True) from None


def fix_one(content: bytes) -> Fixed | None:
    """What ``media.fix`` makes of a frame; one at a time, since a large one takes a gigabyte of memory."""
    with _FIXING:
        return fix_frame(content)


def _place(reference: str, base: str) -> str | FrameError:
    try:
        return locate(reference, base)
    except StorageError as error:
        return FrameError(error.path, error.what, error.fix)


def _look(fix: bool, location: str) -> Look:
    if is_temporary(location):
        digest = hashlib.sha256(location.encode()).hexdigest()
        return Frame(location=location, sha256=digest, width=0, height=0, size_bytes=0, format="")
    try:
        content = read_frame(location, fix=fix)
        fixed = fix_one(content) if fix else None
        if fixed is None:
            return inspect_frame(content, location)
        frame = inspect_frame(fixed.content, location)
    except FrameError as error:
        return error
    return replace(frame, sha256=hashlib.sha256(content).hexdigest(), fix=fixed.done)


def _tokens(fix: bool, locations: Collection[str]) -> dict[str, str]:
    """The change tokens of those that have one; many at a time, since a local one takes microseconds.

    An address with a secret has none, since it must not be remembered.
    """
    signs = {at: token(at) for at in locations if not has_secret(at) and not is_temporary(at)}
    return {at: f"{sign} fixed" if fix else sign for at, sign in signs.items() if sign is not None}
