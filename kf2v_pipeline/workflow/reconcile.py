"""Finds out whether a create whose reply was lost made a task. Pure: the lane looks, this decides, the lane records.

The service gives a create no name of ours. What links a task to its create is when it was made, its model, and its
prompt, which is only told of a task that succeeded (vendor page, "Step 2", ``orig_prompt``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from kf2v_pipeline.domain.attempt import TASK_LIFE, Attempt, FactKind, Remedy
from kf2v_pipeline.domain.reading import ListedTask, Reading, TaskStatus

PROMPT_ECHO_CHARS = 200
"""Characters of a prompt that are compared: the service cuts long prompts, at a length that depends on the model."""

BEFORE = timedelta(minutes=5)
"""How much earlier than its create, by our clock, the service may say that a task was made."""

AFTER = timedelta(minutes=5)
"""How much later the service may say so: a slow upload, a queue before it, and clocks that differ."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A task that no attempt is known to have made.

    Attributes:
        reading: What the task itself said; None while it has not ended.
    """

    task: ListedTask
    reading: Reading | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was found out about one unconfirmed attempt."""

    attempt_id: str
    kind: FactKind
    detail: dict[str, Any] = field(default_factory=dict)


def reconcile(
    attempts: Sequence[Attempt],
    candidates: Sequence[Candidate],
    *,
    now: datetime,
    grace: timedelta,
    is_complete: bool = True,
    others: Sequence[Attempt] = (),
) -> list[Decision]:
    """Decides what can be decided about unconfirmed attempts; the others stay as they are.

    A task is adopted by evidence (it succeeded, and of all attempts only this one has its prompt), or by elimination
    (after the grace period one attempt and one task, which ended without a video, are left for each other). Where
    ``list`` showed nothing in time, the create never landed. Where two attempts could have made the same task, nothing
    is decided here, since pictures may tell (``workflow.twins``); but where all such tasks failed or were canceled,
    each attempt takes one, or never landed: either way nothing was paid. After a day the service has forgotten, and
    what is undecided is given up.

    Args:
        attempts: Unconfirmed attempts of one lane.
        candidates: What a ``list`` that was answered just now shows of that lane, less the known tasks.
        now: When the list was read.
        grace: How long ``list`` may take to show a task.
        is_complete: Whether all of the list could be read; else only evidence counts.
        others: Attempts of the same lane that are not to be decided here and may have made a candidate all the same:
            those that are being sent, and those that other drives hold.
    """
    open_attempts = sorted(attempts, key=lambda attempt: (attempt.prepared_at, attempt.attempt_id))
    free = sorted(candidates, key=lambda candidate: candidate.task.task_id)  # which of the free ones is all the same
    decisions: list[Decision] = []
    undecided = len(open_attempts) + 1
    while len(open_attempts) < undecided:  # what is decided of one may decide another
        undecided = len(open_attempts)
        decisions += _by_evidence(open_attempts, free, others)
        due = [attempt for attempt in open_attempts if now >= _grace_ends_at(attempt, grace)]
        if is_complete:
            decisions += _by_elimination(open_attempts, free, others, due=due, now=now)
        for attempt in [each for each in due if each in open_attempts and now >= each.prepared_at + TASK_LIFE]:
            decisions.append(_given_up(attempt))
            open_attempts.remove(attempt)
    return decisions


def _by_evidence(open_attempts: list[Attempt], free: list[Candidate], others: Sequence[Attempt]) -> Iterator[Decision]:
    """Takes those attempts out whose task succeeded and could be nobody else's, and their tasks."""
    for attempt in list(open_attempts):
        proofs = [c for c in free if may_be_proved(attempt, c)]
        makers = [other for other in (*open_attempts, *others) if any(fits(other, c) for c in proofs)]
        if len(proofs) == 1 and [maker for maker in makers if same_prompt(maker, attempt)] == [attempt]:
            open_attempts.remove(attempt)
            free.remove(proofs[0])
            yield adopt(attempt, proofs[0])


def _by_elimination(
    open_attempts: list[Attempt],
    free: list[Candidate],
    others: Sequence[Attempt],
    *,
    due: Sequence[Attempt],
    now: datetime,
) -> Iterator[Decision]:
    """Takes those attempts out that made no task, or one that ended without a video, and their tasks.

    Args:
        due: Attempts whose grace is over.
    """
    for attempt in due:
        if attempt not in open_attempts:
            continue
        fitting = [c for c in free if _may_be_of(attempt, c)]
        contenders = [other for other in (*open_attempts, *others) if any(_may_be_of(other, c) for c in fitting)]
        is_alone = len(fitting) == 1 and contenders == [attempt] and fitting[0].reading is not None
        is_free = bool(fitting) and all(map(_costs_nothing, fitting)) and all(other in due for other in contenders)
        if is_alone or is_free:
            free.remove(fitting[0])
            yield adopt(attempt, fitting[0])
        elif not fitting and now < attempt.prepared_at + TASK_LIFE - AFTER:
            yield _never_landed(attempt)
        else:
            continue
        open_attempts.remove(attempt)


def _grace_ends_at(attempt: Attempt, grace: timedelta) -> datetime:
    return (attempt.unconfirmed_at or attempt.prepared_at) + grace


def fits(attempt: Attempt, candidate: Candidate) -> bool:
    """Whether the task was made when the attempt could have made it."""
    created_at = candidate.task.created_at
    if created_at is None:
        return True
    latest = (attempt.unconfirmed_at or attempt.prepared_at) + AFTER
    return attempt.prepared_at - BEFORE <= created_at <= latest


def _may_be_of(attempt: Attempt, candidate: Candidate) -> bool:
    return fits(attempt, candidate) and not contradicts(attempt, candidate)


def _costs_nothing(candidate: Candidate) -> bool:
    """Whether the task ended without a bill, whoever made it (vendor page, "Billing": failed tasks are free)."""
    return candidate.reading is not None and candidate.reading.status in (TaskStatus.FAILED, TaskStatus.CANCELED)


def echo_of(text: str | None) -> str:
    """The part of a prompt that a task certainly repeats: only by this are tasks told apart."""
    return (text or "").strip()[:PROMPT_ECHO_CHARS]


def same_prompt(one: Attempt, other: Attempt) -> bool:
    """Whether no task of the one can be told from a task of the other."""
    return echo_of(one.prompt) == echo_of(other.prompt)


def contradicts(attempt: Attempt, candidate: Candidate) -> bool:
    """Whether the task says of itself that it was made from another prompt."""
    reading = candidate.reading
    return (
        reading is not None
        and reading.status is TaskStatus.SUCCEEDED
        and reading.orig_prompt is not None
        and echo_of(reading.orig_prompt) != echo_of(attempt.prompt)
    )


def may_be_proved(attempt: Attempt, candidate: Candidate) -> bool:
    """Whether the task has a video, and time and prompt of the attempt; of twins that is true for each."""
    reading = candidate.reading
    return (
        fits(attempt, candidate)
        and reading is not None
        and reading.status is TaskStatus.SUCCEEDED
        and echo_of(reading.orig_prompt) == echo_of(attempt.prompt)
    )


def adopt(attempt: Attempt, candidate: Candidate) -> Decision:
    """The decision that the task is the attempt's."""
    task = candidate.task
    detail = {
        "task_id": task.task_id,
        "request_id": task.request_id,
        "submitted_at": task.created_at or attempt.prepared_at,
        "error_code": None,
        "error_message": None,
    }
    return Decision(attempt_id=attempt.attempt_id, kind=FactKind.FOUND, detail=detail)


def _never_landed(attempt: Attempt) -> Decision:
    detail = {
        "error_code": "NeverLanded",
        "error_message": "The create never reached the service: its list shows no such task.",
        "remedy": Remedy.RETRY,
    }
    return Decision(attempt_id=attempt.attempt_id, kind=FactKind.NEVER_LANDED, detail=detail)


def _given_up(attempt: Attempt) -> Decision:
    detail = {
        "error_code": "NeverConfirmed",
        "error_message": "Whether a task was made could not be found out while the service remembered; "
        "ask for the clip by name to pay for another one.",
        "remedy": Remedy.PERSON,
    }
    return Decision(attempt_id=attempt.attempt_id, kind=FactKind.GIVEN_UP, detail=detail)
