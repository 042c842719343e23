"""A bell that the tasks of a lane wait for: something has changed, so each looks whether it concerns it."""

from __future__ import annotations

import asyncio


class Bell:
    """Wakes all who wait for it when it rings, and is silent again at once.

    An ``asyncio.Event`` that is set and cleared wakes only those whose ``wait`` runs already: whoever sets it, and
    waits for the next change without giving way, would take the change from one who has just begun to wait.
    """

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Wakes all who wait."""
        for rung in self._waiting:
            if not rung.done():
                rung.set_result(None)
        self._waiting.clear()

    async def wait(self, timeout_s: float | None = None) -> None:
        """Waits for the next ring, or until the time is over; who calls this waits from that moment on.

        Args:
            timeout_s: Seconds; None for as long as it takes.
        """
        rung = asyncio.get_running_loop().create_future()
        self._waiting.add(rung)
        try:
            await asyncio.wait({rung}, timeout=timeout_s)  # ``wait_for`` may swallow a cancel, before Python 3.12
        finally:
            self._waiting.discard(rung)
