"""When Dagster is told of a clip's end: within a second, with the others of that second, and never not at all."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import dagster as dg
import pytest
from integration.deployment import QUIET, VIDEO, Deployment
from unit.workflow.virtual_loop import VirtualLoop, run_virtually

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.orchestration.storyteller import TOLD_AT_ONCE, Storyteller
from kf2v_pipeline.workflow.outcome import Outcome, Verdict

StartServer = Callable[..., LocalServer]
WriteManifest = Callable[..., Path]
Drive = Callable[[Storyteller, Outcome], Coroutine[Any, Any, None]]


@pytest.fixture
def deployment(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> Deployment:
    """One whose only clip is stored, and told."""
    deployment = deploy(start_server(), write_manifest("a"))
    assert deployment.run_job("render_batch").success
    return deployment


def tell(deployment: Deployment, drive: Drive, together: Callable[[], Any] = nullcontext) -> dg.DagsterRun:
    """Lets a drive tell the end of the stored clip in a run, while time jumps."""
    names = Names()

    @dg.op(required_resource_keys={"kf2v_project", "kf2v_listener"})
    def op(context: dg.OpExecutionContext) -> None:
        project = names.project(context)
        clip = next(iter(project.wanted()))
        stored = Outcome(clip=clip, verdict=Verdict.STORED, attempt=project.ledger.newest([clip])[clip.clip_id])
        storyteller, loop = Storyteller(context, names, project), VirtualLoop()
        try:
            with storyteller.telling(together):
                run_virtually(drive(storyteller, stored), loop)
        finally:
            loop.close()

    @dg.job(resource_defs=deployment.definitions.resources)
    def job() -> None:
        op()

    return job.execute_in_process(instance=deployment.instance, run_config=QUIET, raise_on_error=False).dagster_run


def told(deployment: Deployment) -> int:
    """How often the clip was materialized."""
    return len(deployment.instance.fetch_materializations(VIDEO, limit=1000).records)


class Together:
    """Counts what is written in one go."""

    def __init__(self) -> None:
        self.times = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self.times += 1
        yield


def refuse() -> NoReturn:
    """Dagster's storage is out of reach."""
    raise sqlite3.OperationalError("database is locked")


def test_what_ends_within_a_second_is_told_then_while_the_drive_goes_on(deployment: Deployment) -> None:
    counts = []

    async def drive(storyteller: Storyteller, stored: Outcome) -> None:
        for _ in range(2):
            storyteller.ended(stored)
            await asyncio.sleep(0.4)
        counts.append(told(deployment))
        await asyncio.sleep(0.3)
        counts.append(told(deployment))
        storyteller.ended(stored)
        await asyncio.sleep(1.1)
        counts.append(told(deployment))

    assert tell(deployment, drive).is_success
    assert counts == [1, 3, 4]


def test_more_than_is_told_in_one_go_is_told_in_several(deployment: Deployment) -> None:
    together, counts = Together(), []

    async def drive(storyteller: Storyteller, stored: Outcome) -> None:
        for _ in range(TOLD_AT_ONCE + 1):
            storyteller.ended(stored)
        await asyncio.sleep(1.1)
        counts.append(told(deployment))

    assert tell(deployment, drive, together).is_success
    assert together.times == 2
    assert counts == [1 + TOLD_AT_ONCE + 1]


def test_what_ends_last_is_told_with_the_drives_end(deployment: Deployment) -> None:
    async def drive(storyteller: Storyteller, stored: Outcome) -> None:
        for _ in range(TOLD_AT_ONCE + 1):
            storyteller.ended(stored)

    assert tell(deployment, drive).is_success
    assert told(deployment) == 1 + TOLD_AT_ONCE + 1


def test_what_ended_before_a_drive_was_stopped_is_told(deployment: Deployment) -> None:
    async def drive(storyteller: Storyteller, stored: Outcome) -> None:
        storyteller.ended(stored)
        raise ZeroDivisionError

    assert not tell(deployment, drive).is_success
    assert told(deployment) == 2


def test_a_drive_hears_with_its_next_word_that_dagster_could_not_be_told(deployment: Deployment) -> None:
    heard = []

    async def drive(storyteller: Storyteller, stored: Outcome) -> None:
        storyteller.ended(stored)
        storyteller.moved("a", State.SUBMITTED)
        await asyncio.sleep(1.1)
        for say in (partial(storyteller.moved, "a", State.SUBMITTED), partial(storyteller.ended, stored)):
            with pytest.raises(sqlite3.OperationalError):
                say()
            heard.append(say)

    tell(deployment, drive, refuse)
    assert len(heard) == 2


def test_a_run_fails_that_cannot_tell_dagster_of_its_last_clips(deployment: Deployment) -> None:
    async def drive(storyteller: Storyteller, stored: Outcome) -> None:
        storyteller.ended(stored)

    assert tell(deployment, drive, refuse).status is dg.DagsterRunStatus.FAILURE
    assert told(deployment) == 1


def test_why_a_drive_was_stopped_is_heard_where_dagster_cannot_be_told_either(deployment: Deployment) -> None:
    async def drive(storyteller: Storyteller, stored: Outcome) -> None:
        storyteller.ended(stored)
        raise ZeroDivisionError

    run = tell(deployment, drive, refuse)
    (failure,) = deployment.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    assert "ZeroDivisionError" in str(failure.get_dagster_event().step_failure_data.error)
