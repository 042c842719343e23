"""Processes that race on one ledger. Started as a program, this file is one of the racers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from threading import Timer
from typing import Any

import pytest

from kf2v_pipeline.domain.attempt import IN_PROCESS_STATES, Attempt, Fact, FactKind
from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.domain.price import Money
from kf2v_pipeline.errors import BudgetReached, LedgerError, NoPlace
from kf2v_pipeline.storage.ledger import Driver, Ledger, Places

RACERS = 3
PATIENCE_S = 240
NOON = datetime(2025, 6, 1, 12, tzinfo=timezone.utc)
STALE = timedelta(minutes=1)
FRAME = Frame(location="/a.png", sha256="a" * 64, width=640, height=360, size_bytes=5, format="PNG")
YUAN = Money(amount=Decimal(1), currency="CNY")

NAMES = [f"clip-{n}" for n in range(80)]
BUDGET = Money(amount=Decimal(30), currency="CNY")
QUOTA = Places(creates_per_second=1000, tasks_in_process=3)


def make_clip(clip_id: str) -> Clip:
    return Clip(
        clip_id=clip_id,
        row=1,
        service="local",
        model="kf2v",
        resolution="480P",
        first_frame=FRAME,
        last_frame=FRAME,
    )


def race_to_open(url: str, _racer: str) -> int:
    with Ledger.open(url) as ledger:
        return len(ledger.wanted())


def race_to_claim(url: str, racer: str) -> list[str]:
    """Claims all clips in short lists; some are nobody's, the others a driver's that is gone."""
    mine: list[str] = []
    with Ledger.open(url) as ledger:
        ledger.enlist(Driver(owner=racer, host="host", pid=1), at=NOON)
        for start in range(0, len(NAMES), 7):
            mine.extend(ledger.claim(racer, NAMES[start : start + 7], at=NOON, stale_after=STALE).mine)
    return mine


def race_to_prepare(url: str, _racer: str) -> dict[str, int]:
    """Prepares all clips for one and the same owner, so that no claim keeps the racers apart."""
    outcomes: Counter[str] = Counter()
    with Ledger.open(url) as ledger:
        for name in NAMES:
            try:
                ledger.prepare(make_clip(name), owner="everybody", at=NOON, reserve=YUAN, budget=BUDGET)
            except BudgetReached:
                outcomes["too expensive"] += 1
            except LedgerError as error:
                outcomes["taken" if "is not paid for twice" in str(error) else str(error)] += 1
            else:
                outcomes["prepared"] += 1
    return outcomes


def race_for_places(url: str, racer: str) -> dict[str, list[Any]]:
    """Takes places, uses each for one attempt, and gives it back; looks around whenever it has one."""
    granted_at: list[str] = []
    in_process: list[int] = []
    names = [f"{racer}-{n}" for n in range(12)]
    with Ledger.open(url) as ledger:
        ledger.enlist(Driver(owner=racer, host="host", pid=1), at=NOON)
        ledger.claim(racer, names, at=NOON, stale_after=STALE)
        at = NOON
        for name in names:
            clip = make_clip(name)
            while (attempt := try_to_prepare(ledger, clip, racer, at)) is None:
                at += timedelta(milliseconds=1)
            granted_at.append(at.isoformat())
            in_process.append(len(ledger.attempts(states=IN_PROCESS_STATES)))
            for kind in (FactKind.ACCEPTED, FactKind.TASK_FAILED):
                ledger.record(Fact(attempt_id=attempt.attempt_id, kind=kind, at=at))
    return {"granted_at": granted_at, "in_process": in_process}


def try_to_prepare(ledger: Ledger, clip: Clip, owner: str, at: datetime) -> Attempt | None:
    try:
        return ledger.prepare(clip, owner=owner, at=at, places=QUOTA)
    except NoPlace:
        return None


RACES = {race.__name__: race for race in (race_to_open, race_to_claim, race_to_prepare, race_for_places)}


class Racers:
    """Processes that have begun already, so that what they race for is all that they do."""

    def __init__(self, processes: list[subprocess.Popen[str]]) -> None:
        self._processes = processes

    def run(self, race: str, url: str) -> list[Any]:
        """What each racer came back with; all wait for each other at the start."""
        patience = Timer(PATIENCE_S, lambda: [process.kill() for process in self._processes])
        patience.start()
        try:
            self._tell([[race, url, f"racer-{n}"] for n in range(RACERS)])
            assert self._hear() == ["ready"] * RACERS
            self._tell(["go"] * RACERS)
            return self._hear()
        finally:
            patience.cancel()

    def _tell(self, words: list[Any]) -> None:
        for process, word in zip(self._processes, words, strict=True):
            assert process.stdin is not None
            process.stdin.write(f"{json.dumps(word)}\n")
            process.stdin.flush()

    def _hear(self) -> list[Any]:
        lines = [process.stdout.readline() for process in self._processes if process.stdout is not None]
        assert all(lines), "a racer ended; its output says why"
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def racers() -> Iterator[Racers]:
    """The same for every race: to begin one takes longer than a race."""
    with ExitStack() as begun:
        yield Racers(
            [
                begun.enter_context(
                    subprocess.Popen(
                        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                    )
                )
                for _ in range(RACERS)
            ]
        )


def test_processes_that_open_a_new_ledger_at_once_all_find_one(racers: Racers, ledger_url: str) -> None:
    assert racers.run("race_to_open", ledger_url) == [0] * RACERS


def test_a_clip_is_claimed_by_one_of_the_processes(racers: Racers, ledger_url: str) -> None:
    with Ledger.open(ledger_url) as ledger:
        ledger.enlist(Driver(owner="gone", host="host", pid=1), at=NOON - 2 * STALE)
        ledger.claim("gone", NAMES[::2], at=NOON - 2 * STALE, stale_after=STALE)
    claimed = [name for mine in racers.run("race_to_claim", ledger_url) for name in mine]
    assert sorted(claimed) == sorted(NAMES)


def test_a_clip_is_prepared_once_and_a_budget_is_never_passed(racers: Racers, ledger_url: str) -> None:
    with Ledger.open(ledger_url) as ledger:
        ledger.enlist(Driver(owner="everybody", host="host", pid=1), at=NOON)
        ledger.claim("everybody", NAMES, at=NOON, stale_after=STALE)
        outcomes: Counter[str] = Counter()
        for each in racers.run("race_to_prepare", ledger_url):
            outcomes.update(each)
        prepared = [attempt.clip_id for attempt in ledger.attempts()]
    assert outcomes["prepared"] == len(prepared) == len(set(prepared)) == BUDGET.amount
    assert outcomes.keys() <= {"prepared", "taken", "too expensive"}
    assert sum(outcomes.values()) == RACERS * len(NAMES)


def test_the_limits_of_a_lane_hold_across_processes(racers: Racers, ledger_url: str) -> None:
    Ledger.open(ledger_url).close()
    reports = racers.run("race_for_places", ledger_url)
    assert max(number for report in reports for number in report["in_process"]) <= QUOTA.tasks_in_process
    granted_at = sorted(datetime.fromisoformat(at) for report in reports for at in report["granted_at"])
    assert len(granted_at) == RACERS * 12
    spacing = timedelta(seconds=1 / QUOTA.creates_per_second)
    assert all(later - earlier >= spacing for earlier, later in pairwise(granted_at))


def say(word: Any) -> None:
    sys.stdout.write(f"{json.dumps(word)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    for line in iter(sys.stdin.readline, ""):
        race, *arguments = json.loads(line)
        say("ready")
        sys.stdin.readline()
        say(RACES[race](*arguments))
