"""How many calls a second: one window per quota. Which calls count against which quota is decided elsewhere."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

WINDOW = timedelta(seconds=0.95)
"""A second, less what a client that paces itself exactly may lose on the way (jitter is not its fault)."""


class RateWindow:
    """Lets through so many calls in any second; a call that is turned away does not count."""

    def __init__(self) -> None:
        self._admitted: deque[datetime] = deque()

    def admit(self, at: datetime, limit: float) -> bool:
        """Whether a call at this instant is within the limit; if it is, it is counted."""
        while self._admitted and at - self._admitted[0] >= WINDOW:
            self._admitted.popleft()
        if len(self._admitted) >= limit:
            return False
        self._admitted.append(at)
        return True
