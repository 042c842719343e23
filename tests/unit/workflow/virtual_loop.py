"""An event loop whose clock jumps: a whole night passes in milliseconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


Trip = Callable[[str], None]
"""Told of each place that a drive comes by, such as ``list`` or ``create, carried out``; may raise there."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer whenever there is nothing to do.

    What is given to a thread runs at once and takes no time.
    """

    def __init__(self, trip: Trip = lambda _place: None) -> None:
        super().__init__()
        self._now_s = 0.0
        self._trip = trip

    def time(self) -> float:
        return self._now_s

    def pass_time(self, length: timedelta) -> None:
        """Lets time go by while nothing runs."""
        self._now_s += length.total_seconds()

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]  # for any function
        done = self.create_future()
        try:
            self._trip(_name_of(func))
            done.set_result(func(*args))
        except BaseException as error:  # noqa: BLE001  it belongs to whoever awaits it
            done.set_exception(error)
        return done

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]  # asyncio's own queues
            self._now_s = max(self._now_s, self._scheduled[0]._when)  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def _name_of(func: Any) -> str:
    """What ``asyncio.to_thread`` was given, by its name."""
    if isinstance(func, partial):
        func = func.args[0]
    return str(getattr(func, "__name__", func)).strip("_")


def run_virtually(work: Coroutine[Any, Any, T], loop: VirtualLoop) -> T:
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(work)
    finally:
        asyncio.set_event_loop(None)
