"""Facts: kept exactly, in their order, and only where legal; the integration tests say it of PostgreSQL, too."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import reduce
from typing import Any

import pytest
import sqlalchemy as sa
from statements import sent_statements
from unit.storage.made_attempts import NOON, TO_STORED, WESTERN, make_clip, make_clips, prepare, record, yuan

from kf2v_pipeline.domain.attempt import Fact, FactKind, Remedy, fold
from kf2v_pipeline.errors import IllegalMove, LedgerError
from kf2v_pipeline.storage import schema
from kf2v_pipeline.storage.ledger import Ledger

EVERYTHING: dict[str, Any] = {
    "reserved": Decimal("0.70"),
    "currency": "USD",
    "cost": Decimal("0.123456789012345678901"),
    "task_id": "t-1",
    "request_id": "r-1",
    "unconfirmed_at": NOON + timedelta(microseconds=1),
    "submitted_at": NOON.astimezone(WESTERN),
    "started_at": NOON + timedelta(milliseconds=1),
    "ended_at": NOON + timedelta(days=200),
    "stored_at": NOON,
    "actual_prompt": "Ein Kätzchen – 小猫 🐈",
    "video_source": "host/a.mp4",
    "video_path": "videos/cat/1.mp4",
    "sha256": "c" * 64,
    "size_bytes": 2**40,
    "width": 832,
    "height": 480,
    "fps": 29.97,
    "frames": 150,
    "duration_s": 5.005,
    "codec": "h264",
    "error_code": None,
    "error_message": "",
    "remedy": Remedy.PERSON,
}


def test_whatever_a_fact_tells_is_kept_exactly(ledger: Ledger) -> None:
    attempt = record(ledger, prepare(ledger), FactKind.ACCEPTED, **EVERYTHING)
    kept = ledger.attempts()[0]
    assert kept == attempt
    assert {name: getattr(kept, name) for name in EVERYTHING} == EVERYTHING
    assert kept.submitted_at is not None
    assert kept.submitted_at.tzinfo is timezone.utc
    assert isinstance(kept.remedy, Remedy)


def test_the_facts_of_an_attempt_fold_into_its_row(ledger: Ledger) -> None:
    prepared = prepare(ledger, reserve=yuan("0.5"))
    record(ledger, prepared, FactKind.ACCEPTED, **EVERYTHING)
    record(ledger, prepared, FactKind.TASK_SUCCEEDED, cost=Decimal("0.6"), remedy=None)
    stored = record(ledger, prepared, FactKind.VIDEO_STORED, stored_at=NOON)
    facts = ledger.facts(prepared.attempt_id)
    assert [fact.kind for fact in facts] == list(TO_STORED)
    assert facts[0] == Fact(attempt_id=prepared.attempt_id, kind=FactKind.ACCEPTED, at=NOON, detail=EVERYTHING)
    assert reduce(fold, facts, prepared) == stored == ledger.attempts()[0]


def test_the_facts_of_all_attempts_are_kept_in_the_order_in_which_they_came(ledger: Ledger) -> None:
    one, two = (prepare(ledger, clip) for clip in make_clips(2))
    record(ledger, one, FactKind.ACCEPTED)
    record(ledger, two, FactKind.REPLY_LOST)
    record(ledger, one, FactKind.TASK_FAILED)
    with ledger._read() as connection:
        kinds = connection.scalars(sa.select(schema.fact.c.kind).order_by(schema.fact.c.seq)).all()
    assert kinds == [FactKind.ACCEPTED, FactKind.REPLY_LOST, FactKind.TASK_FAILED]


def test_an_illegal_move_changes_nothing(ledger: Ledger) -> None:
    refused = record(ledger, prepare(ledger), FactKind.REFUSED)
    with pytest.raises(IllegalMove):
        record(ledger, refused, FactKind.ACCEPTED, task_id="t-1")
    assert ledger.attempts() == (refused,)
    assert len(ledger.facts(refused.attempt_id)) == 1


def test_a_fact_of_an_attempt_that_moved_on_meanwhile_is_judged_by_what_it_is_now(ledger: Ledger) -> None:
    prepared = prepare(ledger)
    lost = record(ledger, prepared, FactKind.REPLY_LOST)
    with pytest.raises(IllegalMove, match="unconfirmed"):
        ledger.record(Fact(attempt_id=prepared.attempt_id, kind=FactKind.ACCEPTED, at=NOON), known=prepared)
    assert ledger.attempts() == (lost,)
    assert len(ledger.facts(lost.attempt_id)) == 1


def test_an_attempt_that_is_known_is_not_read_before_its_fact_is_written(ledger: Ledger) -> None:
    prepared = prepare(ledger)
    fact = Fact(attempt_id=prepared.attempt_id, kind=FactKind.ACCEPTED, at=NOON, detail={"task_id": "t-1"})

    with sent_statements() as sent:
        now = ledger.record(fact, known=prepared)

    assert not [statement for statement in sent if "FROM kf2v_attempt" in statement]
    assert ledger.attempts() == (now,)


@pytest.mark.parametrize("detail", [{"owner": "two"}, {"colour": "red"}, {"ended_at": datetime(2025, 6, 1)}])  # noqa: DTZ001 - the point
def test_a_detail_that_makes_no_sense_changes_nothing(ledger: Ledger, detail: dict[str, Any]) -> None:
    attempt = prepare(ledger)
    with pytest.raises(ValueError, match=r"a fact can't set|has no zone"):
        record(ledger, attempt, FactKind.ACCEPTED, **detail)
    assert ledger.attempts() == (attempt,)
    assert ledger.facts(attempt.attempt_id) == ()


def test_a_fact_of_an_attempt_that_nobody_prepared_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="no attempt unknown"):
        ledger.record(Fact(attempt_id="unknown", kind=FactKind.ACCEPTED, at=NOON))


def test_text_that_no_database_takes_does_not_cost_a_paid_video(ledger: Ledger) -> None:
    """The service cuts prompts, and may cut a character in two."""
    attempt = prepare(ledger, make_clip(prompt="half \ud83d"))
    assert attempt.prompt == "half ?"
    submitted = record(ledger, attempt, FactKind.ACCEPTED, actual_prompt="nul \0, half \ud83d")
    assert submitted.actual_prompt == "nul ?, half ?"
    assert ledger.attempts() == (submitted,)
    assert reduce(fold, ledger.facts(attempt.attempt_id), attempt) == submitted
