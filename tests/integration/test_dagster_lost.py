"""Runs that lost their process or machine: the clip sensor ends them, so that their places are free for others."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from integration.commands.office import Office
from integration.deployment import Deployment
from integration.test_dagster_sensors import said

from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.orchestration.names import DRIVE_TAG
from kf2v_pipeline.storage.ledger import Driver, Ledger
from kf2v_pipeline.workflow.driver import all_drivers, dismiss_the_dead
from kf2v_pipeline.workflow.outcome import Silence
from kf2v_pipeline.workflow.project import utc_now

Deploy = Callable[..., Deployment]
StartServer = Callable[..., LocalServer]
WriteManifest = Callable[..., Path]

ELSEWHERE = "another-machine"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def deployment(deploy: Deploy, start_server: StartServer, write_manifest: WriteManifest) -> Deployment:
    """One wanted clip, which nobody drives."""
    deployment = deploy(start_server(), write_manifest("a"))
    deployment.materialize("manifest")
    return deployment


@pytest.fixture
def ledger(deployment: Deployment) -> Iterator[Ledger]:
    """The deployment's."""
    with Ledger.open(deployment.settings.ledger_url) as opened:
        yield opened


@pytest.fixture
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])  # noqa: S607  # any process that ends
    process.wait()
    return process.pid


def begin(deployment: Deployment, status: dg.DagsterRunStatus) -> str:
    """A run that is not carried out: Dagster alone knows of it."""
    job = deployment.definitions.resolve_job_def("render_clips")
    return deployment.instance.create_run_for_job(job, status=status, tags={DRIVE_TAG: job.tags[DRIVE_TAG]}).run_id


def lose(ledger: Ledger, run_id: str, *, silent: timedelta, host: str = ELSEWHERE, pid: int = 1) -> Driver:
    """A driver that serves the run, holds the clip, and said a while ago for the last time that it lives."""
    driver = Driver(owner=f"lost-{run_id}", host=host, pid=pid, run_id=run_id)
    ledger.enlist(driver, at=utc_now() - silent)
    ledger.claim(driver.owner, ["a"], at=utc_now() - silent, stale_after=MINUTE)
    return driver


def status(deployment: Deployment, run_id: str) -> dg.DagsterRunStatus:
    run = deployment.instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_run_whose_process_is_gone_is_taken_over_although_dagster_calls_it_started(
    deployment: Deployment, ledger: Ledger, gone: int
) -> None:
    run_id = begin(deployment, dg.DagsterRunStatus.STARTED)
    lose(ledger, run_id, silent=timedelta(0), host=socket.gethostname(), pid=gone)

    assert isinstance(deployment.tick("clip_sensor"), dg.RunRequest)

    assert status(deployment, run_id) is dg.DagsterRunStatus.FAILURE


@pytest.mark.parametrize(
    ("silent", "ended"), [(1.8 * MINUTE, dg.DagsterRunStatus.STARTED), (2.2 * MINUTE, dg.DagsterRunStatus.FAILURE)]
)
def test_a_run_whose_driver_is_silent_for_two_minutes_has_failed_wherever_it_was(
    silent: timedelta, ended: dg.DagsterRunStatus, deployment: Deployment, ledger: Ledger
) -> None:
    """A container that replaces another has a new name: nobody can tell any more whether the process is there."""
    run_id = begin(deployment, dg.DagsterRunStatus.STARTED)
    lose(ledger, run_id, silent=silent)

    deployment.tick("clip_sensor")

    assert status(deployment, run_id) is ended


def test_lost_runs_make_room_for_the_one_that_waits(deployment: Deployment, ledger: Ledger) -> None:
    """Two that count as started are all that may drive at a time, so a third would wait for ever."""
    lost = [begin(deployment, dg.DagsterRunStatus.STARTED) for _ in range(2)]
    for run_id in lost:
        lose(ledger, run_id, silent=3 * MINUTE)
    waits = begin(deployment, dg.DagsterRunStatus.NOT_STARTED)
    assert waits in said(deployment.tick("clip_sensor"))

    assert {status(deployment, run_id) for run_id in lost} == {dg.DagsterRunStatus.FAILURE}
    assert status(deployment, waits) is dg.DagsterRunStatus.NOT_STARTED


def test_a_lost_run_is_ended_also_where_no_clip_waits(deployment: Deployment, ledger: Ledger) -> None:
    run_id = begin(deployment, dg.DagsterRunStatus.STARTED)
    lose(ledger, run_id, silent=3 * MINUTE)
    ledger.want(deployment.settings.manifest, [], at=utc_now())

    assert "Every wanted clip is stored" in said(deployment.tick("clip_sensor"))

    assert status(deployment, run_id) is dg.DagsterRunStatus.FAILURE


def test_a_run_is_ended_also_where_another_drive_let_go_of_its_clips_before(
    deployment: Deployment, ledger: Ledger, gone: int
) -> None:
    run_id = begin(deployment, dg.DagsterRunStatus.STARTED)
    lose(ledger, run_id, silent=timedelta(0), host=socket.gethostname(), pid=gone)
    dismiss_the_dead(ledger, at=utc_now(), stale_after=MINUTE)
    assert ledger.holders(at=utc_now(), stale_after=MINUTE) == {}

    deployment.tick("clip_sensor")

    assert status(deployment, run_id) is dg.DagsterRunStatus.FAILURE
    assert ledger.drivers(at=utc_now(), stale_after=MINUTE) == ()


def test_a_run_that_is_carried_on_by_another_process_goes_on(deployment: Deployment, ledger: Ledger) -> None:
    run_id = begin(deployment, dg.DagsterRunStatus.STARTED)
    lose(ledger, run_id, silent=3 * MINUTE)
    ledger.enlist(Driver(owner="next", host=ELSEWHERE, pid=2, run_id=run_id), at=utc_now())

    deployment.tick("clip_sensor")

    assert status(deployment, run_id) is dg.DagsterRunStatus.STARTED


@pytest.mark.parametrize(("silent", "is_known"), [(timedelta(hours=23), True), (timedelta(hours=25), False)])
def test_a_driver_of_elsewhere_is_forgotten_once_it_is_silent_for_a_day(
    silent: timedelta, is_known: bool, deployment: Deployment, ledger: Ledger
) -> None:
    """Each container that is replaced leaves one; until then it might wake up."""
    lost = lose(ledger, begin(deployment, dg.DagsterRunStatus.STARTED), silent=silent)

    deployment.tick("clip_sensor")

    assert (lost in all_drivers(ledger, at=utc_now())) == is_known


@pytest.mark.parametrize("clip_ids", [["a"], []], ids=["with_work", "without_work"])
def test_a_run_that_drove_on_in_another_process_is_not_lost_while_it_publishes(
    clip_ids: list[str], deployment: Deployment, ledger: Ledger, tmp_path: Path
) -> None:
    """Dagster resumes a run under its own name; only the first process's silence is left by then."""
    run_id = begin(deployment, dg.DagsterRunStatus.STARTED)
    lose(ledger, run_id, silent=3 * MINUTE)
    with ExitStack() as opened:
        settings = deployment.settings
        project = Office(tmp_path, opened).open(settings.service, Path(settings.manifest))
        clips = list(project.wanted(clip_ids))
        asyncio.run(project.engine(clips, Silence(), run_id=run_id).drive(clips))

    deployment.tick("clip_sensor")

    assert status(deployment, run_id) is dg.DagsterRunStatus.STARTED


def test_a_drive_that_begins_leaves_a_living_driver_of_its_own_run_alone(
    deployment: Deployment, ledger: Ledger
) -> None:
    """Two batches of one run may drive side by side, on one ledger."""
    run_id = begin(deployment, dg.DagsterRunStatus.STARTED)
    other = lose(ledger, run_id, silent=timedelta(0))

    dismiss_the_dead(ledger, at=utc_now(), stale_after=MINUTE, run_id=run_id)

    assert ledger.drivers(at=utc_now(), stale_after=MINUTE) == (other,)
