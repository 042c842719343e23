"""Hands a clip's frames to the service: as they are, inline, or uploaded. Checking frames belongs to the plan."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.wan.client import WanClient
from kf2v_pipeline.wan.frame_url import choose, data_uri
from kf2v_pipeline.workflow.plan import read_clip_frame


async def frame_urls(clip: Clip, client: WanClient) -> tuple[str, str | None]:
    """The addresses of the first and the last frame, as the service is to be told.

    Raises:
        FrameError: A frame can't be read any more, or is not the one that was planned.
        TransportError: An upload did not end well; nothing was paid.
        ServiceError: The service refuses an upload.
    """
    first_url = await _frame_url(clip.first_frame, clip.model, client)
    if clip.last_frame is None:
        return first_url, None
    return first_url, await _frame_url(clip.last_frame, clip.model, client)


async def _frame_url(frame: Frame, model: str, client: WanClient) -> str:
    way = choose(frame, "auto")
    if way == "url":
        return frame.location
    content = await asyncio.to_thread(read_clip_frame, frame)
    if way == "inline":
        return data_uri(content, frame.format)
    name = PurePosixPath(urlsplit(frame.location).path).name or "frame"
    return await client.upload(name, content, model)
