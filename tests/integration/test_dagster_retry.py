"""A run whose worker dies is started again by Dagster's daemon, and the run that it makes gets to its end."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.selector import JobSubsetSelector
from dagster._core.events import DagsterEvent
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.auto_run_reexecution.auto_run_reexecution import consume_new_runs_for_automatic_reexecution
from integration.deployment import QUIET, VIDEO, Deployment

from kf2v_pipeline.localserver.embedded import LocalServer

StartServer = Callable[..., LocalServer]
WriteManifest = Callable[..., Path]

LOCATION = """
from pathlib import Path

from kf2v_pipeline import Settings, build_definitions

defs = build_definitions(
    Settings(
        manifest={0.manifest!r}, service={0.service!r}, storage={0.storage!r}, home=Path({1!r}), quality=False
    )
)
"""

WORKER = """
import os
import sys
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator
from kf2v_pipeline.orchestration.instance import open_instance
from location import Path, defs

lives = []
with open_instance(Path(sys.argv[1])) as instance:
    for run_id, step in zip(sys.argv[2::2], sys.argv[3::2]):
        run = instance.get_run_by_id(run_id)
        job = InMemoryJob(defs.resolve_job_def(run.job_name))
        if run.asset_selection:
            job = job.get_subset(asset_selection=run.asset_selection)
        lives.append(execute_run_iterator(job, run, instance))
        assert any(event.is_step_success and event.step_key == step for event in lives[-1])
    os._exit(9)
"""
"""Executes each run until one of its steps is done, and dies without a word of any of them."""

ASSET_JOB = "__ASSET_JOB"
LAST_STEPS = {ASSET_JOB: "render.drive", "render_batch": "drive", "reconcile": "reconcile_ledger"}


def test_a_run_whose_worker_died_is_started_again_and_gets_to_its_end_and_buys_nothing_twice(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    """By itself Dagster begins at the step that failed, and then refuses: its input was in the dead worker's memory."""
    server = start_server()
    deployment = deploy(server, write_manifest("a", "b"))
    deployment.materialize("manifest")
    instance, settings = deployment.instance, deployment.settings
    location = tmp_path / "location.py"
    location.write_text(LOCATION.format(settings, str(settings.home)))
    with _workspace(instance, location) as workspace:
        runs = [_create(deployment, workspace, name) for name in LAST_STEPS]
        words = [word for run in runs for word in (run.run_id, LAST_STEPS[run.job_name])]
        worker = [sys.executable, "-c", WORKER, str(settings.dagster_home), *words]
        died = subprocess.run(worker, check=False, env={**os.environ, "PYTHONPATH": str(tmp_path)})
        assert died.returncode == 9
        assert len(server.journal()["creates"]) == 2

        for run in runs:
            instance.report_run_failed(run)
        records = instance.get_run_records(dg.RunsFilter(run_ids=[run.run_id for run in runs]))
        list(consume_new_runs_for_automatic_reexecution(workspace, records, logging.getLogger("daemon")))

    retried = {run.job_name: run for run in instance.get_runs() if run.parent_run_id}
    ended = {name: _execute(deployment, run).success for name, run in retried.items()}
    assert ended == dict.fromkeys(LAST_STEPS, True)
    assert len(server.journal()["creates"]) == 2


@contextmanager
def _workspace(instance: dg.DagsterInstance, location: Path) -> Iterator[WorkspaceProcessContext]:
    """The definitions as the daemon sees them."""
    target = LoadableTargetOrigin(executable_path=sys.executable, python_file=str(location))
    origin = InProcessCodeLocationOrigin(target, location_name="kf2v")
    with WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)) as workspace:
        yield workspace


def _create(deployment: Deployment, workspace: WorkspaceProcessContext, job_name: str) -> dg.DagsterRun:
    """A run as the UI launches it; of the asset's, one for a partition."""
    job = deployment.definitions.resolve_job_def(job_name)
    selector = JobSubsetSelector("kf2v", "__repository__", job_name, None)
    remote_job = workspace.create_request_context().get_full_job(selector)
    chosen = {VIDEO} if job_name == ASSET_JOB else None
    return deployment.instance.create_run_for_job(
        job.get_subset(asset_selection=chosen) if chosen else job,
        run_config=QUIET,
        tags={**job.run_tags, **({"dagster/partition": "a"} if chosen else {})},
        asset_selection=chosen,
        remote_job_origin=remote_job.get_remote_origin(),
        job_code_origin=remote_job.get_python_origin(),
    )


def _execute(deployment: Deployment, run: dg.DagsterRun) -> dg.JobExecutionResult:
    """Executes a run that waits in the queue."""
    instance = deployment.instance
    instance.report_dagster_event(
        DagsterEvent(dg.DagsterEventType.PIPELINE_STARTING.value, run.job_name), run_id=run.run_id
    )
    started = instance.get_run_by_id(run.run_id)
    assert started is not None
    return execute_run(InMemoryJob(deployment.definitions.resolve_job_def(run.job_name)), started, instance)
