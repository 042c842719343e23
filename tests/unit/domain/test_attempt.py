from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.attempt import (
    FREE_STATES,
    IN_PROCESS_STATES,
    MOVES,
    OPEN_STATES,
    SETTABLE,
    TASK_LIFE,
    Attempt,
    Fact,
    FactKind,
    Remedy,
    State,
    fold,
)
from kf2v_pipeline.errors import IllegalMove

NOON = datetime(2025, 6, 1, 12, tzinfo=timezone.utc)
LEGAL = [(state, kind) for state, moves in MOVES.items() for kind in moves]
ILLEGAL = [(state, kind) for state in State for kind in FactKind if kind not in MOVES[state]]


def make_attempt(state: State = State.PREPARED) -> Attempt:
    return Attempt(
        attempt_id="a" * 32,
        clip_id="cat",
        fingerprint="f" * 64,
        number=1,
        service="singapore",
        model="wan2.2-kf2v-flash",
        lane="singapore/wan2.2-kf2v-flash",
        owner="driver-1",
        prompt="A cat wakes up.",
        prepared_at=NOON,
        state=state,
    )


def make_fact(kind: FactKind, **detail: object) -> Fact:
    return Fact(attempt_id="a" * 32, kind=kind, at=NOON, detail=detail)


def test_every_state_has_its_row() -> None:
    assert set(MOVES) == set(State)


def test_every_kind_of_fact_can_happen_in_some_state() -> None:
    assert {kind for moves in MOVES.values() for kind in moves} == set(FactKind)


def test_every_state_but_the_first_can_be_reached() -> None:
    reached = {State.PREPARED}
    for _ in State:
        reached |= {after for state in reached for after in MOVES[state].values()}
    assert reached == set(State)


def test_an_attempt_never_comes_back_to_a_state_that_it_left() -> None:
    def ways(state: State) -> set[State]:
        return set(MOVES[state].values()).union(*(ways(after) for after in MOVES[state].values()))

    assert all(state not in ways(state) for state in State)


def test_the_ends_are_these_and_have_no_way_out() -> None:
    ends = {state for state in State if not MOVES[state]}
    assert ends == {State.STORED, State.REFUSED, State.FAILED, State.CANCELED, State.LOST}
    assert not ends & OPEN_STATES


def test_only_a_task_that_succeeded_leads_to_a_stored_video() -> None:
    before = {state for state in State if State.STORED in MOVES[state].values()}
    assert before == {State.SUCCEEDED}


def test_an_unconfirmed_create_is_never_sent_again_but_found_or_given_up() -> None:
    assert set(MOVES[State.UNCONFIRMED]) == {FactKind.FOUND, FactKind.NEVER_LANDED, FactKind.GIVEN_UP}


def test_what_may_hold_a_place_in_process_is_open() -> None:
    assert IN_PROCESS_STATES < OPEN_STATES


def test_ends_that_bill_nothing_are_ends() -> None:
    assert not FREE_STATES & OPEN_STATES


@pytest.mark.parametrize(("state", "kind"), LEGAL)
def test_a_legal_fact_moves_the_attempt_and_sets_what_it_tells(state: State, kind: FactKind) -> None:
    after = fold(make_attempt(state), make_fact(kind, request_id="r-1", cost=Decimal("0.5")))
    assert (after.state, after.request_id, after.cost) == (MOVES[state][kind], "r-1", Decimal("0.5"))


@pytest.mark.parametrize(("state", "kind"), ILLEGAL)
def test_an_illegal_fact_is_refused_and_changes_nothing(state: State, kind: FactKind) -> None:
    before = make_attempt(state)
    with pytest.raises(IllegalMove) as caught:
        fold(before, make_fact(kind, task_id="t-1"))
    assert (caught.value.state, caught.value.fact) == (state.value, kind.value)
    assert before == make_attempt(state)


@given(st.lists(st.sampled_from(FactKind), max_size=8))
def test_whatever_happens_an_attempt_ends_at_most_once(kinds: list[FactKind]) -> None:
    attempt, ended = make_attempt(), 0
    for kind in kinds:
        try:
            attempt = fold(attempt, make_fact(kind))
        except IllegalMove:
            continue
        ended += not attempt.is_open
    assert ended <= 1


def test_a_fact_can_not_change_whose_attempt_it_is() -> None:
    fixed = {f.name for f in fields(Attempt)} - SETTABLE
    for name in fixed:
        with pytest.raises(ValueError, match=name):
            fold(make_attempt(), make_fact(FactKind.ACCEPTED, **{name: "x"}))


def test_a_fact_of_another_attempt_is_refused() -> None:
    with pytest.raises(ValueError, match="another"):
        fold(make_attempt(), Fact(attempt_id="another", kind=FactKind.ACCEPTED, at=NOON))


def test_a_detail_that_is_no_field_is_refused() -> None:
    with pytest.raises(ValueError, match="colour"):
        fold(make_attempt(), make_fact(FactKind.ACCEPTED, colour="red"))


def test_fields_that_a_fact_does_not_tell_stay() -> None:
    submitted = fold(make_attempt(), make_fact(FactKind.ACCEPTED, task_id="t-1", submitted_at=NOON))
    failed = fold(submitted, make_fact(FactKind.TASK_FAILED, remedy=Remedy.RETRY))
    assert (failed.task_id, failed.submitted_at, failed.remedy) == ("t-1", NOON, Remedy.RETRY)


def test_a_task_expires_a_day_after_its_submit_or_else_after_its_intent() -> None:
    prepared = make_attempt()
    later = NOON + timedelta(minutes=3)
    submitted = fold(prepared, make_fact(FactKind.ACCEPTED, submitted_at=later))
    assert prepared.expires_at == NOON + TASK_LIFE
    assert submitted.expires_at == later + TASK_LIFE
