"""What is wanted, as the ledger keeps it; the integration tests say it of PostgreSQL, too."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import sqlalchemy as sa
from unit.storage.made_attempts import MANY, NOON, SECOND, STALE, ids, make_clip, make_clips, prepare

from kf2v_pipeline.domain.attempt import Remedy, State
from kf2v_pipeline.domain.policy import MAX_TRIES, Standing, standing
from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.storage import schema
from kf2v_pipeline.storage.backlog import Untried
from kf2v_pipeline.storage.ledger import Change, Ledger


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


def test_lanes_that_another_version_did_not_keep_are_written_at_the_next_reading_of_the_manifest(
    ledger: Ledger,
) -> None:
    ledger.want("m.csv", make_clips(1), at=NOON)
    with ledger._write() as connection:
        connection.execute(sa.update(schema.clip).values(lanes="[]"))
    assert ledger.want("m.csv", make_clips(1), at=NOON) == Change(unchanged=("clip-0",))
    assert [untried.lanes for untried in ledger.untried("m.csv")] == [("local/kf2v",)]


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


def test_clips_without_an_attempt_are_counted_by_their_drivers_and_lanes(ledger: Ledger) -> None:
    anywhere = make_clip("auto", service="auto", model="auto", lanes=("local/kf2v", "local/other"))
    clips = [*make_clips(4), anywhere]
    ledger.want("m.csv", clips, at=NOON)
    ledger.claim("one", ["clip-0"], at=NOON, stale_after=STALE)
    prepare(ledger, clips[3], owner="two")
    assert set(ledger.untried("m.csv")) == {
        Untried(1, "one", ("local/kf2v",)),
        Untried(2, None, ("local/kf2v",)),
        Untried(1, None, ("local/kf2v", "local/other")),
    }


def test_the_lanes_of_a_clip_are_those_of_the_last_reading(ledger: Ledger) -> None:
    for lanes in (("local/kf2v",), ("local/other",)):
        ledger.want("m.csv", [make_clip("auto", service="auto", model="auto", lanes=lanes)], at=NOON)
        assert [each.lanes for each in ledger.untried("m.csv")] == [lanes]


@pytest.mark.parametrize("state", State)
def test_an_attempt_is_unsettled_exactly_where_its_clip_is_neither_stored_nor_failed_for_good(
    state: State, ledger: Ledger
) -> None:
    """The database is asked with words of its own; they must mean what ``standing`` says."""
    kinds = list(product([None, *Remedy], range(1, MAX_TRIES + 2)))
    clips = make_clips(len(kinds))
    ledger.want("m.csv", clips, at=NOON)
    attempts = {}
    for clip, (remedy, number) in zip(clips, kinds, strict=True):
        ledger.claim("one", [clip.clip_id], at=NOON, stale_after=STALE)
        made = ledger.prepare(clip, owner="one", at=NOON)
        attempts[clip.clip_id] = replace(made, state=state, remedy=remedy, number=number)
    with ledger._write() as connection:
        for clip_id, attempt in attempts.items():
            changed = {"state": state, "remedy": attempt.remedy, "number": attempt.number}
            connection.execute(sa.update(schema.attempt).where(schema.attempt.c.clip_id == clip_id).values(changed))
    goes_on = {attempt for attempt in attempts.values() if standing(attempt) in {Standing.PLANNED, Standing.IN_FLIGHT}}
    assert {each.attempt for each in ledger.unsettled("m.csv")} == goes_on
