"""What was asked of the server and what came of it, for people and tests that judge from its side."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from datetime import datetime
from typing import Any

from .backend import Backend
from .store import Store
from .task import Task

CALLS_KEPT = 5_000
"""Calls that are remembered one by one; counts go on."""


OPTIONS = ("negative_prompt", "resolution", "film_s", "seed", "prompt_extend", "watermark")
"""What is written down of a task besides its prompt; a seed that was not sent is the one that was drawn."""

PROMPT_KEPT = 800
"""Characters of a prompt that are written down."""


class Journal:
    """Creates are written down; counts, peaks and single calls are of this process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._calls: deque[dict[str, Any]] = deque(maxlen=CALLS_KEPT)
        self._last_second: defaultdict[str, deque[float]] = defaultdict(deque)
        self._peaks: Counter[str] = Counter()

    def add(
        self, *, operation: str, at: datetime, outcome: str, task_id: str | None, code: str | None, fault: str | None
    ) -> None:
        """Note one call. ``outcome`` is the status of the reply, or ``cut`` where none was sent."""
        self._counts[operation][outcome] += 1
        note = {"operation": operation, "at": at.isoformat(), "outcome": outcome, "task_id": task_id}
        self._calls.append({**note, "code": code, "fault": fault})
        self._count_peak("create" if operation == "create" else "query" if operation in _QUERIES else operation)

    def add_create(
        self,
        *,
        at: datetime,
        outcome: str,
        request_id: str,
        model: str | None,
        prompt: str | None,
        task: Task | None,
        code: str | None,
        fault: str | None,
    ) -> None:
        """Write one create down, with the task that it made, if any."""
        entry = {
            "at": at.isoformat(),
            "outcome": outcome,
            "request_id": request_id,
            "model": model,
            "prompt": prompt[:PROMPT_KEPT] if prompt else None,
            "options": {name: getattr(task, name) for name in OPTIONS} if task else {},
            "fault": fault,
            "refusal": code,
            "task_id": task.task_id if task else None,
            "status": None,
            "billed": False,
            "film_s": 0,
        }
        self._store.put_entry(task.task_id if task else None, entry)

    def forget(self, task: Task) -> None:
        """Keep the end of a task that will be forgotten."""
        self._store.close_entry(task.task_id, _fate(task))

    def read(self, backend: Backend) -> dict[str, Any]:
        """The journal as a JSON object."""
        backend.advance()
        creates = []
        for entry in self._store.entries():
            task = backend.find(entry["task_id"]) if entry["task_id"] else None
            creates.append({**entry, **_fate(task)} if task else entry)
        billed = [entry for entry in creates if entry["billed"]]
        return {
            "creates": creates,
            "counts": {operation: dict(outcomes) for operation, outcomes in self._counts.items()},
            "tasks": dict(Counter(entry["status"] for entry in creates if entry["task_id"])),
            "billed": {"videos": len(billed), "seconds": sum(entry["film_s"] for entry in billed)},
            "max_in_process": dict(backend.most_in_process),
            "peak_per_second": dict(self._peaks),
            "calls": list(self._calls),
        }

    def _count_peak(self, group: str) -> None:
        now = time.monotonic()
        recent = self._last_second[group]
        recent.append(now)
        while now - recent[0] >= 1.0:
            recent.popleft()
        self._peaks[group] = max(self._peaks[group], len(recent))


_QUERIES = ("get", "list", "cancel")


def _fate(task: Task) -> dict[str, Any]:
    """How a task stands."""
    reason = task.reason
    return {
        "status": task.status.value,
        "billed": task.billed,
        "film_s": task.film_s,
        "code": reason.code if reason else None,
        "message": reason.message if reason else None,
        "scheduled_at": task.scheduled_at.isoformat() if task.scheduled_at else None,
        "ended_at": task.ended_at.isoformat() if task.ended_at else None,
        "downloaded": task.downloaded,
        "vanishes": task.vanishes,
    }
