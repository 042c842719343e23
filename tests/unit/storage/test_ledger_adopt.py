"""Attempts of another ledger that come into this one; the integration tests say it of PostgreSQL, too."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from unit.storage.made_attempts import NOON, STALE, TO_STORED, make_clip, prepare, record, yuan

from kf2v_pipeline.domain.attempt import Attempt, Fact, FactKind, State
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.errors import BudgetReached, IllegalMove, LedgerError
from kf2v_pipeline.storage.ledger import Ledger

HISTORY = (
    Fact(attempt_id="old", kind=FactKind.ACCEPTED, at=NOON, detail={"task_id": "task", "submitted_at": NOON}),
    Fact(attempt_id="old", kind=FactKind.TASK_SUCCEEDED, at=NOON, detail={"cost": Decimal("0.5"), "currency": "CNY"}),
    Fact(attempt_id="old", kind=FactKind.VIDEO_STORED, at=NOON, detail={"video_path": "a.mp4", "error_code": None}),
)


def old_attempt(clip: Clip | None = None, **changes: Any) -> Attempt:
    """An attempt as another ledger prepared it."""
    clip = clip or make_clip()
    values: dict[str, Any] = {
        "attempt_id": "old",
        "clip_id": clip.clip_id,
        "fingerprint": clip.fingerprint,
        "number": 1,
        "service": clip.service,
        "model": clip.model,
        "lane": clip.lane,
        "owner": "",
        "prompt": clip.prompt,
        "prepared_at": NOON,
    }
    return Attempt(**values | changes)


def adopt(ledger: Ledger, attempt: Attempt, facts: tuple[Fact, ...] = HISTORY) -> Attempt:
    ledger.claim("one", [attempt.clip_id], at=NOON, stale_after=STALE)
    return ledger.adopt(attempt, facts, owner="one")


def test_an_attempt_of_another_ledger_comes_in_with_its_history(ledger: Ledger) -> None:
    adopted = adopt(ledger, old_attempt(number=3, prompt="A\0cat"))
    assert ledger.attempts() == (adopted,)
    assert (adopted.state, adopted.number, adopted.owner, adopted.task_id) == (State.STORED, 3, "one", "task")
    assert [(fact.kind, fact.detail) for fact in ledger.facts(adopted.attempt_id)] == [
        (fact.kind, fact.detail) for fact in HISTORY
    ]


def test_what_is_adopted_counts_as_paid_on_its_day(ledger: Ledger) -> None:
    adopt(ledger, old_attempt())
    assert ledger.spend() == (yuan("0.5"),)
    with pytest.raises(BudgetReached, match=r"The budget of 0\.6 CNY a day is reached: 0\.5 is spent"):
        prepare(ledger, make_clip("dog"), reserve=yuan("0.2"), daily_budget=yuan("0.6"))


@pytest.mark.parametrize("facts", [(), (FactKind.REPLY_LOST,), TO_STORED])
def test_nothing_is_adopted_beside_an_attempt_that_is_alive(ledger: Ledger, facts: tuple[FactKind, ...]) -> None:
    alive = record(ledger, prepare(ledger), *facts) if facts else prepare(ledger)
    with pytest.raises(LedgerError, match="it is not paid for twice"):
        adopt(ledger, old_attempt())
    assert ledger.attempts() == (alive,)


def test_what_is_adopted_counts_on_after_attempts_that_ended_badly(ledger: Ledger) -> None:
    failed = record(ledger, prepare(ledger), FactKind.REFUSED)
    adopted = adopt(ledger, old_attempt(attempt_id=failed.attempt_id))
    assert (adopted.number, adopted.state) == (2, State.STORED)
    assert adopted.attempt_id != failed.attempt_id


@pytest.mark.parametrize(
    ("known", "learned"),
    [
        ((), "accepted"),
        ((FactKind.REPLY_LOST,), "found"),
        ((FactKind.ACCEPTED,), "task_succeeded"),
        ((FactKind.ACCEPTED, FactKind.TASK_SUCCEEDED), "video_stored"),
    ],
)
def test_an_attempt_whose_end_was_not_seen_learns_just_that(
    ledger: Ledger, known: tuple[FactKind, ...], learned: str
) -> None:
    attempt = prepare(ledger)
    if known:
        record(ledger, attempt, *known)
    adopted = adopt(ledger, old_attempt(attempt_id=attempt.attempt_id))
    assert ledger.attempts() == (adopted,)
    assert (adopted.attempt_id, adopted.state) == (attempt.attempt_id, State.STORED)
    assert ledger.facts(attempt.attempt_id)[len(known)].kind.value == learned


def test_only_the_holder_of_a_clip_adopts_for_it(ledger: Ledger) -> None:
    ledger.claim("two", ["cat"], at=NOON, stale_after=STALE)
    with pytest.raises(LedgerError, match="Clip cat is not held by one"):
        adopt(ledger, old_attempt())
    assert ledger.attempts() == ()


def test_what_is_no_history_leaves_no_trace(ledger: Ledger) -> None:
    with pytest.raises(IllegalMove):
        adopt(ledger, old_attempt(), HISTORY[::2])
    assert ledger.attempts() == ()
    assert ledger.spend() == ()
