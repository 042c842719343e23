"""One directory's service: its parts, made, joined and closed. What each does belongs to its own module."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from .backend import Backend
from .clock import Clock, RunningClock
from .fault import FaultPlan
from .frame import Frames
from .journal import Journal
from .scenario import Scenario
from .store import Store
from .task import Task
from .upload import Uploads
from .workshop import Workshop

log = logging.getLogger(__name__)

TICK_S = 0.05
"""Longest real time in which something that became due stays undone."""

IDLE_TICK_S = 0.5
"""The same while no task is in process."""

SWEEP_S = 60.0
"""Real time between two looks at the disk."""


@dataclass(kw_only=True)
class Service:
    """Everything that routes need.

    Attributes:
        asked_at: When the last call came, by the monotonic clock.
        calls_open: Calls that are being answered.
    """

    directory: Path
    scenario: Scenario
    clock: Clock
    store: Store
    backend: Backend
    workshop: Workshop
    uploads: Uploads
    journal: Journal
    faults: FaultPlan
    secret: bytes
    rng: random.Random
    asked_at: float = field(default_factory=time.monotonic)
    calls_open: int = 0

    @property
    def idle_s(self) -> float:
        """For how long nothing was asked and no task was in process, in real seconds."""
        if self.calls_open or self.backend.busy:
            self.asked_at = time.monotonic()
        return time.monotonic() - self.asked_at

    def sweep(self) -> None:
        """Clear away what has expired."""
        for task in self.workshop.sweep():
            self.journal.forget(task)
        self.uploads.sweep()


@contextlib.asynccontextmanager
async def open_service(
    directory: Path, *, scenario: Scenario, clock: Clock | None, allow_private: bool
) -> AsyncIterator[Service]:
    """The service of a directory that exists, with its work going on in the background.

    Args:
        directory: Where everything is kept.
        scenario: Its script.
        clock: None for real time, at the scenario's speed.
        allow_private: Whether frames may be fetched from private addresses.
    """
    store = Store(directory / "server.sqlite")
    with contextlib.closing(store):
        clock = clock or _running_clock(store, scenario)
        faults = FaultPlan(scenario.faults, scenario.seed)
        secret = store.secret()
        uploads = Uploads(directory / "uploads", store=store, clock=clock, secret=secret)
        frames = Frames(directory / "frames", upload_path=uploads.path, allow_private=allow_private)
        workshop = Workshop(directory, frames=frames, disk_bytes=scenario.disk_bytes)
        backend = Backend(store=store, clock=clock, scenario=scenario, faults=faults, on_start=workshop.render)
        workshop.backend = backend
        service = Service(
            directory=directory,
            scenario=scenario,
            clock=clock,
            store=store,
            backend=backend,
            workshop=workshop,
            uploads=uploads,
            journal=Journal(store),
            faults=faults,
            secret=secret,
            rng=random.Random(),  # noqa: S311  seeds of films, no secrets
        )
        workshop.resume()
        ticking = asyncio.get_running_loop().create_task(_tick(service))
        try:
            yield service
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
            await workshop.close()


def _running_clock(store: Store, scenario: Scenario) -> Clock:
    latest = max((_latest(task) for task in store.tasks()), default=None)
    return RunningClock(speed=scenario.speed, not_before=latest)


def _latest(task: Task) -> datetime:
    return max(at for at in (task.created_at, task.checked_at, task.scheduled_at, task.ready_at, task.ended_at) if at)


async def _tick(service: Service) -> None:
    """Play what becomes due while nobody asks, and sweep now and then."""
    swept = -SWEEP_S
    while True:
        try:
            service.backend.advance()
            if time.monotonic() - swept >= SWEEP_S:
                swept = time.monotonic()
                service.sweep()
        except Exception:  # whatever broke, tasks must go on, and the log tells of it
            log.exception("The server's housekeeping failed; it goes on.")
        await asyncio.sleep(TICK_S if service.backend.busy else IDLE_TICK_S)
