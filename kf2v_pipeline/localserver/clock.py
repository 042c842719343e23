"""The server's clocks: real, sped up, or moved by a test. Nothing else in this package reads the time of a task."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Protocol


class Clock(Protocol):
    """Tells the server's time; it never goes back."""

    def now(self) -> datetime:
        """The present instant, aware UTC."""
        ...


class RunningClock:
    """Real time, or faster.

    Args:
        speed: Seconds of the server's time in one real second.
        not_before: Where the clock starts if that is later than the real time: what a sped-up server has already
            written down must not lie in the future after its restart.
    """

    def __init__(self, *, speed: float = 1.0, not_before: datetime | None = None) -> None:
        self._began = datetime.now(timezone.utc)
        self._start = self._latest = max(self._began, not_before) if not_before else self._began
        self._speed = speed

    def now(self) -> datetime:
        """The present instant, aware UTC; a machine that slept or was set to another time is followed, forward only."""
        passed = datetime.now(timezone.utc) - self._began
        self._latest = max(self._latest, self._start + passed * self._speed)
        return self._latest


class ScriptedClock:
    """Stands still until a test moves it."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc)) -> None:
        self._now = now

    def now(self) -> datetime:
        """The present instant, aware UTC."""
        return self._now

    def advance(self, by: timedelta) -> None:
        """Move on.

        Raises:
            ValueError: The step goes back.
        """
        if by < timedelta(0):
            raise ValueError("a clock does not go back")
        self._now += by
