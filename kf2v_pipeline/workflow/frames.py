"""Hands a clip's frames to the service: as they are, inline, or uploaded. Checking frames belongs to the plan."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from kf2v_pipeline.domain.address import redact
from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.errors import FrameError
from kf2v_pipeline.media.frames import inspect_frame
from kf2v_pipeline.wan.client import WanClient
from kf2v_pipeline.wan.frame_url import Mode, choose, data_uri
from kf2v_pipeline.workflow.look import fix_one, read_frame
from kf2v_pipeline.workflow.seal import SealedAddresses

Column = Literal["first_frame", "last_frame"]


class FrameSender:
    """Tells the service where a clip's frames are.

    Args:
        sealed: Knows the addresses that the ledger does not keep; None where nobody does.
        mode: How frames travel.
    """

    def __init__(self, sealed: SealedAddresses | None = None, mode: Mode = "auto") -> None:
        self._sealed = sealed
        self._mode = mode

    async def urls(self, clip: Clip, client: WanClient) -> tuple[str, str | None]:
        """The addresses of the first and the last frame, as the service is to be told.

        Raises:
            FrameError: A frame can't be read any more, is not the one that was planned, or can't travel so.
            TransportError: An upload did not end well; nothing was paid.
            ServiceError: The service refuses an upload.
        """
        frames: list[tuple[Column, Frame]] = [("first_frame", clip.first_frame)]
        if clip.last_frame is not None:
            frames.append(("last_frame", clip.last_frame))
        is_read = any(frame.sealed or not self._goes_as_it_is(frame) for _, frame in frames)
        found = await asyncio.to_thread(self._read_frames, clip, frames) if is_read else self._read_frames(clip, frames)
        urls = [await self._url(frame, content, clip.model, client) for frame, content in found]
        return urls[0], urls[1] if len(urls) > 1 else None

    def picture(self, clip: Clip, column: Column) -> bytes | None:
        """A frame's file as it was sent; None where it can't be read any more, or was never seen here."""
        frame = clip.first_frame if column == "first_frame" else clip.last_frame
        if frame is None or not frame.is_seen:
            return None
        try:
            return read_clip_frame(self._unsealed(clip, column, frame))[1]
        except FrameError:
            return None

    def _goes_as_it_is(self, frame: Frame) -> bool:
        """Whether its address is sent without reading it; a sealed one's may have changed, or its signature run out."""
        return not frame.is_seen or (not frame.sealed and choose(frame, self._mode) == "url")

    def _read_frames(self, clip: Clip, frames: Sequence[tuple[Column, Frame]]) -> list[tuple[Frame, bytes | None]]:
        """The frames with their whole addresses, and with their bytes where those are to be sent."""
        found: list[tuple[Frame, bytes | None]] = []
        for column, frame in frames:
            whole = self._unsealed(clip, column, frame)
            found.append((whole, None) if self._goes_as_it_is(whole) else read_clip_frame(whole))
        return found

    def _unsealed(self, clip: Clip, column: Column, frame: Frame) -> Frame:
        """The frame with its whole address, where somebody knows it."""
        if not frame.sealed or self._sealed is None:
            return frame
        return replace(frame, location=self._sealed.address(clip.clip_id, column, frame))

    async def _url(self, frame: Frame, content: bytes | None, model: str, client: WanClient) -> str:
        if content is None:
            return frame.location
        way = choose(frame, self._mode)
        if way == "url":
            return frame.location
        if way == "inline":
            return data_uri(content, frame.format)
        return await client.upload(f"{frame.sha256[:16]}.{frame.format.lower()}", content, model)


def read_clip_frame(frame: Frame) -> tuple[Frame, bytes]:
    """The frame as it is to be sent, read again, and its bytes.

    Args:
        frame: With its whole address.

    Raises:
        FrameError: The file can't be read any more, or is not the one that was planned.
    """
    content = read_frame(frame.location, fix=frame.fix is not None)
    if hashlib.sha256(content).hexdigest() != frame.sha256:
        raise FrameError(redact(frame.location), "the file changed since it was planned", "run again")
    if frame.fix is None:
        return frame, content
    fixed = fix_one(content)
    if fixed is None:
        raise FrameError(redact(frame.location), "it can't be fixed any more", "save it as a JPEG or PNG")
    made = inspect_frame(fixed.content, frame.location)  # another version of Pillow may have planned it
    return replace(frame, size_bytes=made.size_bytes, format=made.format), fixed.content
