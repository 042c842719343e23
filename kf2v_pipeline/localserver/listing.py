"""What one call of ``list`` selects. Pure. Source: vendor page "manage asynchronous tasks" and a recorded exchange.

The page does not tell the time zone of ``start_time`` and ``end_time``, the order of rows or the largest page:
here it is UTC+8 (as everywhere in the service), newest first, and 100.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from .body import BEIJING
from .refusal import Refused, bad_parameter
from .task import Status, Task

SPAN = timedelta(hours=24)
"""Longest stretch of time that one call covers, and the default."""

LARGEST_PAGE = 100


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of tasks.

    Attributes:
        total: Tasks on all pages together.
        page_no: Counted from 1.
    """

    tasks: tuple[Task, ...]
    total: int
    page_no: int
    page_size: int


def select(tasks: Iterable[Task], query: Mapping[str, str], now: datetime) -> Page:
    """The page that the query asks for.

    Raises:
        Refused: A parameter can't be read, or the stretch of time is too long.
    """
    start, end = _window(query, now)
    status, model, task_id = query.get("status"), query.get("model_name"), query.get("task_id")
    if status and status not in Status.__members__:
        raise Refused(bad_parameter("status"))
    key_id = query.get("api_key_id")
    found = [
        task
        for task in tasks
        if start <= task.created_at <= end
        and (not status or task.status.value == status)
        and (not model or task.model == model)
        and (not task_id or task.task_id == task_id)
        and (not key_id or task.api_key_id == key_id)
    ]
    page_no, page_size = _number(query, "page_no", 1), min(_number(query, "page_size", 10), LARGEST_PAGE)
    begin = (page_no - 1) * page_size
    return Page(tasks=tuple(found[begin : begin + page_size]), total=len(found), page_no=page_no, page_size=page_size)


def _window(query: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
    """If one end is given the other is 24 hours away; without any, it is the last 24 hours."""
    start, end = _instant(query, "start_time"), _instant(query, "end_time")
    if end is None:
        end = start + SPAN if start else now
    if start is None:
        start = end - SPAN
    if not timedelta(0) <= end - start <= SPAN:
        raise Refused(bad_parameter("start_time"))
    return start, end


def _instant(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    if not text:
        return None
    if len(text) != 14:
        raise Refused(bad_parameter(name))
    try:
        at = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise Refused(bad_parameter(name)) from None
    return at + timedelta(seconds=1) - timedelta.resolution if name == "end_time" else at


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0):
        raise Refused(bad_parameter(name))
    return int(text)
