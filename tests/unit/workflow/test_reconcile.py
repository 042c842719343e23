"""What is concluded about creates whose reply was lost, from whatever ``list`` and ``get`` may show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kf2v_pipeline.domain.attempt import MOVES, TASK_LIFE, Attempt, FactKind, Remedy, State
from kf2v_pipeline.domain.reading import ListedTask, Reading, TaskStatus
from kf2v_pipeline.workflow.reconcile import AFTER, PROMPT_ECHO_CHARS, Candidate, Decision, reconcile

NOON = datetime(2025, 6, 1, 12, tzinfo=timezone.utc)
GRACE = timedelta(seconds=60)
LATER = NOON + 2 * GRACE
PROMPTS = ("A cat wakes up.", "A dog sleeps.", None)


def make_attempt(attempt_id: str = "a", *, prompt: str | None = PROMPTS[0], at: datetime = NOON) -> Attempt:
    return Attempt(
        attempt_id=attempt_id,
        clip_id=f"clip-of-{attempt_id}",
        fingerprint="f",
        number=1,
        service="singapore",
        model="wan2.2-kf2v-flash",
        lane="singapore/wan2.2-kf2v-flash",
        owner="driver-1",
        prompt=prompt,
        prepared_at=at,
        state=State.UNCONFIRMED,
        unconfirmed_at=at,
    )


def make_candidate(
    task_id: str = "t",
    *,
    prompt: str | None = PROMPTS[0],
    status: TaskStatus = TaskStatus.SUCCEEDED,
    at: datetime | None = NOON,
) -> Candidate:
    """A task; one that succeeded tells its prompt, as the service does."""
    task = ListedTask(task_id=task_id, status=status, model="wan2.2-kf2v-flash", created_at=at)
    if not status.ended:
        return Candidate(task=task)
    echo = prompt if status is TaskStatus.SUCCEEDED else None
    return Candidate(task=task, reading=Reading(task_id=task_id, status=status, read_at=LATER, orig_prompt=echo))


def decide(
    attempts: Sequence[Attempt],
    candidates: Sequence[Candidate] = (),
    *,
    now: datetime = LATER,
    is_complete: bool = True,
) -> dict[str, FactKind]:
    decisions = reconcile(attempts, candidates, now=now, grace=GRACE, is_complete=is_complete)
    return {decision.attempt_id: decision.kind for decision in decisions}


moments = st.integers(-20, 20).map(lambda minutes: NOON + timedelta(minutes=minutes))
nows = st.integers(0, 60).map(lambda minutes: NOON + timedelta(minutes=minutes))
nows |= nows.map(lambda now: now + TASK_LIFE - timedelta(minutes=30))
some_attempts = st.lists(st.tuples(st.sampled_from(PROMPTS), moments, st.integers(0, 600)), max_size=5).map(
    lambda rows: [
        replace(make_attempt(f"attempt-{number}", prompt=prompt, at=at), unconfirmed_at=at + timedelta(seconds=length))
        for number, (prompt, at, length) in enumerate(rows)
    ]
)
some_candidates = st.lists(
    st.tuples(st.sampled_from(PROMPTS), st.sampled_from(TaskStatus), st.none() | moments), max_size=5
).map(
    lambda rows: [
        make_candidate(f"task-{number}", prompt=prompt, status=status, at=at)
        for number, (prompt, status, at) in enumerate(rows)
    ]
)


def found(decisions: Sequence[Decision]) -> dict[str, str]:
    """The tasks that were adopted, by attempt."""
    return {d.attempt_id: d.detail["task_id"] for d in decisions if d.kind is FactKind.FOUND}


@given(some_attempts, some_candidates, nows, st.booleans())
def test_each_attempt_is_decided_once_at_most_and_by_a_legal_move(
    attempts: list[Attempt], candidates: list[Candidate], now: datetime, is_complete: bool
) -> None:
    decisions = reconcile(attempts, candidates, now=now, grace=GRACE, is_complete=is_complete)
    decided = [decision.attempt_id for decision in decisions]
    assert len(decided) == len(set(decided))
    assert set(decided) <= {attempt.attempt_id for attempt in attempts}
    assert {decision.kind for decision in decisions} <= MOVES[State.UNCONFIRMED].keys()


@given(some_attempts, some_candidates, nows, st.booleans())
def test_one_task_is_never_adopted_for_two_attempts(
    attempts: list[Attempt], candidates: list[Candidate], now: datetime, is_complete: bool
) -> None:
    tasks = list(found(reconcile(attempts, candidates, now=now, grace=GRACE, is_complete=is_complete)).values())
    assert len(tasks) == len(set(tasks))
    assert set(tasks) <= {candidate.task.task_id for candidate in candidates}


@given(some_attempts, some_candidates, nows, st.booleans())
def test_a_task_that_says_another_prompt_is_never_adopted(
    attempts: list[Attempt], candidates: list[Candidate], now: datetime, is_complete: bool
) -> None:
    by_task = {candidate.task.task_id: candidate.reading for candidate in candidates}
    by_attempt = {attempt.attempt_id: attempt for attempt in attempts}
    decisions = reconcile(attempts, candidates, now=now, grace=GRACE, is_complete=is_complete)
    for attempt_id, task_id in found(decisions).items():
        reading = by_task[task_id]
        told = reading.orig_prompt if reading else None
        assert told in (None, by_attempt[attempt_id].prompt)


@given(some_attempts, some_candidates, nows, st.booleans())
def test_that_a_create_never_landed_is_said_only_after_the_grace_and_from_a_whole_list(
    attempts: list[Attempt], candidates: list[Candidate], now: datetime, is_complete: bool
) -> None:
    decided = decide(attempts, candidates, now=now, is_complete=is_complete)
    for attempt in attempts:
        if decided.get(attempt.attempt_id) is FactKind.NEVER_LANDED:
            assert is_complete
            assert attempt.unconfirmed_at is not None
            assert now >= attempt.unconfirmed_at + GRACE


@given(some_attempts, some_candidates, nows)
def test_that_a_create_never_landed_is_said_only_while_the_list_would_still_show_its_task(
    attempts: list[Attempt], candidates: list[Candidate], now: datetime
) -> None:
    decided = decide(attempts, candidates, now=now)
    for attempt in attempts:
        if decided.get(attempt.attempt_id) is FactKind.NEVER_LANDED:
            assert now < attempt.prepared_at + TASK_LIFE


@given(some_attempts, some_candidates, nows, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_attempts_and_tasks_does_not_matter(
    attempts: list[Attempt], candidates: list[Candidate], now: datetime, is_complete: bool, random: object
) -> None:
    assume(len({attempt.prepared_at for attempt in attempts}) == len(attempts))
    options = {"now": now, "grace": GRACE, "is_complete": is_complete}
    straight = reconcile(attempts, candidates, **options)  # type: ignore[arg-type]
    for inputs in (attempts, candidates):
        random.shuffle(inputs)  # type: ignore[attr-defined]  # hypothesis' own kind of Random
    shuffled = reconcile(attempts, candidates, **options)  # type: ignore[arg-type]
    assert sorted(straight, key=lambda d: d.attempt_id) == sorted(shuffled, key=lambda d: d.attempt_id)


@given(some_attempts, some_candidates, nows, st.booleans())
def test_what_is_decided_leaves_the_rest_as_undecided_as_it_was(
    attempts: list[Attempt], candidates: list[Candidate], now: datetime, is_complete: bool
) -> None:
    decisions = reconcile(attempts, candidates, now=now, grace=GRACE, is_complete=is_complete)
    gone = {decision.attempt_id for decision in decisions}
    taken = set(found(decisions).values())
    rest = [attempt for attempt in attempts if attempt.attempt_id not in gone]
    free = [candidate for candidate in candidates if candidate.task.task_id not in taken]
    assert decide(rest, free, now=now, is_complete=is_complete) == {}


@given(some_attempts, nows)
def test_a_task_that_no_attempt_could_have_made_changes_nothing(attempts: list[Attempt], now: datetime) -> None:
    strangers = [make_candidate("before", at=NOON - timedelta(hours=9)), make_candidate("after", at=now + 2 * AFTER)]
    assume(all(a.unconfirmed_at is not None and a.unconfirmed_at <= now for a in attempts))
    assert decide(attempts, strangers, now=now) == decide(attempts, now=now)


@given(some_attempts, some_attempts, some_candidates, nows)
def test_creates_that_others_have_under_way_never_bring_an_adoption_about(
    attempts: list[Attempt], others: list[Attempt], candidates: list[Candidate], now: datetime
) -> None:
    others = [replace(other, attempt_id=f"other-{other.attempt_id}") for other in others]
    alone = reconcile(attempts, candidates, now=now, grace=GRACE)
    beside = reconcile(attempts, candidates, now=now, grace=GRACE, others=others)
    assert found(beside).items() <= found(alone).items()
    assert {decision.attempt_id for decision in beside} <= {attempt.attempt_id for attempt in attempts}


def test_nothing_in_a_whole_list_after_the_grace_means_that_it_never_landed_and_may_be_sent_again() -> None:
    (decision,) = reconcile([make_attempt()], [], now=NOON + GRACE, grace=GRACE)
    assert (decision.kind, decision.detail["remedy"]) == (FactKind.NEVER_LANDED, Remedy.RETRY)


def test_nothing_in_the_list_a_day_later_means_nothing_so_a_person_decides() -> None:
    """The list goes back 24 hours: a task of yesterday, paid for, would not be in it any more."""
    (decision,) = reconcile([make_attempt()], [], now=NOON + TASK_LIFE, grace=GRACE)
    assert (decision.kind, decision.detail["remedy"]) == (FactKind.GIVEN_UP, Remedy.PERSON)


def test_a_succeeded_task_with_the_prompt_is_adopted_at_once() -> None:
    assert decide([make_attempt()], [make_candidate()], now=NOON, is_complete=False) == {"a": FactKind.FOUND}


def test_the_only_task_that_could_be_meant_is_adopted_after_the_grace_once_it_has_ended() -> None:
    candidate = make_candidate(status=TaskStatus.FAILED)
    assert decide([make_attempt()], [candidate], now=NOON) == {}
    assert decide([make_attempt()], [candidate]) == {"a": FactKind.FOUND}


def test_a_running_task_is_not_adopted_since_it_may_be_somebody_elses() -> None:
    """It tells its prompt when it has succeeded; until then waiting costs nothing."""
    assert decide([make_attempt()], [make_candidate(status=TaskStatus.RUNNING)]) == {}


def test_of_two_attempts_the_one_whose_prompt_the_task_says_gets_it_and_the_other_never_landed() -> None:
    attempts = [make_attempt("a", prompt="One"), make_attempt("b", prompt="Two")]
    decided = decide(attempts, [make_candidate(prompt="Two")])
    assert decided == {"a": FactKind.NEVER_LANDED, "b": FactKind.FOUND}


@pytest.mark.parametrize("prompt", ["Same", None, "x" * PROMPT_ECHO_CHARS])
def test_two_attempts_with_one_prompt_and_one_task_stay_undecided(prompt: str | None) -> None:
    attempts = [make_attempt("a", prompt=prompt), make_attempt("b", prompt=prompt and f"{prompt} ")]
    assert decide(attempts, [make_candidate(prompt=prompt)]) == {}


def test_what_stays_undecided_for_a_day_is_given_up_to_a_person() -> None:
    attempts = [make_attempt("a"), make_attempt("b")]
    decided = decide(attempts, [make_candidate("t"), make_candidate("u")], now=NOON + TASK_LIFE)
    assert decided == {"a": FactKind.GIVEN_UP, "b": FactKind.GIVEN_UP}


def test_a_task_that_another_create_may_have_made_is_not_adopted_without_its_prompt() -> None:
    """Another drive, or this lane, has a create under way whose reply is not here yet."""
    other = replace(make_attempt("other", prompt="Two"), state=State.PREPARED, unconfirmed_at=None)
    failed = make_candidate(status=TaskStatus.FAILED)
    assert reconcile([make_attempt()], [failed], now=LATER, grace=GRACE, others=[other]) == []


def test_an_attempt_of_another_hour_is_no_rival_for_a_task() -> None:
    earlier = make_attempt("b", at=NOON - timedelta(hours=1))
    assert decide([make_attempt("a"), earlier], [make_candidate()])["a"] is FactKind.FOUND


FAILED = {"status": TaskStatus.FAILED}


def test_failed_tasks_are_shared_out_among_the_creates_that_may_have_made_them_since_they_cost_nothing() -> None:
    attempts = [make_attempt("a"), make_attempt("b", prompt=PROMPTS[1])]
    one, two = make_candidate("t", **FAILED), make_candidate("u", **FAILED)
    assert decide(attempts, [one]) == {"a": FactKind.FOUND, "b": FactKind.NEVER_LANDED}
    assert decide(attempts, [one, two]) == {"a": FactKind.FOUND, "b": FactKind.FOUND}
    assert decide(attempts[:1], [one, two]) == {"a": FactKind.FOUND}


def test_failed_tasks_are_not_shared_out_while_one_that_may_have_made_them_can_still_turn_up() -> None:
    young = replace(make_attempt("b", prompt=PROMPTS[1]), unconfirmed_at=LATER)
    assert decide([make_attempt("a"), young], [make_candidate("t", **FAILED)]) == {}


def test_a_task_that_still_runs_beside_a_failed_one_keeps_both_creates_waiting() -> None:
    attempts = [make_attempt("a"), make_attempt("b", prompt=PROMPTS[1])]
    running = make_candidate("u", status=TaskStatus.RUNNING)
    assert decide(attempts, [make_candidate("t", **FAILED), running]) == {}


def test_failed_tasks_that_another_drives_create_may_have_made_are_left_alone() -> None:
    decisions = reconcile(
        [make_attempt("a")],
        [make_candidate("t", **FAILED)],
        now=LATER,
        grace=GRACE,
        others=[make_attempt("b", prompt=PROMPTS[1])],
    )
    assert decisions == []
