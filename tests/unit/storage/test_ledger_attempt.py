"""Attempts: one at a time, counted on, and asked for; the integration tests say it of PostgreSQL, too."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from unit.storage.made_attempts import NOON, SECOND, STALE, TO_STORED, ids, make_clip, make_clips, prepare, record, yuan

from kf2v_pipeline.domain.attempt import Attempt, FactKind, State
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.errors import LedgerError
from kf2v_pipeline.storage import schema
from kf2v_pipeline.storage.ledger import Ledger


def test_an_intent_is_on_record_before_anything_is_sent(ledger: Ledger, url: str) -> None:
    clip = make_clip()
    attempt = prepare(ledger, clip, at=NOON + timedelta(microseconds=123456), reserve=yuan("0.50"))
    assert attempt == Attempt(
        attempt_id=attempt.attempt_id,
        clip_id="cat",
        fingerprint=clip.fingerprint,
        number=1,
        service="local",
        model="kf2v",
        lane="local/kf2v",
        owner="one",
        prompt="A cat wakes up.",
        prepared_at=NOON + timedelta(microseconds=123456),
        reserved=Decimal("0.50"),
        currency="CNY",
    )
    with Ledger.open(url) as reopened:
        assert reopened.attempts() == (attempt,)


def test_only_the_holder_of_a_clip_prepares_an_attempt(ledger: Ledger) -> None:
    ledger.claim("one", ["cat"], at=NOON, stale_after=STALE)
    with pytest.raises(LedgerError, match="cat is not held by two"):
        ledger.prepare(make_clip(), owner="two", at=NOON)
    assert ledger.attempts() == ()


@pytest.mark.parametrize("facts", [TO_STORED[:n] for n in range(4)] + [(FactKind.REPLY_LOST,)])
def test_no_second_attempt_while_one_is_open_or_stored(ledger: Ledger, facts: tuple[FactKind, ...]) -> None:
    attempt = record(ledger, prepare(ledger), *facts)
    with pytest.raises(LedgerError, match=f"attempt 1 already, and it is {attempt.state.value}"):
        ledger.prepare(make_clip(), owner="one", at=NOON)
    assert ledger.attempts() == (attempt,)


def test_the_database_itself_refuses_a_second_open_attempt(ledger: Ledger) -> None:
    """Pins the last line of defence, for a writer that would not ask first."""
    prepare(ledger)
    same = dict.fromkeys(("service", "model", "lane", "owner"), "x") | {"clip_id": "cat", "number": 2}
    row = {"attempt_id": "x", "fingerprint": make_clip().fingerprint, "prepared_at": NOON, "state": State.PREPARED}
    with pytest.raises(LedgerError, match="can't be used"), ledger._write() as connection:
        connection.execute(sa.insert(schema.attempt).values(same | row))


@pytest.mark.parametrize(
    "facts",
    [
        (FactKind.REFUSED,),
        (FactKind.REPLY_LOST, FactKind.NEVER_LANDED),
        (FactKind.REPLY_LOST, FactKind.GIVEN_UP),
        (FactKind.ACCEPTED, FactKind.TASK_FAILED),
        (FactKind.ACCEPTED, FactKind.TASK_CANCELED),
        (FactKind.ACCEPTED, FactKind.TASK_VANISHED),
        (FactKind.ACCEPTED, FactKind.TASK_SUCCEEDED, FactKind.VIDEO_EXPIRED),
    ],
)
def test_after_a_bad_end_the_next_attempt_counts_on(ledger: Ledger, facts: tuple[FactKind, ...]) -> None:
    for _ in range(2):
        record(ledger, prepare(ledger), *facts)
    third = prepare(ledger)
    assert third.number == 3
    assert ledger.newest([make_clip()]) == {"cat": third}
    assert ledger.tries([make_clip()]) == {"cat": 3}


def test_other_words_make_another_video_with_attempts_of_its_own(ledger: Ledger) -> None:
    stored = record(ledger, prepare(ledger), *TO_STORED)
    changed = make_clip(prompt="Other words.")
    assert ledger.newest([changed]) == {}
    assert ledger.tries([changed]) == {"cat": 0}
    other = prepare(ledger, changed)
    assert other.number == 1
    assert ledger.newest([make_clip()]) == {"cat": stored}
    assert ledger.newest([changed]) == {"cat": other}


def test_an_attempt_whose_row_changed_or_went_is_left_over_with_its_clip_as_it_was(ledger: Ledger) -> None:
    before = [make_clip(name, prompt="Take 1") for name in ("changed", "gone", "same")]
    ledger.want("m.csv", before, at=NOON)
    attempts = {clip.clip_id: prepare(ledger, clip) for clip in before}

    ledger.want("m.csv", [make_clip("changed", prompt="Take 2"), before[2]], at=NOON)

    found = {leftover.clip.clip_id: (leftover.clip, leftover.attempt) for leftover in ledger.leftovers("m.csv")}
    assert found == {clip.clip_id: (clip, attempts[clip.clip_id]) for clip in before[:2]}
    assert (len(ledger.leftovers()), ledger.leftovers("other.csv")) == (2, ())


def test_an_attempt_knows_the_clip_that_it_was_made_for_whatever_its_row_says_by_now(ledger: Ledger) -> None:
    attempt = prepare(ledger, make_clip(prompt="As it was."))
    ledger.want("m.csv", [make_clip(prompt="As it is.")], at=NOON)
    assert ledger.clips_of([attempt.attempt_id, "nobody"]) == {attempt.attempt_id: make_clip(prompt="As it was.")}


def test_an_attempt_that_ended_is_not_left_over(ledger: Ledger) -> None:
    ledger.want("m.csv", [make_clip()], at=NOON)
    record(ledger, prepare(ledger), FactKind.REFUSED)
    ledger.want("m.csv", [], at=NOON)
    assert ledger.leftovers("m.csv") == ()


def test_stored_are_the_clips_whose_video_is_stored_as_they_are_wanted_now(ledger: Ledger) -> None:
    record(ledger, prepare(ledger, make_clip("a")), *TO_STORED)
    record(ledger, prepare(ledger, make_clip("b")), *TO_STORED)
    record(ledger, prepare(ledger, make_clip("c")), *TO_STORED[:2])
    assert ledger.stored([make_clip("a"), make_clip("b", seed=7), make_clip("c"), make_clip("d")]) == {"a"}


def test_attempts_are_given_in_the_order_in_which_they_were_prepared(ledger: Ledger) -> None:
    for number, clip in enumerate(make_clips(3)):
        prepare(ledger, clip, at=NOON - number * SECOND)
    assert ids(ledger.attempts()) == ["clip-2", "clip-1", "clip-0"]


def test_attempts_can_be_narrowed_down(ledger: Ledger) -> None:
    one, two, three = make_clip("a"), make_clip("b", model="other"), make_clip("c")
    for clip in (one, two, three):
        prepare(ledger, clip)
    record(ledger, ledger.newest([three])["c"], FactKind.REFUSED)
    assert ids(ledger.attempts(["a", "c"])) == ["a", "c"]
    assert ids(ledger.attempts(states=[State.PREPARED])) == ["a", "b"]
    assert ids(ledger.attempts(lane="local/other")) == ["b"]
    assert ids(ledger.attempts(["c", "b"], states={State.REFUSED}, lane="local/kf2v")) == ["c"]
    assert ledger.attempts([]) == ledger.attempts(states=[]) == ()


def test_known_tasks_are_those_of_attempts_that_were_prepared_since(ledger: Ledger) -> None:
    for number, clip in enumerate(make_clips(3)):
        record(ledger, prepare(ledger, clip, at=NOON + number * SECOND), FactKind.ACCEPTED, task_id=f"t-{number}")
    prepare(ledger, make_clip("unsent"), at=NOON + SECOND)
    assert ledger.known_task_ids(since=NOON + SECOND) == {"t-1", "t-2"}


def test_threads_share_a_ledger(ledger: Ledger) -> None:
    clips = make_clips(24)

    def make(clip: Clip) -> State:
        ledger.heartbeat("one", at=NOON)
        return record(ledger, prepare(ledger, clip, reserve=yuan("0.1")), *TO_STORED, cost=Decimal("0.1")).state

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(make, clips)) == {State.STORED}
    assert ledger.spend() == (yuan("2.4"),)
