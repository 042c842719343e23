"""Lets a person decide about a create whose reply was lost. How it is found out without one is ``reconcile``'s work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kf2v_pipeline.domain.attempt import Attempt, Fact, FactKind, Remedy, State
from kf2v_pipeline.domain.reading import ListedTask, Reading, TaskStatus
from kf2v_pipeline.errors import LedgerError, ServiceError, SettingsError, TransportError
from kf2v_pipeline.workflow.driver import holding
from kf2v_pipeline.workflow.project import Project
from kf2v_pipeline.workflow.reconcile import Candidate, contradicts, fits


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """What a person decided.

    Attributes:
        attempt: As it is now.
        warnings: What speaks against it, a sentence each.
    """

    attempt: Attempt
    warnings: tuple[str, ...] = ()


async def adopt_task(project: Project, clip_id: str, task_id: str) -> Resolution:
    """Takes a task for the one that the clip's unconfirmed attempt made; the next run collects it.

    Raises:
        LedgerError: The clip has no unconfirmed attempt, a living driver holds it, or the task is another attempt's.
        SettingsError: The service does not know the task, can't be asked, or can't be used.
    """
    with _deciding(project, clip_id) as attempt:
        if task_id in project.ledger.known_task_ids(since=attempt.prepared_at - timedelta(hours=24)):
            raise LedgerError(f"Task {task_id} is another attempt's already: it can't be adopted twice.")
        reading = await _ask(project, attempt, task_id)
        detail = {
            "task_id": task_id,
            "submitted_at": reading.submitted_at or attempt.prepared_at,
            "error_code": None,
            "error_message": None,
        }
        warnings = tuple(_objections(attempt, reading))
        return Resolution(attempt=_record(project, attempt, FactKind.FOUND, detail), warnings=warnings)


def resubmit(project: Project, clip_id: str) -> Resolution:
    """Takes the clip's lost create for one that made no task; the next run sends another one, which may pay twice.

    Raises:
        LedgerError: The clip has no unconfirmed attempt, or a living driver holds it.
    """
    with _deciding(project, clip_id) as attempt:
        detail = {
            "error_code": "NeverLanded",
            "error_message": "A person decided (kf2v resolve --resubmit) that the create made no task.",
            "remedy": Remedy.RETRY,
        }
        return Resolution(attempt=_record(project, attempt, FactKind.NEVER_LANDED, detail))


@contextmanager
def _deciding(project: Project, clip_id: str) -> Iterator[Attempt]:
    """The clip's unconfirmed attempt, while no drive can touch it."""
    with holding(project.ledger, [clip_id], clock=project.clock, stale_after=project.stale_after) as hold:
        if clip_id in hold.held:
            raise LedgerError(
                f"Clip {clip_id} is driven by {hold.held[clip_id]}, which looks for its task; "
                "stop that run first (Ctrl-C loses nothing), then decide."
            )
        attempts = project.ledger.attempts([clip_id], states={State.PREPARED, State.UNCONFIRMED})
        if not attempts:
            raise LedgerError(f"Clip {clip_id} has no unconfirmed attempt: kf2v status names the clips that have one.")
        attempt = attempts[-1]
        if attempt.state is State.PREPARED:
            detail = {"unconfirmed_at": project.clock(), "error_code": "ReplyLost"}
            detail["error_message"] = "It is not known whether a task was made: the process that was sending it ended."
            attempt = _record(project, attempt, FactKind.REPLY_LOST, detail)
        yield attempt


async def _ask(project: Project, attempt: Attempt, task_id: str) -> Reading:
    try:
        async with project.connect(attempt.service) as client:
            reading = await client.get(task_id)
    except (ServiceError, TransportError) as error:
        raise SettingsError("--adopt", f"task {task_id} can't be looked at ({error})", "try again") from None
    if reading.status is TaskStatus.UNKNOWN:
        what = f"the service knows no task {task_id}"
        raise SettingsError("--adopt", what, "check the id; a task is forgotten after 24 hours")
    return reading


def _objections(attempt: Attempt, reading: Reading) -> Iterator[str]:
    task = ListedTask(
        task_id=reading.task_id, status=reading.status, model=attempt.model, created_at=reading.submitted_at
    )
    candidate = Candidate(task=task, reading=reading)
    if contradicts(attempt, candidate):
        yield f"The task was made from another prompt: {(reading.orig_prompt or '')[:80]!r}."
    if not fits(attempt, candidate):
        times = (f"{at:%Y-%m-%d %H:%M:%S} UTC" for at in (task.created_at, attempt.prepared_at))
        yield "The task was made at {}, and the create was sent at {}.".format(*times)


def _record(project: Project, attempt: Attempt, kind: FactKind, detail: dict[str, Any]) -> Attempt:
    return project.ledger.record(Fact(attempt_id=attempt.attempt_id, kind=kind, at=project.clock(), detail=detail))
