"""The sensors: ``manifest_sensor`` reads a manifest that changed, ``clip_sensor`` keeps a run going while clips wait.

A tick asks the ledger and Dagster, never the service: it takes milliseconds, and one that Dagster timed out, and that
runs on beside the next, can do no harm.
"""

from datetime import timedelta
from typing import Protocol

import dagster as dg

from kf2v_pipeline.domain.attempt import Remedy
from kf2v_pipeline.orchestration.jobs import refresh_manifest, render_clips
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.storage.source import token
from kf2v_pipeline.workflow.driver import describe, living_drivers
from kf2v_pipeline.workflow.project import Project
from kf2v_pipeline.workflow.tempo import Tempo

SLICE_MINUTES = 30
"""How long a run of the sensor's stays: failures turn red soon, and a deploy finds short runs."""

_ON_ITS_WAY = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]
_START_WITHIN = timedelta(minutes=5)
"""A run that did not start within so long does not count as on its way any more."""

_AFTER_A_STOP = timedelta(minutes=15)
"""How long a lane that stopped (key, arrears, access) is left alone: only a person can mend it."""


class OpenProject(Protocol):
    """Opens the project of some settings; whoever opens it, closes it."""

    def __call__(self, settings: Settings) -> Project:
        """The project; nothing of it is opened before it is used."""


def build_sensors(settings: Settings, open_project: OpenProject) -> list[dg.SensorDefinition]:
    """Both sensors of a project: on for the local service; off where runs may spend money, until they are turned on."""
    is_free = settings.service == "local" and not settings.api_key  # with a key, a row may name a real service
    status = dg.DefaultSensorStatus.RUNNING if is_free else dg.DefaultSensorStatus.STOPPED

    @dg.sensor(
        job_name=refresh_manifest.name,
        minimum_interval_seconds=30,
        default_status=status,
        description="Reads the manifest when its file changed.",
    )
    def manifest_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        found = token(settings.manifest)
        if found is None:
            return dg.SkipReason("The manifest is not there, or its store does not tell when it changes.")
        if found == context.cursor:
            return dg.SkipReason("The manifest did not change.")
        return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=found)

    @dg.sensor(
        job_name=render_clips.name,
        minimum_interval_seconds=30,
        default_status=status,
        description="Starts a run while clips are wanted that no living run has; after a crash it does the same.",
    )
    def clip_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        with open_project(settings) as project:
            return _next_run(context.instance, project)

    return [manifest_sensor, clip_sensor]


def _next_run(instance: dg.DagsterInstance, project: Project) -> dg.RunRequest | dg.SkipReason:
    backlog = project.backlog()
    waiting, now = len(backlog), project.clock()
    if not waiting:
        return dg.SkipReason("Every wanted clip is stored, or failed for good.")
    for attempt in backlog.values():
        if attempt and attempt.remedy is Remedy.STOP_LANE and now - attempt.prepared_at < _AFTER_A_STOP:
            return dg.SkipReason(f"Lane {attempt.lane} stopped ({attempt.error_code}): {attempt.error_message}")
    drivers = living_drivers(project.ledger, at=now, stale_after=Tempo().stale_after)
    if drivers:
        return dg.SkipReason(f"{waiting} clips are wanted, and driven by {describe(drivers[0])}.")
    coming = instance.get_runs(
        dg.RunsFilter(job_name=render_clips.name, statuses=_ON_ITS_WAY, created_after=now - _START_WITHIN), limit=1
    )
    if coming:
        return dg.SkipReason(f"{waiting} clips are wanted, and run {coming[0].run_id} is about to drive them.")
    config = {"ops": {"claim": {"config": {"only_missing": True, "slice_minutes": SLICE_MINUTES}}}}
    return dg.RunRequest(run_config=config)
