"""What a clip's newest attempt means for the clip, and how often a lane is looked at."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.attempt import FREE_STATES, OPEN_STATES, Attempt, Remedy, State
from kf2v_pipeline.domain.policy import MAX_FAILED_TRIES, MAX_TRIES, Pace, Standing, retry_at, standing

NOON = datetime(2025, 6, 1, 12, tzinfo=timezone.utc)
ENDED_BADLY = (State.REFUSED, State.FAILED, State.CANCELED, State.LOST)
FAILED = Attempt(
    attempt_id="a",
    clip_id="cat",
    fingerprint="f",
    number=1,
    service="singapore",
    model="wan2.2-kf2v-flash",
    lane="singapore/wan2.2-kf2v-flash",
    owner="driver-1",
    prompt="A cat wakes up.",
    prepared_at=NOON,
    state=State.FAILED,
    remedy=Remedy.RETRY,
)

lengths = st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=24))
paces = st.builds(
    lambda closest, more: Pace(closest=closest, widest=closest + more),
    st.timedeltas(min_value=timedelta(milliseconds=1), max_value=timedelta(minutes=1)),
    st.timedeltas(min_value=timedelta(0), max_value=timedelta(minutes=1)),
)
attempts = st.builds(
    replace,
    st.just(FAILED),
    state=st.sampled_from(State),
    remedy=st.none() | st.sampled_from(Remedy),
    number=st.integers(1, 20),
    submitted_at=st.none() | lengths.map(lambda later: NOON + later),
    ended_at=st.none() | lengths.map(lambda later: NOON + timedelta(hours=24) + later),
)


def test_a_clip_without_an_attempt_is_planned() -> None:
    assert standing(None) is Standing.PLANNED


@given(attempts)
def test_what_is_under_way_or_stored_is_never_tried_again(attempt: Attempt) -> None:
    if attempt.state in OPEN_STATES:
        assert standing(attempt) is Standing.IN_FLIGHT
    elif attempt.state is State.STORED:
        assert standing(attempt) is Standing.STORED
    else:
        assert standing(attempt) in (Standing.PLANNED, Standing.FAILED)


@given(attempts.filter(lambda attempt: attempt.state in ENDED_BADLY), st.integers(1, 20))
def test_what_only_a_person_can_mend_is_never_tried_again_by_itself(attempt: Attempt, tries: int) -> None:
    attempt = replace(attempt, remedy=Remedy.PERSON)
    assert standing(attempt, tries=tries) is Standing.FAILED


@given(attempts.filter(lambda attempt: attempt.state in ENDED_BADLY), st.integers(1, 20))
def test_what_stopped_a_lane_waits_for_the_lane_however_often_it_was_tried(attempt: Attempt, tries: int) -> None:
    attempt = replace(attempt, remedy=Remedy.STOP_LANE)
    assert standing(attempt, tries=tries) is Standing.PLANNED


@pytest.mark.parametrize(("state", "most"), [(State.FAILED, MAX_FAILED_TRIES), (State.REFUSED, MAX_TRIES)])
def test_a_bad_end_that_a_retry_may_mend_is_tried_again_so_often_and_no_more(state: State, most: int) -> None:
    tried = [standing(replace(FAILED, state=state), tries=tries) for tries in range(1, most + 2)]
    assert tried == [Standing.PLANNED] * (most - 1) + [Standing.FAILED] * 2


@given(attempts, st.integers(1, 20), st.integers(0, 20))
def test_more_tries_never_bring_another_one(attempt: Attempt, tries: int, more: int) -> None:
    if standing(attempt, tries=tries) is Standing.FAILED:
        assert standing(attempt, tries=tries + more) is Standing.FAILED


@given(attempts)
def test_the_next_attempt_never_starts_before_the_last_one_ended(attempt: Attempt) -> None:
    assert retry_at(attempt) >= (attempt.ended_at or attempt.submitted_at or attempt.prepared_at)


@given(attempts.filter(lambda attempt: attempt.state in FREE_STATES - {State.FAILED}))
def test_what_never_ran_is_tried_again_at_once(attempt: Attempt) -> None:
    assert retry_at(attempt) == (attempt.ended_at or attempt.submitted_at or attempt.prepared_at)


def test_failed_tasks_are_tried_again_after_longer_and_longer_waits_that_have_an_end() -> None:
    waits = [retry_at(replace(FAILED, number=number, ended_at=NOON)) - NOON for number in (1, 2, 3, 4, 20)]
    assert [wait.total_seconds() for wait in waits] == [10, 40, 160, 160, 160]


@given(paces, st.lists(lengths, max_size=20), st.lists(lengths, max_size=50))
def test_a_lane_is_looked_at_within_its_pace(pace: Pace, ages: list[timedelta], learned: list[timedelta]) -> None:
    assert pace.closest <= pace.until_next_look(ages, learned) <= pace.widest


@given(paces, st.lists(lengths, min_size=1), st.lists(lengths), st.randoms(use_true_random=False))
def test_the_order_of_what_is_known_does_not_matter(
    pace: Pace, ages: list[timedelta], learned: list[timedelta], random: object
) -> None:
    wait = pace.until_next_look(ages, learned)
    for known in (ages, learned):
        random.shuffle(known)  # type: ignore[attr-defined]  # hypothesis' own kind of Random
    assert pace.until_next_look(ages, learned) == wait


@given(st.lists(lengths, min_size=1, max_size=20), st.lists(lengths, min_size=5, max_size=50))
def test_who_wants_to_hear_of_endings_sooner_never_waits_longer(
    ages: list[timedelta], learned: list[timedelta]
) -> None:
    waits = [Pace(hit=hit).until_next_look(ages, learned) for hit in (0.05, 0.2, 0.4, 0.8)]
    assert waits == sorted(waits)


def test_a_lane_is_left_in_peace_until_an_ending_is_probable_and_watched_then() -> None:
    pace, learned = Pace(), [timedelta(seconds=second) for second in range(100, 121)]
    young, due, overdue = ([timedelta(seconds=age)] for age in (5, 110, 300))
    waits = [pace.until_next_look(ages, learned) for ages in (young, due, overdue)]
    assert waits[0] == pace.widest
    assert waits[1] < timedelta(seconds=6)
    assert pace.closest < waits[2] < pace.widest


def test_many_tasks_in_flight_are_looked_at_as_soon_as_one_of_them_is_due() -> None:
    pace, learned = Pace(), [timedelta(seconds=second) for second in range(60, 160)]
    one = pace.until_next_look([timedelta(seconds=70)], learned)
    many = pace.until_next_look([timedelta(seconds=70 + age) for age in range(20)], learned)
    assert many < one
