"""When Dagster is told of a clip's end: within a second, with the others of that second, and never not at all."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, NoReturn
from uuid import uuid4

import dagster as dg
import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
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


class ThreadedLoop(VirtualLoop):
    """A loop whose time jumps, and whose threads are threads."""

    run_in_executor = asyncio.SelectorEventLoop.run_in_executor


class Strips:
    """The film strips of a storage elsewhere. Whoever reads one while no loop runs in its thread waits until it may.

    Attributes:
        on_loop: Whether a loop waited meanwhile, for each that was read.
        asked: Somebody reads one, or waits for it.
    """

    def __init__(self) -> None:
        self.on_loop: list[bool] = []
        self.asked = Event()
        self.may_be_read = Event()
        self.may_be_read.set()

    def hold(self) -> None:
        """From now on they may not be read."""
        self.on_loop.clear()
        self.asked.clear()
        self.may_be_read.clear()

    def read(self) -> None:
        """One is asked for."""
        self.on_loop.append(has_loop())
        self.asked.set()
        if not has_loop():
            assert self.may_be_read.wait(timeout=60)


def has_loop() -> bool:
    """Whether a loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@pytest.fixture
def strips() -> Strips:
    """Those of the storage at ``elsewhere://``, which lies in memory."""
    strips = Strips()

    class Elsewhere(MemoryFileSystem):
        protocol = "elsewhere"

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return str(super()._strip_protocol(path.replace("elsewhere://", "memory://", 1)))

        def cat_file(self, path: str, *arguments: Any, **options: Any) -> Any:
            if path.endswith(".strip.jpg"):
                strips.read()
            return super().cat_file(path, *arguments, **options)

    fsspec.register_implementation("elsewhere", Elsewhere, clobber=True)
    return strips


@pytest.fixture
def deployment_elsewhere(
    strips: Strips, deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> Deployment:
    """One whose only clip is stored elsewhere, and told; its strip is held."""
    deployment = deploy(start_server(), write_manifest("a"), storage=f"elsewhere://{uuid4().hex}/out")
    assert deployment.run_job("render_batch").success
    assert strips.on_loop
    strips.hold()
    return deployment


def tell(
    deployment: Deployment,
    drive: Drive,
    together: Callable[[], Any] = nullcontext,
    new_loop: Callable[[], VirtualLoop] = VirtualLoop,
) -> dg.DagsterRun:
    """Lets a drive tell the end of the stored clip in a run, while time jumps."""
    names = Names()

    @dg.op(required_resource_keys={"kf2v_project", "kf2v_listener"})
    def op(context: dg.OpExecutionContext) -> None:
        project = names.project(context)
        clip = next(iter(project.wanted()))
        stored = Outcome(clip=clip, verdict=Verdict.STORED, attempt=project.ledger.newest([clip])[clip.clip_id])
        storyteller = Storyteller(context, names, project)
        with storyteller.telling(together):
            run(drive(storyteller, stored), new_loop())

    @dg.job(resource_defs=deployment.definitions.resources)
    def job() -> None:
        op()

    return job.execute_in_process(instance=deployment.instance, run_config=QUIET, raise_on_error=False).dagster_run


def run(work: Coroutine[Any, Any, None], loop: VirtualLoop) -> None:
    """Runs the work, and ends its loop as ``asyncio.run`` does: tasks are cancelled, threads are waited for."""
    try:
        run_virtually(work, loop)
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        run_virtually(asyncio.wait(tasks) if tasks else asyncio.sleep(0), loop)
        run_virtually(loop.shutdown_default_executor(), loop)
        loop.close()


def told(deployment: Deployment) -> int:
    """How often the clip was materialized."""
    return len(deployment.instance.fetch_materializations(VIDEO, limit=1000).records)


class Together:
    """Counts what is written in one go."""

    def __init__(self) -> None:
        self.times = 0
        self.is_written = asyncio.Event()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self.times += 1
        yield
        self.is_written.set()


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


def test_a_drive_goes_on_while_a_storage_elsewhere_keeps_a_film_strip_waiting(
    deployment_elsewhere: Deployment, strips: Strips
) -> None:
    """A hanging object store may take minutes over one; a driver that is silent for one minute counts as dead."""
    together, counts = Together(), []

    async def drive(storyteller: Storyteller, stored: Outcome) -> None:
        storyteller.ended(stored)
        await asyncio.to_thread(strips.asked.wait)
        await asyncio.sleep(600)
        storyteller.ended(stored)
        counts.append(told(deployment_elsewhere))
        strips.may_be_read.set()
        await together.is_written.wait()
        counts.append(told(deployment_elsewhere))

    assert tell(deployment_elsewhere, drive, together, ThreadedLoop).is_success
    assert True not in strips.on_loop
    assert counts[0] == 1
    assert counts[1] > 1
    assert told(deployment_elsewhere) == 3


def test_what_is_being_read_for_when_a_drive_is_stopped_is_told_once(
    deployment_elsewhere: Deployment, strips: Strips
) -> None:
    async def wait_for_the_loops_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            strips.may_be_read.set()

    async def drive(storyteller: Storyteller, stored: Outcome) -> None:
        waiting = asyncio.create_task(wait_for_the_loops_end())
        storyteller.ended(stored)
        await asyncio.to_thread(strips.asked.wait)
        assert not waiting.done()
        raise ZeroDivisionError

    assert not tell(deployment_elsewhere, drive, new_loop=ThreadedLoop).is_success
    assert strips.on_loop == [False, False]
    assert told(deployment_elsewhere) == 2
