"""The local server in a thread of this process, for tests."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from .clock import Clock
from .place import ServerError, own_url
from .scenario import Scenario
from .server import Server


class LocalServer:
    """A server in a thread of this process, for tests: ready when entered, gone when left.

    Args:
        directory: Where it keeps its tasks and films.
        clock: None for real time; a ``ScriptedClock`` moves only when the test moves it.
        port: 0 takes any that is free.
    """

    def __init__(
        self, directory: Path, *, scenario: Scenario | None = None, clock: Clock | None = None, port: int = 0
    ) -> None:
        self._ready = threading.Event()
        self._server = Server(directory, scenario=scenario, clock=clock, port=port, on_ready=self._ready.set)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="local server", daemon=True)

    def __enter__(self) -> LocalServer:
        self._thread.start()
        self._ready.wait(30)
        if self._error or not self.base_url:
            raise ServerError("The local server did not start.") from self._error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
        self._thread.join(30)

    @property
    def base_url(self) -> str:
        """What clients of the API are given."""
        return self._server.base_url

    def journal(self) -> dict[str, Any]:
        """What was asked of it, as ``GET /_server/journal`` tells it."""
        reply = httpx.get(own_url(self.base_url, "journal"), timeout=30, trust_env=False)
        reply.raise_for_status()
        journal: dict[str, Any] = reply.json()
        return journal

    def settle(self, timeout: timedelta = timedelta(minutes=2)) -> None:
        """Wait until no task waits or runs.

        Raises:
            httpx.TimeoutException: Some still do after that time.
        """
        httpx.get(own_url(self.base_url, "settled"), timeout=timeout.total_seconds(), trust_env=False)

    def _run(self) -> None:
        try:
            self._server.run()
        except BaseException as error:  # noqa: BLE001  it is raised again where the server was to be entered
            self._error = error
        finally:
            self._ready.set()
