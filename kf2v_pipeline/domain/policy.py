"""What to do next, decided from what is known: pure functions over attempts. Doing it is the workflow's part."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import accumulate, pairwise
from math import exp

from kf2v_pipeline.domain.attempt import Attempt, Remedy, State

MAX_FAILED_TRIES = 3
"""Tasks that may fail for one clip before a person is asked; failed tasks cost nothing (vendor page, billing)."""

MAX_TRIES = 10
"""Attempts of any kind before a person is asked: also creates that never arrived."""

FRAME_WAITS = (timedelta(seconds=10), timedelta(seconds=40), timedelta(seconds=160))
"""How long after each time that a frame can't be read it is read again; then a person is asked."""


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


def is_held_up(
    possible_lanes: Collection[str], attempt: Attempt | None, *, without: Collection[str], left: Collection[str]
) -> bool:
    """Whether a clip waits for lanes: for all that may make its next attempt, or for the one that its task is in.

    A task is looked at and collected also in a lane that takes no clips: that costs nothing.

    Args:
        possible_lanes: Those that may make the clip; none where that is not known.
        attempt: Its newest one; None where none was made yet.
        without: The lanes that take no clips.
        left: The lanes whose service tells nothing of their tasks.
    """
    if attempt is not None and attempt.is_open:
        return attempt.lane in left
    return bool(possible_lanes) and set(possible_lanes) <= set(without)


def retry_at(attempt: Attempt) -> datetime:
    """When the next attempt may start after this one ended badly: at once, then 10 s, 40 s, 160 s later."""
    ended_at = attempt.ended_at or attempt.submitted_at or attempt.prepared_at
    if attempt.state is not State.FAILED:
        return ended_at
    return ended_at + timedelta(seconds=10 * 4 ** (min(attempt.number, MAX_FAILED_TRIES) - 1))


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A task in flight, as far as it is known.

    Attributes:
        age: Since when it runs, now.
        seen: How long it had run when it was seen last; it may have ended since then.
    """

    age: timedelta
    seen: timedelta


class Lengths:
    """How long a lane's tasks took before, and what follows for those that run: pure arithmetic.

    Between two lengths that are known any other is as probable; a task may also outlive all of them.

    Args:
        learned: Lengths of the newest tasks, in any order.
    """

    def __init__(self, learned: Sequence[timedelta]) -> None:
        known = sorted(length.total_seconds() for length in learned)
        self.are_enough = len(known) >= _ENOUGH
        if not known:
            return
        gap = (known[-1] - known[0]) / len(known)
        self._at = [max(0.0, known[0] - gap), *known]
        self._share = [number / (len(known) + 1) for number in range(len(known) + 1)]
        heights = ((one + other) / 2 for one, other in pairwise(self._share))
        widths = (other - one for one, other in pairwise(self._at))
        self._area = [0.0, *accumulate(height * width for height, width in zip(heights, widths, strict=True))]

    def waited(self, sighting: Sighting, after: timedelta) -> float:
        """How many seconds the task's end will probably have gone unnoticed, if nobody looks for so long."""
        seen, age = sighting.seen.total_seconds(), (sighting.age + after).total_seconds()
        if seen >= self._at[-1]:  # it may end at any time, most likely within a tenth of its age
            mean = max(seen / 10, 1e-6)
            return (age - seen) - mean * (1 - exp(-(age - seen) / mean))
        (share, area), (_, area_then) = self._until(seen), self._until(age)
        return max(0.0, (area_then - area - share * (age - seen)) / (1 - share))

    def _until(self, age_s: float) -> tuple[float, float]:
        """Which share of the tasks ended by that age, and how long they have ended, added up."""
        place = bisect_right(self._at, age_s) - 1
        if place < 0:
            return 0.0, 0.0
        share, area, past = self._share[place], self._area[place], age_s - self._at[place]
        if place + 1 < len(self._at):
            slope = (self._share[place + 1] - share) / (self._at[place + 1] - self._at[place])
            return share + slope * past, area + share * past + slope * past**2 / 2
        return share, area + share * past


@dataclass(frozen=True, kw_only=True)
class Pace:
    """When a lane is looked at: rarely while an ending is improbable, closely when one is due.

    A look is worth its call once the time that endings have probably gone unnoticed, added up and times the tasks that
    run, comes to ``patience``. For tasks that end at random that is the schedule with the fewest looks for a given
    delay (one each sqrt(2 patience / tasks / rate); Barlow, Hunter and Proschan 1963), and a clip takes as many looks
    whatever the quota is. ``bench/makespan`` shows it beside the best that is possible where lengths are known.

    The vendor suggests 15 s between looks at a task (vendor page, "Polling suggestion"); a look of ours is one
    ``list`` for the whole lane, so even the closest pace is far from the account's 20 queries a second.

    Attributes:
        patience: A short one looks often and learns of endings soon, a long one saves calls.
    """

    closest: timedelta = timedelta(seconds=2)
    widest: timedelta = timedelta(seconds=30)
    patience: timedelta = timedelta(seconds=12)

    def until_next_look(self, sightings: Sequence[Sighting], lengths: Lengths) -> timedelta:
        """How long to wait before the lane is looked at again.

        Args:
            sightings: The tasks that run.
            lengths: What was learned of them.

        Returns:
            With nothing learned, a fifth of the youngest task's age. Else the time after which a look is worth it.
        """
        if not sightings:
            return self.widest
        if not lengths.are_enough:
            return self._within(min(sighting.age for sighting in sightings) / 5)
        enough_s = self.patience.total_seconds() / len(sightings)
        least, most = self.closest, self.widest
        while most - least > _EXACT:
            middle = (least + most) / 2
            if sum(lengths.waited(sighting, middle) for sighting in sightings) < enough_s:
                least = middle
            else:
                most = middle
        return most

    def _within(self, wait: timedelta) -> timedelta:
        return min(max(wait, self.closest), self.widest)


_ENOUGH = 2
"""Lengths to know before they count as what tasks take."""

_EXACT = timedelta(seconds=0.05)
