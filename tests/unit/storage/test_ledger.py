"""What the ledger promises, on whatever database the fixture ``url`` names; the integration tests name another one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import reduce
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kf2v_pipeline.domain.attempt import Attempt, Fact, FactKind, Remedy, State, fold
from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.domain.price import Money
from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.domain.quality import Quality
from kf2v_pipeline.errors import BudgetReached, IllegalMove, LedgerError
from kf2v_pipeline.storage import schema
from kf2v_pipeline.storage.ledger import Change, Claim, Cut, Driver, Ledger

NOON = datetime(2025, 6, 1, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
STALE = timedelta(minutes=1)
MANY = 2_000  # more than fits into one IN list, twice


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where an empty ledger may be made."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """An empty ledger with two drivers, ``one`` and ``two``."""
    with Ledger.open(url) as opened:
        for owner in ("one", "two"):
            opened.enlist(Driver(owner=owner, host="host", pid=1), at=NOON)
        yield opened


def make_frame(name: str = "a") -> Frame:
    return Frame(location=f"/{name}.png", sha256=name[0] * 64, width=640, height=360, size_bytes=5, format="PNG")


def make_clip(clip_id: str = "cat", **changes: Any) -> Clip:
    values: dict[str, Any] = {
        "clip_id": clip_id,
        "row": 1,
        "service": "local",
        "model": "kf2v",
        "resolution": "480P",
        "first_frame": make_frame("a"),
        "last_frame": make_frame("b"),
        "prompt": "A cat wakes up.",
        "carried": {"scene": "Küche 厨房", "take": 3},
    }
    return Clip(**values | changes)


def make_clips(number: int) -> list[Clip]:
    return [make_clip(f"clip-{n}", row=n + 1, prompt=f"Take {n}") for n in range(number)]


def yuan(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="CNY")


def prepare(
    ledger: Ledger, clip: Clip | None = None, *, owner: str = "one", at: datetime = NOON, **money: Any
) -> Attempt:
    clip = clip or make_clip()
    ledger.claim(owner, [clip.clip_id], at=NOON, stale_after=STALE)
    return ledger.prepare(clip, owner=owner, at=at, **money)


def record(ledger: Ledger, attempt: Attempt, *kinds: FactKind, **detail: Any) -> Attempt:
    """Records facts one after the other; the detail comes with the last one."""
    for kind in kinds:
        told = detail if kind is kinds[-1] else {}
        attempt = ledger.record(Fact(attempt_id=attempt.attempt_id, kind=kind, at=NOON, detail=told))
    return attempt


TO_STORED = (FactKind.ACCEPTED, FactKind.TASK_SUCCEEDED, FactKind.VIDEO_STORED)


def ids(found: Any) -> list[str]:
    return [each.clip_id for each in found]


# What is wanted


def test_a_new_manifest_makes_all_its_clips_wanted_in_its_order(ledger: Ledger) -> None:
    clips = [make_clip("b"), make_clip("a", last_frame=None, template="hufu-1"), make_clip("c", seed=7)]
    assert ledger.want("m.csv", clips, at=NOON) == Change(new=("b", "a", "c"))
    assert ledger.wanted() == tuple(clips)


def test_a_manifest_that_did_not_change_rewrites_nothing(ledger: Ledger) -> None:
    ledger.want("m.csv", make_clips(3), at=NOON)
    assert ledger.want("m.csv", make_clips(3), at=NOON + SECOND).unchanged == ("clip-0", "clip-1", "clip-2")
    with ledger._read() as connection:
        assert set(connection.scalars(sa.select(schema.clip.c.written_at))) == {NOON}


def test_a_changed_prompt_makes_the_clip_a_changed_one(ledger: Ledger) -> None:
    ledger.want("m.csv", [make_clip("a"), make_clip("b")], at=NOON)
    changed = make_clip("b", prompt="Other words.")
    assert ledger.want("m.csv", [make_clip("a"), changed], at=NOON) == Change(changed=("b",), unchanged=("a",))
    assert ledger.wanted(["b"]) == (changed,)


def test_a_clip_whose_row_or_columns_changed_is_unchanged_and_kept_as_it_is_now(ledger: Ledger) -> None:
    ledger.want("m.csv", [make_clip("a", row=1), make_clip("b", row=2)], at=NOON)
    now = [make_clip("b", row=1, carried={"take": 4}), make_clip("a", row=2)]
    assert ledger.want("m.csv", now, at=NOON) == Change(unchanged=("b", "a"))
    assert ledger.wanted() == tuple(now)


def test_a_fingerprint_that_was_kept_is_found_anew_at_every_reading_of_the_manifest(ledger: Ledger) -> None:
    """Rows are trusted between readings, so a reading must mend one that another version wrote."""
    ledger.want("m.csv", make_clips(2), at=NOON)
    with ledger._write() as connection:
        connection.execute(sa.update(schema.clip).where(schema.clip.c.clip_id == "clip-1").values(fingerprint="old"))
    assert [clip.fingerprint for clip in ledger.wanted(["clip-1"])] == ["old"]
    assert ledger.want("m.csv", make_clips(2), at=NOON) == Change(changed=("clip-1",), unchanged=("clip-0",))
    assert [clip.fingerprint for clip in ledger.wanted()] == [clip.fingerprint for clip in make_clips(2)]


def test_a_clip_that_left_the_manifest_is_not_wanted_any_more(ledger: Ledger) -> None:
    ledger.want("m.csv", make_clips(3), at=NOON)
    kept = make_clips(3)[1:2]
    assert ledger.want("m.csv", kept, at=NOON).retired == ("clip-0", "clip-2")
    assert ledger.wanted() == tuple(kept)
    assert ledger.want("m.csv", kept, at=NOON).retired == ()


def test_a_clip_that_comes_back_is_new(ledger: Ledger) -> None:
    ledger.want("m.csv", [make_clip()], at=NOON)
    ledger.want("m.csv", [], at=NOON)
    assert ledger.want("m.csv", [make_clip()], at=NOON) == Change(new=("cat",))
    assert ids(ledger.wanted()) == ["cat"]


def test_a_manifest_does_not_retire_the_clips_of_another(ledger: Ledger) -> None:
    ledger.want("m.csv", [make_clip("a")], at=NOON)
    assert ledger.want("n.csv", [make_clip("b")], at=NOON) == Change(new=("b",))
    assert ids(ledger.wanted()) == ["a", "b"]


def test_a_clip_belongs_to_the_manifest_that_named_it_last(ledger: Ledger) -> None:
    ledger.want("m.csv", [make_clip("a")], at=NOON)
    assert ledger.want("n.csv", [make_clip("a")], at=NOON) == Change(unchanged=("a",))
    assert ledger.want("m.csv", [], at=NOON) == Change()
    assert ids(ledger.wanted()) == ["a"]


def test_a_clip_id_that_is_there_twice_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="twice"):
        ledger.want("m.csv", [make_clip(), make_clip()], at=NOON)
    assert ledger.wanted() == ()


def test_wanted_clips_can_be_asked_for_by_name(ledger: Ledger) -> None:
    ledger.want("m.csv", make_clips(5), at=NOON)
    assert ids(ledger.wanted(["clip-4", "clip-1", "unknown"])) == ["clip-1", "clip-4"]
    assert ledger.wanted([]) == ()


def test_long_lists_are_taken_whole(ledger: Ledger) -> None:
    clips = make_clips(MANY)
    names = ids(clips)
    assert len(ledger.want("m.csv", clips, at=NOON).new) == MANY
    assert ledger.wanted(names) == tuple(clips)
    assert ledger.claim("one", names, at=NOON, stale_after=STALE).mine == frozenset(names)
    assert ledger.claim("two", names, at=NOON, stale_after=STALE).held == dict.fromkeys(names, "one")
    last = ledger.prepare(clips[-1], owner="one", at=NOON)
    assert ledger.newest(clips) == {last.clip_id: last}
    assert ledger.attempts(names) == (last,)
    assert sum(ledger.tries(clips).values()) == 1
    ledger.release("one", names)
    assert ledger.claim("two", names, at=NOON, stale_after=STALE).held == {}
    assert len(ledger.want("n.csv", [clip.evolve(seed=1) for clip in clips], at=NOON).changed) == MANY
    assert len(ledger.want("n.csv", [], at=NOON).retired) == MANY


def test_problems_are_those_of_the_last_reading(ledger: Ledger) -> None:
    strange = Problem(row=2, clip_id="a\0\ud800", column="clip_id", what="x", fix="y")
    warning = Problem(row=1, clip_id=None, column="seed", what="v", fix="w", blocking=False)
    ledger.reject("m.csv", [strange, strange], at=NOON)
    ledger.reject("n.csv", [warning], at=NOON)
    ledger.reject("m.csv", [warning, strange], at=NOON)
    assert ledger.rejected() == (warning, strange, warning)
    ledger.reject("m.csv", [], at=NOON)
    assert ledger.rejected() == (warning,)


def test_clips_without_an_attempt_are_counted_by_their_drivers_where_other_lanes_may_make_them(ledger: Ledger) -> None:
    anywhere = make_clip("auto", service="auto", model="auto", lanes=("local/kf2v", "local/other"))
    clips = [*make_clips(3), anywhere]
    ledger.want("m.csv", clips, at=NOON)
    ledger.claim("one", ["clip-0"], at=NOON, stale_after=STALE)
    prepare(ledger, clips[2], owner="two")
    assert ledger.untried("m.csv") == {"one": 1, None: 2}
    assert ledger.untried("m.csv", without=["local/other"]) == {"one": 1, None: 2}
    assert ledger.untried("m.csv", without=["local/kf2v"]) == {None: 1}
    assert ledger.untried("m.csv", without=["local/kf2v", "local/other"]) == {}


# Drivers and claims


def test_drivers_live_as_long_as_their_heartbeat_is_fresh(ledger: Ledger) -> None:
    third = Driver(owner="three", host="elsewhere", pid=7, run_id="run-1")
    ledger.enlist(third, at=NOON + STALE)
    ledger.heartbeat("two", at=NOON + SECOND)
    living = ledger.drivers(at=NOON + STALE + SECOND, stale_after=STALE)
    assert living == (Driver(owner="two", host="host", pid=1), third)


def test_a_driver_that_enlists_again_keeps_its_claims(ledger: Ledger) -> None:
    ledger.claim("one", ["cat"], at=NOON, stale_after=STALE)
    ledger.enlist(Driver(owner="one", host="host", pid=2), at=NOON + 2 * STALE)
    assert ledger.claim("two", ["cat"], at=NOON + 2 * STALE, stale_after=STALE).held == {"cat": "one"}
    assert ledger.drivers(at=NOON + 2 * STALE, stale_after=STALE) == (Driver(owner="one", host="host", pid=2),)


@pytest.mark.parametrize("dismissed", [True, False])
def test_a_driver_that_is_not_enlisted_has_no_heartbeat_and_claims_nothing(ledger: Ledger, dismissed: bool) -> None:
    owner = "one" if dismissed else "stranger"
    ledger.dismiss(owner, at=NOON)
    with pytest.raises(LedgerError, match=f"{owner} is enlisted"):
        ledger.heartbeat(owner, at=NOON)
    with pytest.raises(LedgerError, match=f"{owner} is enlisted"):
        ledger.claim(owner, ["cat"], at=NOON, stale_after=STALE)


def test_a_clip_is_held_by_whoever_claims_it_first(ledger: Ledger) -> None:
    assert ledger.claim("one", ["a", "b"], at=NOON, stale_after=STALE) == Claim(mine=frozenset("ab"))
    assert ledger.claim("two", ["b", "c"], at=NOON, stale_after=STALE) == Claim(mine=frozenset("c"), held={"b": "one"})
    assert ledger.claim("one", ["b", "c"], at=NOON, stale_after=STALE) == Claim(mine=frozenset("b"), held={"c": "two"})


def test_the_clips_of_a_driver_without_a_fresh_heartbeat_are_taken_over(ledger: Ledger) -> None:
    ledger.claim("one", ["a"], at=NOON, stale_after=STALE)
    assert ledger.claim("two", ["a"], at=NOON + STALE, stale_after=STALE).held == {"a": "one"}
    assert ledger.claim("two", ["a"], at=NOON + STALE + SECOND, stale_after=STALE).mine == {"a"}
    ledger.heartbeat("one", at=NOON + STALE + SECOND)
    ledger.heartbeat("two", at=NOON + STALE + SECOND)
    assert ledger.claim("one", ["a"], at=NOON + STALE + SECOND, stale_after=STALE).held == {"a": "two"}


def test_a_driver_that_goes_leaves_its_clips_free(ledger: Ledger) -> None:
    ledger.claim("one", ["a"], at=NOON, stale_after=STALE)
    ledger.dismiss("one", at=NOON)
    assert ledger.claim("two", ["a"], at=NOON, stale_after=STALE).mine == {"a"}


def test_a_driver_that_was_dismissed_holds_nothing_even_when_it_comes_back(ledger: Ledger) -> None:
    ledger.claim("one", ["cat"], at=NOON, stale_after=STALE)
    ledger.dismiss("one", at=NOON)
    ledger.enlist(Driver(owner="one", host="host", pid=1), at=NOON)
    with pytest.raises(LedgerError, match="cat is not held by one"):
        ledger.prepare(make_clip(), owner="one", at=NOON)


def test_clips_are_shown_with_the_living_driver_that_holds_them(ledger: Ledger) -> None:
    ledger.claim("one", ["a", "b"], at=NOON, stale_after=STALE)
    ledger.claim("two", ["c"], at=NOON, stale_after=STALE)
    ledger.heartbeat("two", at=NOON + STALE)
    assert ledger.holders(at=NOON, stale_after=STALE) == {"a": "one", "b": "one", "c": "two"}
    assert ledger.holders(at=NOON + STALE + SECOND, stale_after=STALE) == {"c": "two"}


def test_only_the_holder_can_release_a_clip(ledger: Ledger) -> None:
    ledger.claim("one", ["a", "b"], at=NOON, stale_after=STALE)
    ledger.release("two", ["a"])
    ledger.release("one", ["b"])
    assert ledger.claim("two", ["a", "b"], at=NOON, stale_after=STALE) == Claim(mine=frozenset("b"), held={"a": "one"})


# Attempts


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


# Facts

WESTERN = timezone(timedelta(hours=-7))
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


# Adoption


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


# Money


def test_a_budget_may_be_reached_and_not_passed(ledger: Ledger) -> None:
    money = {"reserve": yuan("0.1"), "budget": yuan("0.3")}
    for clip in make_clips(3):
        prepare(ledger, clip, **money)
    with pytest.raises(BudgetReached) as caught:
        prepare(ledger, make_clip("more"), **money)
    error = caught.value
    assert (error.limit, error.committed, error.wanted, error.currency) == ("0.3", "0.3", "0.1", "CNY")
    assert ledger.attempts(["more"]) == ()


@pytest.mark.parametrize(
    ("facts", "bill", "left"),
    [
        ((), None, "0.5"),
        ((FactKind.ACCEPTED, FactKind.TASK_SUCCEEDED), "0.2", "0.8"),
        (TO_STORED, "0.9", "0.1"),
        (TO_STORED, None, "0.5"),
        ((FactKind.REFUSED,), None, "1"),
        ((FactKind.ACCEPTED, FactKind.TASK_FAILED), None, "1"),
        ((FactKind.ACCEPTED, FactKind.TASK_FAILED), "0.5", "0.5"),
        ((FactKind.ACCEPTED, FactKind.TASK_CANCELED), None, "1"),
        ((FactKind.ACCEPTED, FactKind.TASK_VANISHED), None, "0.5"),
        ((FactKind.REPLY_LOST,), None, "0.5"),
        ((FactKind.REPLY_LOST, FactKind.GIVEN_UP), None, "0.5"),
    ],
)
def test_a_budget_counts_the_bill_or_else_what_may_still_be_billed(
    ledger: Ledger, facts: tuple[FactKind, ...], bill: str | None, left: str
) -> None:
    record(ledger, prepare(ledger, reserve=yuan("0.5")), *facts, **({"cost": Decimal(bill)} if bill else {}))
    budget = yuan("1")
    with pytest.raises(BudgetReached):
        prepare(ledger, make_clip("next"), reserve=yuan(left + "1"), budget=budget, daily_budget=budget)
    prepare(ledger, make_clip("next"), reserve=yuan(left), budget=budget, daily_budget=budget)


def test_a_budget_is_the_owners_and_a_daily_budget_is_everybodys(ledger: Ledger) -> None:
    prepare(ledger, make_clip("a"), owner="one", reserve=yuan("1"))
    prepare(ledger, make_clip("b"), owner="two", reserve=yuan("1"), budget=yuan("1"))
    with pytest.raises(BudgetReached):
        prepare(ledger, make_clip("c"), owner="two", reserve=yuan("1"), daily_budget=yuan("2"))


def test_a_day_is_a_day_of_utc(ledger: Ledger) -> None:
    midnight = datetime(2025, 6, 2, tzinfo=timezone.utc)
    daily = {"reserve": yuan("1"), "daily_budget": yuan("1")}
    prepare(ledger, make_clip("a"), at=midnight - timedelta(microseconds=1), **daily)
    prepare(ledger, make_clip("b"), at=midnight.astimezone(WESTERN), **daily)
    with pytest.raises(BudgetReached):
        prepare(ledger, make_clip("c"), at=midnight + timedelta(hours=23), **daily)


def test_a_budget_does_not_count_other_currencies(ledger: Ledger) -> None:
    prepare(ledger, make_clip("a"), reserve=Money(amount=Decimal(100), currency="USD"))
    prepare(ledger, make_clip("b"), reserve=yuan("1"), budget=yuan("1"))


def test_a_budget_in_another_currency_holds_nothing_back_and_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="paid in USD, and the budget is in CNY"):
        prepare(ledger, reserve=Money(amount=Decimal(1), currency="USD"), budget=yuan("1"))


def test_a_price_that_is_learned_from_the_bill_counts_from_then_on(ledger: Ledger) -> None:
    attempt = prepare(ledger, budget=yuan("1"))
    record(ledger, attempt, *TO_STORED, cost=Decimal(1), currency="CNY")
    with pytest.raises(BudgetReached):
        prepare(ledger, make_clip("next"), reserve=yuan("0.01"), budget=yuan("1"))


def test_spend_is_what_was_billed_by_currency(ledger: Ledger) -> None:
    bills = [
        ("a", "one", "0.1", "CNY"),
        ("b", "one", "0.2", "USD"),
        ("c", "two", "0.1", "CNY"),
        ("d", "one", "0.1", "CNY"),
    ]
    for hour, (name, owner, bill, currency) in enumerate(bills):
        at = NOON + timedelta(hours=hour)
        attempt = prepare(
            ledger, make_clip(name), owner=owner, at=at, reserve=Money(amount=Decimal(9), currency=currency)
        )
        record(ledger, attempt, *TO_STORED, cost=Decimal(bill))
    prepare(ledger, make_clip("open"), reserve=yuan("5"))
    usd = Money(amount=Decimal("0.2"), currency="USD")
    assert ledger.spend() == (yuan("0.3"), usd)
    assert ledger.spend(owner="one") == (yuan("0.2"), usd)
    assert ledger.spend(since=NOON + timedelta(hours=2)) == (yuan("0.2"),)
    assert ledger.spend(owner="nobody") == ()


def test_durations_are_those_of_the_lanes_newest_successes(ledger: Ledger) -> None:
    minutes = count(1)

    def finish(name: str, took_s: int, *facts: FactKind, **clip: Any) -> None:
        at = NOON + timedelta(minutes=next(minutes))
        attempt = record(
            ledger, prepare(ledger, make_clip(name, **clip)), FactKind.ACCEPTED, submitted_at=at - took_s * SECOND
        )
        record(ledger, attempt, *facts, ended_at=at)

    finish("a", 100, FactKind.TASK_SUCCEEDED)
    finish("b", 200, FactKind.TASK_SUCCEEDED, FactKind.VIDEO_STORED)
    finish("failed", 300, FactKind.TASK_FAILED)
    finish("other", 400, FactKind.TASK_SUCCEEDED, model="other")
    started = record(ledger, prepare(ledger, make_clip("c")), FactKind.ACCEPTED, submitted_at=NOON)
    record(ledger, started, FactKind.TASK_SUCCEEDED, started_at=NOON + SECOND, ended_at=NOON + timedelta(hours=1))
    assert ledger.durations("local/kf2v") == (3599 * SECOND, 200 * SECOND, 100 * SECOND)
    assert ledger.durations("local/kf2v", limit=1) == (3599 * SECOND,)
    assert ledger.durations("local/unknown") == ()


# Frames


def test_a_frame_is_known_while_its_token_is_the_same(ledger: Ledger) -> None:
    a, b = make_frame("a"), make_frame("b")
    ledger.remember_frames({"/a.png": ("t1", a), "/b.png": ("t1", b)})
    assert ledger.known_frames({"/a.png": "t1", "/b.png": "t2", "/c.png": "t1"}) == {"/a.png": a}


def test_a_frame_that_changed_is_remembered_anew(ledger: Ledger) -> None:
    ledger.remember_frames({"/a.png": ("t1", make_frame("a"))})
    ledger.remember_frames({"/a.png": ("t2", make_frame("z"))})
    assert ledger.known_frames({"/a.png": "t1"}) == {}
    assert ledger.known_frames({"/a.png": "t2"}) == {"/a.png": make_frame("z")}


def test_few_frames_are_known_among_many(ledger: Ledger) -> None:
    ledger.remember_frames({f"/{n}.png": ("t", make_frame(str(n))) for n in range(MANY)})
    assert ledger.known_frames({"/7.png": "t", "/none.png": "t"}) == {"/7.png": make_frame("7")}


def test_how_a_frame_is_fixed_is_remembered(ledger: Ledger) -> None:
    fixed = replace(make_frame("a"), fix="flattened on white")
    ledger.remember_frames({"/a.png": ("t1", fixed)})
    assert ledger.known_frames({"/a.png": "t1"}) == {"/a.png": fixed}


def test_a_frame_whose_address_holds_a_secret_is_never_remembered(ledger: Ledger) -> None:
    signed = replace(make_frame("a"), location="https://host/a.png?Signature=s3cret")
    with pytest.raises(ValueError, match="can't be remembered"):
        ledger.remember_frames({signed.location: ("t1", signed)})
    assert ledger.known_frames({signed.location: "t1"}) == {}


def test_any_number_of_frames_and_any_length_of_address_is_remembered(ledger: Ledger) -> None:
    frames = {f"https://host/{'x' * 4000}/{n}": ("t", make_frame("a")) for n in range(MANY)}
    ledger.remember_frames(frames)
    assert ledger.known_frames(dict.fromkeys(frames, "t")) == {
        location: frame for location, (_, frame) in frames.items()
    }


# What films measure, and the cuts that were made of them


def test_what_a_film_measures_is_kept_as_it_was_measured_last(ledger: Ledger) -> None:
    first, second = prepare(ledger), prepare(ledger, make_clip("dog"))
    unmeasured = prepare(ledger, make_clip("cow"))
    ledger.write_quality(first.attempt_id, Quality(cuts=1), at=NOON)
    ledger.write_quality(first.attempt_id, Quality(cuts=0, flicker=0.25), at=NOON + SECOND)
    ledger.write_quality(second.attempt_id, Quality(first_frame_ssim=0.991), at=NOON)
    known = ledger.qualities([first.attempt_id, second.attempt_id, unmeasured.attempt_id])
    assert known == {
        first.attempt_id: Quality(cuts=0, flicker=0.25),
        second.attempt_id: Quality(first_frame_ssim=0.991),
    }


def test_any_number_of_films_can_be_asked_for(ledger: Ledger) -> None:
    attempt = prepare(ledger)
    ledger.write_quality(attempt.attempt_id, Quality(cuts=2), at=NOON)
    assert ledger.qualities([*map(str, range(MANY)), attempt.attempt_id]) == {attempt.attempt_id: Quality(cuts=2)}


def test_a_film_has_a_cut_for_each_aspect_and_fit_that_was_asked_for(ledger: Ledger) -> None:
    attempt_id = prepare(ledger).attempt_id
    tall = Cut(aspect="9:16", fit="crop", cut_path="videos/cat/a.mp4", width=720, height=1280)
    refused = Cut(aspect="9:16", fit="pad", cut_path=None, width=None, height=None, flaw="It is too small.")
    for cut in (replace(tall, width=704), tall, refused):
        ledger.write_cut(attempt_id, cut, at=NOON)
    assert ledger.cuts([attempt_id]) == {
        (attempt_id, "9:16", "crop"): tall,
        (attempt_id, "9:16", "pad"): refused,
    }
