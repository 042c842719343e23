"""Processes that begin at once, since they are forks of one that has imported everything."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import wait
from threading import Lock
from typing import Any

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["kf2v_pipeline.orchestration.definitions"])

_READING = Lock()
"""An exit code can be read once, and ``multiprocessing`` looks at every process whenever one is started (3.11,
``process._cleanup``): two threads that read the same one at the same time make 255 of it."""


class Life:
    """One process, from its beginning to its end. Several threads may have some each."""

    def __init__(self, work: Callable[..., None], *arguments: Any, **options: Any) -> None:
        self._process = _FORKS.Process(target=work, args=arguments, kwargs=options)
        with _READING:
            self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    def ends_within(self, seconds: float) -> bool:
        """Waits for its end, so long at most; whether it has come."""
        return bool(wait([self._process.sentinel], seconds))

    def kill(self) -> None:
        """Ends it at once, if it has not ended."""
        with _READING:
            self._process.kill()

    def exit_code(self) -> int | None:
        """What it ended with, the negative number of a signal that killed it; None while it lives."""
        with _READING:
            return self._process.exitcode
