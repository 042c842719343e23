"""The bodies of replies, as the vendor's page and recorded traffic show them. Deciding belongs elsewhere.

Instants in ``output`` are ``YYYY-MM-DD HH:mm:ss.SSS`` in UTC+8; in ``list`` they are epoch milliseconds, and
the body is flat (page of asynchronous tasks, and a recorded reply).
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from .model import MODELS, UsageShape
from .refusal import Refusal
from .task import Status, Task

BEIJING = timezone(timedelta(hours=8))
ACCOUNT = "1000000000000000"
"""The one account of this server."""


def new_task_id() -> str:
    """A task's id: a UUID of version 4."""
    return str(uuid.uuid4())


def new_request_id() -> str:
    """A call's id: shaped like a UUID whose third group begins with 9, as recorded ones do."""
    text = str(uuid.UUID(int=random.getrandbits(128)))
    return f"{text[:14]}9{text[15:]}"


def created(task: Task, request_id: str) -> dict[str, Any]:
    """Reply to an accepted create."""
    return {
        "output": {"task_status": Status.PENDING.value, "task_id": task.task_id},
        "request_id": request_id,
    }


def refused(refusal: Refusal, request_id: str) -> dict[str, Any]:
    """Reply to any call that is answered with an error."""
    return {"code": refusal.code, "message": refusal.message, "request_id": request_id}


def unknown(task_id: str, request_id: str) -> dict[str, Any]:
    """Reply to a get of a task that never was, or is no more."""
    return {"request_id": request_id, "output": {"task_id": task_id, "task_status": Status.UNKNOWN.value}}


def shown(task: Task, request_id: str, *, video_url: str | None) -> dict[str, Any]:
    """Reply to a get."""
    output: dict[str, Any] = {
        "task_id": task.task_id,
        "task_status": task.status.value,
        "submit_time": _time_text(task.created_at),
    }
    if task.scheduled_at:
        output["scheduled_time"] = _time_text(task.scheduled_at)
    if task.ended_at:
        output["end_time"] = _time_text(task.ended_at)
    body: dict[str, Any] = {"request_id": request_id, "output": output}
    if task.reason:
        output.update(code=task.reason.code, message=task.reason.message)
    if task.status is Status.SUCCEEDED:
        output["video_url"] = video_url
        output["orig_prompt"] = task.prompt or ""
        if task.prompt_extend and task.actual_prompt is not None:
            output["actual_prompt"] = task.actual_prompt
        body["usage"] = _usage(task)
    return body


def listed(tasks: Sequence[Task], *, total: int, page_no: int, page_size: int, request_id: str) -> dict[str, Any]:
    """Reply to a list: one page of so many tasks."""
    return {
        "total": total,
        "data": [_row(task) for task in tasks],
        "total_page": -(-total // page_size),
        "page_no": page_no,
        "page_size": page_size,
        "request_id": request_id,
    }


def _usage(task: Task) -> dict[str, Any]:
    shape, lines = MODELS[task.model].usage, task.resolution.removesuffix("P")
    if shape is UsageShape.RATIO:
        return {"video_duration": task.film_s, "video_count": 1, "video_ratio": "standard"}
    if shape is UsageShape.SR:
        return {"video_duration": task.film_s, "video_count": 1, "SR": int(lines)}
    return {
        "duration": task.film_s,
        "input_video_duration": 0,
        "output_video_duration": task.film_s,
        "video_count": 1,
        "SR": lines,
    }


def _row(task: Task) -> dict[str, Any]:
    row = {
        "api_key_id": task.api_key_id,
        "caller_parent_id": ACCOUNT,
        "caller_uid": ACCOUNT,
        "gmt_create": _epoch_ms(task.created_at),
        "model_name": task.model,
        "region": "local",
        "request_id": task.request_id,
        "status": task.status.value,
        "task_id": task.task_id,
        "user_api_unique_key": f"apikey:v1:aigc:{MODELS[task.model].family}:video-synthesis:{task.model}",
    }
    if task.scheduled_at:
        row["start_time"] = _epoch_ms(task.scheduled_at)
    if task.ended_at:
        row["end_time"] = _epoch_ms(task.ended_at)
    return row


def _time_text(at: datetime) -> str:
    return at.astimezone(BEIJING).isoformat(sep=" ", timespec="milliseconds")[:23]


def _epoch_ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
