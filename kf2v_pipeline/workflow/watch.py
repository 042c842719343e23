"""Which tasks of a lane run, since when, and when they were seen last: what decides how a lane is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from kf2v_pipeline.domain.attempt import Attempt
from kf2v_pipeline.domain.policy import Lengths, Pace, Sighting
from kf2v_pipeline.domain.reading import TaskStatus

LEARNED_FOR = timedelta(minutes=1)
"""How long what was learned of a lane's lengths counts, where no task of this drive's ends meanwhile."""

VANISHED_AFTER_LOOKS = 3
"""Looks in a row that must say UNKNOWN before a young task counts as gone: one may be a replica that lags."""


class Watch:
    """What a lane knows of its tasks in flight.

    Args:
        places: Tasks that run at once; what was submitted beyond them waits at the service.
        learn: Tells how long the lane's newest tasks took.
    """

    def __init__(self, places: int, learn: Callable[[], Sequence[timedelta]]) -> None:
        self._places = places
        self._learn = learn
        self._lengths = Lengths(())
        self._learned_at: datetime | None = None
        self._running_since: dict[str, datetime] = {}
        self._seen_at: dict[str, datetime] = {}
        self._unknown_looks: Counter[str] = Counter()
        self._freed_at: datetime | None = None

    def saw(self, attempt: Attempt, status: TaskStatus, *, started_at: datetime | None, at: datetime) -> None:
        """A look showed a task that has not ended."""
        self._seen_at[attempt.attempt_id] = at
        self._unknown_looks.pop(attempt.attempt_id, None)
        if status is TaskStatus.RUNNING:
            since = started_at or self._running_since.get(attempt.attempt_id) or at
            self._running_since[attempt.attempt_id] = min(since, at)

    def is_gone(self, attempt: Attempt) -> bool:
        """A look knew nothing of a task; whether that was so often enough in a row to believe it."""
        self._unknown_looks[attempt.attempt_id] += 1
        return self._unknown_looks[attempt.attempt_id] >= VANISHED_AFTER_LOOKS

    def ended(self, attempt: Attempt, ended_at: datetime | None) -> None:
        """A look showed that a task has ended: another one has its place since then."""
        self._running_since.pop(attempt.attempt_id, None)
        self._seen_at.pop(attempt.attempt_id, None)
        self._unknown_looks.pop(attempt.attempt_id, None)
        self._learned_at = None
        if ended_at is not None:
            self._freed_at = max(self._freed_at or ended_at, ended_at)

    def until_next_look(self, attempts: Collection[Attempt], *, pace: Pace, now: datetime) -> timedelta:
        """How long to wait before the lane is looked at again."""
        return pace.until_next_look(self._sightings(attempts, now), self._known_lengths(now))

    def _known_lengths(self, now: datetime) -> Lengths:
        if self._learned_at is None or now - self._learned_at > LEARNED_FOR:
            self._lengths = Lengths(self._learn())
            self._learned_at = now
        return self._lengths

    def _sightings(self, attempts: Collection[Attempt], now: datetime) -> list[Sighting]:
        """The tasks that run. Of those that nobody has seen running, the oldest are taken to have the free places."""
        begun = {attempt.attempt_id: self._running_since.get(attempt.attempt_id) for attempt in attempts}
        free = self._places - sum(since is not None for since in begun.values())
        waiting = sorted((a for a in attempts if begun[a.attempt_id] is None), key=_submitted_at)
        for attempt in waiting[: max(free, 0)]:
            begun[attempt.attempt_id] = max(_submitted_at(attempt), self._freed_at or _submitted_at(attempt))
        return [
            self._sighting(since, self._seen_at.get(attempt.attempt_id), now)
            for attempt in attempts
            if (since := begun[attempt.attempt_id]) is not None
        ]

    def _sighting(self, since: datetime, seen_at: datetime | None, now: datetime) -> Sighting:
        seen = max((seen_at or since) - since, timedelta(0))
        return Sighting(age=max(now - since, seen), seen=seen)


def _submitted_at(attempt: Attempt) -> datetime:
    return attempt.submitted_at or attempt.prepared_at
