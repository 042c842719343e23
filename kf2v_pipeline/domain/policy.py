"""What to do next, decided from what is known: pure functions over attempts. Doing it is the workflow's part."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from math import exp

from kf2v_pipeline.domain.attempt import Attempt, Remedy, State

MAX_FAILED_TRIES = 3
"""Tasks that may fail for one clip before a person is asked; failed tasks cost nothing (vendor page, billing)."""

MAX_TRIES = 10
"""Attempts of any kind before a person is asked: also creates that never arrived."""


class Standing(str, Enum):
    """Where a clip stands, as people are told."""

    PLANNED = "planned"
    IN_FLIGHT = "in_flight"
    STORED = "stored"
    FAILED = "failed"


def standing(attempt: Attempt | None, *, tries: int | None = None) -> Standing:
    """Where a clip stands, told by the newest attempt of its fingerprint.

    Args:
        attempt: None where none was made yet.
        tries: How many attempts count against the limits; None for all of them.
    """
    if attempt is None:
        return Standing.PLANNED
    if attempt.is_open:
        return Standing.IN_FLIGHT
    if attempt.state is State.STORED:
        return Standing.STORED
    return Standing.PLANNED if _may_try_again(attempt, attempt.number if tries is None else tries) else Standing.FAILED


def _may_try_again(attempt: Attempt, tries: int) -> bool:
    if attempt.remedy is Remedy.STOP_LANE:
        return True
    if attempt.remedy is not Remedy.RETRY:
        return False
    return tries < (MAX_TRIES if attempt.state is State.REFUSED else MAX_FAILED_TRIES)


def retry_at(attempt: Attempt) -> datetime:
    """When the next attempt may start after this one ended badly: at once, then 10 s, 40 s, 160 s later."""
    ended_at = attempt.ended_at or attempt.submitted_at or attempt.prepared_at
    if attempt.state is not State.FAILED:
        return ended_at
    return ended_at + timedelta(seconds=10 * 4 ** (min(attempt.number, MAX_FAILED_TRIES) - 1))


@dataclass(frozen=True, kw_only=True)
class Pace:
    """When a lane is looked at: rarely while an ending is improbable, closely when one is due.

    The vendor suggests 15 s between looks at a task (vendor page, "Polling suggestion"); a look of ours is one
    ``list`` for the whole lane, so even the closest pace is far from the account's 20 queries a second.

    Attributes:
        hit: How probable it should be that a look finds a task that ended, from 0 to 1. A low one looks often and
            learns of endings soon, a high one saves calls.
    """

    closest: timedelta = timedelta(seconds=2)
    widest: timedelta = timedelta(seconds=30)
    hit: float = 0.4

    def until_next_look(self, ages: Sequence[timedelta], learned: Sequence[timedelta]) -> timedelta:
        """How long to wait before the lane is looked at again.

        Args:
            ages: Since when each task in flight runs.
            learned: How long this lane's newest tasks took; may be empty.

        Returns:
            With little learned, a tenth of the youngest task's age. Else the time after which an ending is as
            probable as ``hit``, if tasks go on to take as long as they did.
        """
        if not ages:
            return self.widest
        if len(learned) < _ENOUGH:
            return self._within(min(ages) / 10)
        ordered = sorted(learned)
        wait, step = self.closest, (self.widest - self.closest) / 32
        while wait < self.widest and _chance_of_an_ending(ages, ordered, wait) < self.hit:
            wait += step
        return self._within(wait)

    def _within(self, wait: timedelta) -> timedelta:
        return min(max(wait, self.closest), self.widest)


_ENOUGH = 5
"""Lengths to know before they count as what tasks take."""


def _chance_of_an_ending(ages: Sequence[timedelta], ordered: Sequence[timedelta], wait: timedelta) -> float:
    """How probable it is that one of the tasks ends within ``wait``, by the lengths of those before."""
    chance_of_none = 1.0
    for age in ages:
        longer = len(ordered) - bisect_right(ordered, age)
        if longer:
            chance_of_none *= (len(ordered) - bisect_right(ordered, age + wait)) / longer
        else:  # it outlives all that is known: it may end at any time, most likely within a tenth of its age
            chance_of_none *= exp(-10 * (wait / max(age, timedelta.resolution)))
    return 1 - chance_of_none
