"""Drivers, as other processes see them: who lives, who holds a clip, and holding one for a moment oneself."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from kf2v_pipeline.storage.ledger import Driver, Ledger


def new_driver(run_id: str | None = None) -> Driver:
    """The identity of one drive in this process."""
    host, pid = socket.gethostname(), os.getpid()
    return Driver(owner=f"{host}-{pid}-{uuid.uuid4().hex[:8]}", host=host, pid=pid, run_id=run_id)


def living_drivers(ledger: Ledger, *, at: datetime, stale_after: timedelta) -> tuple[Driver, ...]:
    """The drivers that live: their heartbeat is fresh, and on this machine their process is there too."""
    return tuple(driver for driver in ledger.drivers(at=at, stale_after=stale_after) if not is_gone(driver))


def all_drivers(ledger: Ledger, *, at: datetime) -> tuple[Driver, ...]:
    """Every driver that the ledger knows, also those that were lost and that nobody dismissed yet."""
    return ledger.drivers(at=at, stale_after=timedelta(days=3650))


def dismiss_the_dead(ledger: Ledger, *, at: datetime, stale_after: timedelta, run_id: str | None = None) -> None:
    """Lets go of the claims of processes of this machine that are gone, without waiting for their silence.

    One that served a run stays known: the clip sensor finds in it that the run is lost.

    Args:
        run_id: A run that goes on in this process: those that served it before, and were lost, are forgotten.
    """
    heard = ledger.drivers(at=at, stale_after=stale_after)
    for driver in all_drivers(ledger, at=at):
        has_gone, is_silent = is_gone(driver), driver not in heard
        is_followed = bool(run_id) and driver.run_id == run_id and (has_gone or is_silent)
        if is_followed or (has_gone and not driver.run_id):
            ledger.dismiss(driver.owner, at=at)
        elif has_gone and not is_silent:
            ledger.release(driver.owner)


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Clips that a command holds, so that no drive touches them meanwhile.

    Attributes:
        owner: The command's name in the ledger.
        mine: Clips that it holds.
        held: Who drives the others, in words, by clip_id.
        beat: Says that the command lives; to be called every few seconds where it takes long.
    """

    owner: str
    mine: frozenset[str]
    held: Mapping[str, str]
    beat: Callable[[], None]


@contextmanager
def holding(
    ledger: Ledger, clip_ids: Collection[str], *, clock: Callable[[], datetime], stale_after: timedelta
) -> Iterator[Hold]:
    """Holds those of the clips that no living driver has, until it is left."""
    dismiss_the_dead(ledger, at=clock(), stale_after=stale_after)
    names = {driver.owner: describe(driver) for driver in ledger.drivers(at=clock(), stale_after=stale_after)}
    driver = new_driver()
    ledger.enlist(driver, at=clock())
    try:
        claim = ledger.claim(driver.owner, clip_ids, at=clock(), stale_after=stale_after)
        yield Hold(
            owner=driver.owner,
            mine=claim.mine,
            held={clip_id: names.get(owner, owner) for clip_id, owner in claim.held.items()},
            beat=lambda: ledger.heartbeat(driver.owner, at=clock()),
        )
    finally:
        ledger.dismiss(driver.owner, at=clock())


def describe(driver: Driver) -> str:
    """The driver in words that help to find it."""
    run = f", Dagster run {driver.run_id}" if driver.run_id else ""
    return f"process {driver.pid} on {driver.host}{run}"


def is_gone(driver: Driver) -> bool:
    """Whether its process ran on this machine, and does not any more."""
    if driver.host != socket.gethostname():
        return False
    try:
        os.kill(driver.pid, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False
