"""What a reading of a task means for its attempt: a fact, or nothing yet."""

from __future__ import annotations

from typing import Any

from kf2v_pipeline.domain.address import redact
from kf2v_pipeline.domain.attempt import FactKind, Remedy
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.reading import Reading, TaskStatus
from kf2v_pipeline.wan.catalog import Service
from kf2v_pipeline.wan.fault import judge


def fact_of(reading: Reading, clip: Clip, service: Service) -> tuple[FactKind, dict[str, Any]] | None:
    """The fact that a reading is, with its detail; None while the task goes on."""
    if not reading.status.ended:
        return None
    times = _times(reading)
    if reading.status is TaskStatus.SUCCEEDED:
        return FactKind.TASK_SUCCEEDED, {**times, **_bill(reading, clip, service), **_result(reading)}
    if reading.status is TaskStatus.FAILED:
        code = reading.code or "Unknown"
        message = reading.message or "The service gave no reason."
        return FactKind.TASK_FAILED, {
            **times,
            "error_code": code,
            "error_message": message,
            "remedy": judge(code, message, None).remedy,
        }
    if reading.status is TaskStatus.CANCELED:
        return FactKind.TASK_CANCELED, canceled(reading)
    return FactKind.TASK_VANISHED, {
        "error_code": "TaskVanished",
        "error_message": "The service does not know the task any more: its video, if there was one, is out of reach; "
        "ask for the clip by name to pay for another one.",
        "remedy": Remedy.PERSON,
    }


def canceled(reading: Reading) -> dict[str, Any]:
    """The detail of the fact that a task was canceled."""
    return {
        **_times(reading),
        "error_code": "Canceled",
        "error_message": "The task was canceled before it began; ask for the clip by name to try again.",
        "remedy": Remedy.PERSON,
    }


def _times(reading: Reading) -> dict[str, Any]:
    times = {name: getattr(reading, name) for name in ("submitted_at", "started_at", "ended_at")}
    return {name: at for name, at in times.items() if at is not None}


def _result(reading: Reading) -> dict[str, Any]:
    source = redact(reading.video_url) if reading.video_url else None
    return {"actual_prompt": reading.actual_prompt, "video_source": source}


def _bill(reading: Reading, clip: Clip, service: Service) -> dict[str, Any]:
    """What the task costs, from its own usage; nothing where the price is not known."""
    resolution, duration_s = clip.resolution, float(clip.duration_s)
    if reading.usage is not None:
        duration_s = reading.usage.duration_s
        if reading.usage.resolution is not None:
            resolution = f"{reading.usage.resolution}P"
    price = service.price(clip.model, resolution, duration_s)
    return {} if price is None else {"cost": price.amount, "currency": price.currency}
