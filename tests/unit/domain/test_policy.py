"""What a clip's newest attempt means for the clip, and how often a lane is looked at."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.attempt import FREE_STATES, OPEN_STATES, Attempt, Remedy, State
from kf2v_pipeline.domain.policy import (
    MAX_FAILED_TRIES,
    MAX_TRIES,
    Lengths,
    Pace,
    Sighting,
    Standing,
    is_held_up,
    retry_at,
    standing,
)

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
sightings = st.builds(lambda seen, more: Sighting(age=seen + more, seen=seen), lengths, lengths)
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


def test_a_clip_of_which_nobody_knows_who_may_make_it_is_never_held_up() -> None:
    assert not is_held_up((), None, without=["beijing/one"], left=[])
    assert is_held_up(["beijing/one"], None, without=["beijing/one"], left=[])


@given(attempts)
def test_the_next_attempt_never_starts_before_the_last_one_ended(attempt: Attempt) -> None:
    assert retry_at(attempt) >= (attempt.ended_at or attempt.submitted_at or attempt.prepared_at)


@given(attempts.filter(lambda attempt: attempt.state in FREE_STATES - {State.FAILED}))
def test_what_never_ran_is_tried_again_at_once(attempt: Attempt) -> None:
    assert retry_at(attempt) == (attempt.ended_at or attempt.submitted_at or attempt.prepared_at)


def test_failed_tasks_are_tried_again_after_longer_and_longer_waits_that_have_an_end() -> None:
    waits = [retry_at(replace(FAILED, number=number, ended_at=NOON)) - NOON for number in (1, 2, 3, 4, 20)]
    assert [wait.total_seconds() for wait in waits] == [10, 40, 160, 160, 160]


@given(paces, st.lists(sightings, max_size=20), st.lists(lengths, max_size=50))
def test_a_lane_is_looked_at_within_its_pace(pace: Pace, seen: list[Sighting], learned: list[timedelta]) -> None:
    assert pace.closest <= pace.until_next_look(seen, Lengths(learned)) <= pace.widest


@given(paces, st.lists(sightings, min_size=1), st.lists(lengths), st.randoms(use_true_random=False))
def test_the_order_of_what_is_known_does_not_matter(
    pace: Pace, seen: list[Sighting], learned: list[timedelta], random: object
) -> None:
    wait = pace.until_next_look(seen, Lengths(learned))
    for known in (seen, learned):
        random.shuffle(known)  # type: ignore[attr-defined]  # hypothesis' own kind of Random
    assert abs(pace.until_next_look(seen, Lengths(learned)) - wait) <= timedelta(seconds=0.1)  # sums are rounded


@given(st.lists(sightings, min_size=1, max_size=20), st.lists(lengths, min_size=5, max_size=50))
def test_who_is_less_patient_never_waits_longer(seen: list[Sighting], learned: list[timedelta]) -> None:
    paces = (Pace(patience=timedelta(seconds=patience)) for patience in (0.1, 1, 10, 100))
    waits = [pace.until_next_look(seen, Lengths(learned)) for pace in paces]
    assert waits == sorted(waits)


@given(sightings, st.lists(lengths, min_size=2, max_size=50), st.lists(lengths, min_size=2, max_size=8))
def test_what_probably_went_unnoticed_only_grows_and_never_faster_than_the_time(
    seen: Sighting, learned: list[timedelta], later: list[timedelta]
) -> None:
    known, after = Lengths(learned), sorted(later)
    waited = [known.waited(seen, each) for each in after]
    assert waited == sorted(waited)
    for each, seconds in zip(after, waited, strict=True):
        assert 0 <= seconds <= (seen.age - seen.seen + each).total_seconds() + 1e-6


def test_of_a_task_that_is_sure_to_have_ended_half_of_the_time_since_went_unnoticed_on_average() -> None:
    """Lengths of 100 to 200 s, all as probable; it was seen at 100 s, and is looked at again at 200 s."""
    known = Lengths([timedelta(seconds=second) for second in range(100, 201)])
    seen = Sighting(age=timedelta(seconds=100), seen=timedelta(seconds=100))
    assert known.waited(seen, timedelta(seconds=100)) == pytest.approx(50, rel=0.03)


def seen_at(age_s: float) -> Sighting:
    return Sighting(age=timedelta(seconds=age_s), seen=timedelta(seconds=age_s))


def test_a_lane_is_left_in_peace_until_an_ending_is_probable_and_watched_then() -> None:
    pace = Pace(patience=timedelta(seconds=1.5))
    learned = Lengths([timedelta(seconds=second) for second in range(100, 121)])
    waits = [pace.until_next_look([seen_at(age)], learned) for age in (5, 110, 300)]
    assert waits[0] == pace.widest
    assert waits[1] < timedelta(seconds=8)
    assert pace.closest < waits[2] < pace.widest


def test_an_ending_that_nobody_has_looked_for_is_looked_for_at_once() -> None:
    learned = Lengths([timedelta(seconds=second) for second in range(100, 121)])
    overdue = Sighting(age=timedelta(seconds=119), seen=timedelta(seconds=90))
    pace = Pace(patience=timedelta(seconds=1.5))
    assert pace.until_next_look([overdue], learned) <= pace.closest + timedelta(seconds=0.1)


def test_many_tasks_in_flight_are_looked_at_as_soon_as_one_of_them_is_due() -> None:
    pace, learned = Pace(), Lengths([timedelta(seconds=second) for second in range(60, 160)])
    one = pace.until_next_look([seen_at(70)], learned)
    many = pace.until_next_look([seen_at(70 + age) for age in range(20)], learned)
    assert many < one
