"""Waits for a create's reply, and says what its end means for the attempt. When to send is the lane's work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from kf2v_pipeline.domain.attempt import Remedy
from kf2v_pipeline.domain.reading import Created
from kf2v_pipeline.errors import FrameError, ServiceError
from kf2v_pipeline.wan.fault import Verdict


async def awaiting_reply(
    create: Coroutine[Any, Any, Created], last_reply: timedelta, end: Callable[[], None]
) -> Created:
    """The reply to one create; a drive that is stopped meanwhile waits a little for it, so that it is on record.

    Args:
        last_reply: How long that is.
        end: Called when the drive is stopped: nothing else may be sent.
    """
    sending = asyncio.ensure_future(create)
    try:
        return await asyncio.shield(sending)
    except asyncio.CancelledError:
        end()
        try:
            await asyncio.wait({sending}, timeout=last_reply.total_seconds())
            if sending.done():
                return sending.result()
        finally:
            sending.cancel()
        raise


def unsent(why: str, remedy: Remedy) -> dict[str, Any]:
    """It certainly did not reach the service."""
    return {"error_code": "NotSent", "error_message": f"It was not sent: {why}.", "remedy": remedy}


def frame_refused(error: FrameError) -> dict[str, Any]:
    """It was not sent, since a frame of it is of no use."""
    return {"error_code": "FrameUnusable", "error_message": str(error), "remedy": Remedy.PERSON}


def reply_lost(why: str, at: datetime) -> dict[str, Any]:
    """It may have made a task, or not."""
    message = f"It is not known yet whether a task was made: {why}."
    return {"unconfirmed_at": at, "error_code": "ReplyLost", "error_message": message}


def refused(error: ServiceError, verdict: Verdict) -> dict[str, Any]:
    """The service said no, in words of its own."""
    return {
        "request_id": error.request_id,
        "error_code": error.code,
        "error_message": error.message,
        "remedy": verdict.remedy,
    }
