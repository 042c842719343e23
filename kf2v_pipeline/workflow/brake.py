"""What holds one lane back: pauses, a service that refuses the surplus, a service that is out of reach."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from kf2v_pipeline.domain.rate import CreateRate
from kf2v_pipeline.errors import NotSent
from kf2v_pipeline.wan.catalog import Quota

LONGEST_PAUSE = timedelta(seconds=60)
"""After a rate limit the vendor says that a minute is enough (page of error codes)."""


class Brake:
    """A lane's reasons to wait.

    Attributes:
        surplus: Tasks that may wait at the service beyond those in process: one, until the service refuses it.
        rate: How fast creates may follow each other.

    Args:
        quota: What the lane may do.
        unreachable_after: How long the service may be out of reach before the lane is left.
    """

    def __init__(self, quota: Quota, unreachable_after: timedelta, clock: Callable[[], datetime]) -> None:
        self.surplus = 1
        self.rate = CreateRate.of(quota.creates_per_second)
        self._places = quota.tasks_in_process
        self._unreachable_after = unreachable_after
        self._clock = clock
        self._paused_until: datetime | None = None
        self._throttled_in_a_row = 0
        self._unreachable_since: datetime | None = None

    @property
    def paused_until(self) -> datetime | None:
        """When the lane may go on; None where nothing holds it back."""
        return self._paused_until if self._paused_until and self._paused_until > self._clock() else None

    def pause(self, length: timedelta) -> None:
        """Holds the lane for a while."""
        self._paused_until = self._clock() + length

    def is_full(self, in_flight: int) -> bool:
        """Whether another create is sure to be refused until a task ends."""
        return not self.surplus and in_flight >= self._places

    def throttle(self, in_flight: int) -> None:
        """After a 429: no surplus any more, half the rate, and a pause that doubles.

        Where all places are taken it was the surplus that was refused: then the end of a task is what to wait for.
        """
        self.surplus = 0
        if self.is_full(in_flight):
            return
        self.rate = self.rate.refused()
        self._throttled_in_a_row += 1
        self.pause(min(LONGEST_PAUSE, timedelta(seconds=2 ** (self._throttled_in_a_row - 1))))

    def reached(self) -> None:
        """A call came through."""
        self._unreachable_since = None

    def accepted(self) -> None:
        """A create was taken."""
        self.reached()
        self.rate = self.rate.accepted()
        self._throttled_in_a_row = 0

    def missed(self, error: NotSent) -> tuple[bool, str]:
        """A call did not reach the service.

        Returns:
            Whether that lasts too long; and a sentence for people, empty where they were told already.
        """
        now, limit = self._clock(), self._unreachable_after
        is_first = self._unreachable_since is None
        self._unreachable_since = self._unreachable_since or now
        if now - self._unreachable_since >= limit:
            seconds = f"{limit.total_seconds():g} s"
            return True, f"{error.what} for {seconds}; check KF2V_SERVICE and the network, and run again."
        return False, f"{error.what}; trying again for {limit.total_seconds():g} s." if is_first else ""
