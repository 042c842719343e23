"""What the end of a create means for its attempt, as the detail of a fact. Sending is the lane's work."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kf2v_pipeline.domain.attempt import Remedy
from kf2v_pipeline.errors import ServiceError
from kf2v_pipeline.wan.fault import Verdict


def unsent(why: str, remedy: Remedy) -> dict[str, Any]:
    """It certainly did not reach the service."""
    return {"error_code": "NotSent", "error_message": f"It was not sent: {why}.", "remedy": remedy}


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
