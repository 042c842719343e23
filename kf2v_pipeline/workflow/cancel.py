"""Cancels tasks that wait in the service's queue, for a person. Nothing else can be canceled, and it says so."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass

from kf2v_pipeline.domain.attempt import Attempt, Fact, FactKind, State
from kf2v_pipeline.domain.reading import Reading, TaskStatus
from kf2v_pipeline.errors import ServiceError, SettingsError, TransportError
from kf2v_pipeline.wan.client import WanClient
from kf2v_pipeline.workflow.driver import holding
from kf2v_pipeline.workflow.project import Project
from kf2v_pipeline.workflow.reading import canceled

_NOT_WAITING = "UnsupportedOperation"
"""The service's code for a task that does not wait any more (vendor page of asynchronous tasks)."""

_STANDS = {
    State.PREPARED: "it is being sent just now, or its process ended while it was: kf2v status tells which",
    State.UNCONFIRMED: "it is not known yet whether it has a task: kf2v status tells why",
    State.SUCCEEDED: "its task has ended and is paid for; the video will be collected",
    State.STORED: "its video is stored",
}
_GOES_ON = {
    TaskStatus.PENDING: "the service does not cancel it, although it waits",
    TaskStatus.RUNNING: "its task runs already: it goes on, and will be collected",
    TaskStatus.SUCCEEDED: _STANDS[State.SUCCEEDED],
    TaskStatus.FAILED: "its task has failed already",
    TaskStatus.UNKNOWN: "the service does not know its task any more",
}


@dataclass(frozen=True, kw_only=True)
class Cancellation:
    """What became of the wish to cancel one clip.

    Attributes:
        is_canceled: Whether its task is canceled; it is then not submitted again until a person asks for the clip.
        why: In a clause, why it is or is not.
    """

    clip_id: str
    is_canceled: bool
    why: str


async def cancel_clips(project: Project, clip_ids: Collection[str]) -> tuple[Cancellation, ...]:
    """Cancels the clips' tasks as far as they wait in the queue.

    Where a drive holds a clip, its next look sees that the task is canceled and records it; else it is recorded here.

    Raises:
        SettingsError: The ledger knows no clip of that name, or a service can't be used.
    """
    attempts = _newest_open(project, clip_ids)
    done = []
    with holding(project.ledger, clip_ids, clock=project.clock, stale_after=project.stale_after) as hold:
        async with AsyncExitStack() as stack:
            clients: dict[str, WanClient] = {}
            for clip_id, attempt in attempts.items():
                if attempt is None or attempt.state is not State.SUBMITTED:
                    why = _STANDS.get(attempt.state) if attempt else None
                    done.append(_kept(clip_id, why or "nothing of it is submitted"))
                    continue
                if attempt.service not in clients:
                    clients[attempt.service] = await stack.enter_async_context(project.connect(attempt.service))
                done.append(await _cancel(project, clients[attempt.service], attempt, record=clip_id in hold.mine))
                hold.beat()
    return tuple(done)


def _newest_open(project: Project, clip_ids: Collection[str]) -> dict[str, Attempt | None]:
    """The attempt of each clip that counts: one that is under way, else the newest one; None where there is none."""
    newest: dict[str, Attempt | None] = dict.fromkeys(clip_ids)
    for attempt in project.ledger.attempts(clip_ids):
        known = newest[attempt.clip_id]
        if known is None or attempt.is_open or not known.is_open:
            newest[attempt.clip_id] = attempt
    wanted = {clip.clip_id for clip in project.ledger.wanted(clip_ids)}
    unknown = [clip_id for clip_id, attempt in newest.items() if attempt is None and clip_id not in wanted]
    if unknown:
        raise SettingsError("kf2v cancel", f"the ledger knows no clip {', '.join(unknown)}", "check the name")
    return newest


async def _cancel(project: Project, client: WanClient, attempt: Attempt, *, record: bool) -> Cancellation:
    task_id = attempt.task_id or ""
    try:
        is_accepted = await _ask(client, task_id)
        reading = await client.get(task_id)
    except (ServiceError, TransportError) as error:
        return _kept(attempt.clip_id, f"the service can't be asked ({error}); try again")
    if reading.status is TaskStatus.CANCELED and record:
        _record(project, attempt, reading)
    if reading.status is TaskStatus.CANCELED or is_accepted:
        why = "its task is canceled and costs nothing; kf2v run --clip asks for it again"
        return Cancellation(clip_id=attempt.clip_id, is_canceled=True, why=why)
    return _kept(attempt.clip_id, _GOES_ON[reading.status])


async def _ask(client: WanClient, task_id: str) -> bool:
    """Whether the service takes the cancel; it refuses one for a task that waits no more."""
    try:
        await client.cancel(task_id)
    except ServiceError as error:
        if error.code != _NOT_WAITING:
            raise
        return False
    return True


def _record(project: Project, attempt: Attempt, reading: Reading) -> None:
    detail = canceled(reading)
    fact = Fact(attempt_id=attempt.attempt_id, kind=FactKind.TASK_CANCELED, at=project.clock(), detail=detail)
    project.ledger.record(fact)


def _kept(clip_id: str, why: str) -> Cancellation:
    return Cancellation(clip_id=clip_id, is_canceled=False, why=why)
