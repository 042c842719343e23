"""The sensors: ``manifest_sensor`` reads a manifest that changed, ``clip_sensor`` keeps a run going while clips wait.

A tick asks the ledger and Dagster, never the service: it takes milliseconds, and one that Dagster timed out, and that
runs on beside the next, can do no harm.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Protocol

import dagster as dg

from kf2v_pipeline.orchestration.jobs import Jobs
from kf2v_pipeline.orchestration.lost import end_lost_runs
from kf2v_pipeline.orchestration.names import DRIVE_TAG, Names
from kf2v_pipeline.orchestration.reading import reading_tags, what_to_read, why_not_read
from kf2v_pipeline.orchestration.stop import refused_lanes, stopped_batch, stopped_lanes
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.storage.ledger import Driver
from kf2v_pipeline.storage.source import is_there, token
from kf2v_pipeline.words import counted
from kf2v_pipeline.workflow.driver import describe, living_drivers
from kf2v_pipeline.workflow.project import Project, utc_now
from kf2v_pipeline.workflow.waiting import Waiting

SLICE_MINUTES = 30
"""How long a run of the sensor's stays: failures turn red soon, and a deploy finds short runs."""

ABOUT_TO_CLAIM = timedelta(minutes=2)
"""How long a driver without clips counts as about to claim some: one that only waits for another's must not keep new
ones waiting."""

_PATIENCE = {
    dg.DagsterRunStatus.QUEUED: None,
    dg.DagsterRunStatus.NOT_STARTED: timedelta(minutes=5),
    dg.DagsterRunStatus.STARTING: timedelta(minutes=5),
    dg.DagsterRunStatus.STARTED: timedelta(seconds=60),
}
"""For how long a run in that status counts as on its way to drive: one that started tells the ledger soon that it
does, or is lost. None for as long as it is so: the queue will start it."""

_RUN_TAGS = {
    "dagster/max_retries": "0",  # the next tick starts the next run
    "dagster/max_runtime": str((SLICE_MINUTES + 15) * 60),  # a run whose process is lost stays STARTED for ever
}


class OpenProject(Protocol):
    """Opens the project of some settings; whoever opens it, closes it."""

    def __call__(self, settings: Settings) -> Project:
        """The project; nothing of it is opened before it is used."""


def build_sensors(settings: Settings, names: Names, jobs: Jobs, open_project: OpenProject) -> list[dg.SensorDefinition]:
    """Both sensors of a project: on for the local service; off where runs may spend money, until they are turned on."""
    is_free = _is_free(settings)
    status = dg.DefaultSensorStatus.RUNNING if is_free else dg.DefaultSensorStatus.STOPPED

    @dg.sensor(
        name=names.of("manifest_sensor"),
        job_name=jobs.refresh_manifest.name,
        minimum_interval_seconds=30,
        default_status=status,
        description="Reads the manifest when its file changed, or a setting by which its rows are read: new, changed "
        "and removed rows. A reading that failed is tried again, less and less often.",
    )
    def manifest_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        found = token(settings.manifest)
        if found is None and not is_there(settings.manifest):
            return dg.SkipReason("The manifest is not there, or can't be reached.")
        if found is None:
            job = jobs.refresh_manifest.name
            return dg.SkipReason(f"The manifest's address does not tell when it changes: launch job {job} when it did.")
        with open_project(settings) as project:
            wish = what_to_read(settings, project.manifest_name, found)
        if reason := why_not_read(context, names, wish, utc_now()):
            return dg.SkipReason(reason)
        return dg.SensorResult(run_requests=[dg.RunRequest(tags=reading_tags(names, wish))], cursor=wish)

    @dg.sensor(
        name=names.of("clip_sensor"),
        job_name=jobs.render_clips.name,
        minimum_interval_seconds=30,
        default_status=status,
        description="Starts a run while clips are wanted that no living run has; after a crash it does the same.",
    )
    def clip_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        with open_project(settings) as project:
            return _next_run(context.instance, names, project, is_free=is_free)

    return [manifest_sensor, clip_sensor]


def _is_free(settings: Settings) -> bool:
    """Whether all lanes that the settings name are the local service's. A row may name another service all the same."""
    return {settings.service, *(lane.rpartition("/")[0] for lane in settings.lane_names)} == {"local"}


def _next_run(
    instance: dg.DagsterInstance, names: Names, project: Project, *, is_free: bool
) -> dg.RunRequest | dg.SkipReason:
    """A run for what waits and can be driven: lanes that stopped a moment ago are left out, and hold up no other.

    What is under way in them is followed and collected all the same, but where their service tells nothing of it.

    Args:
        is_free: Whether the sensor is on by itself, and so leaves out lanes that may spend money, too.
    """
    end_lost_runs(instance, project)
    waiting, now = project.waiting(), project.clock()
    if not waiting.count:
        return dg.SkipReason("Every wanted clip is stored, or failed for good.")
    living = living_drivers(project.ledger, at=now, stale_after=project.stale_after)
    served = {driver.run_id for driver in living}
    pauses = stopped_lanes(instance, names, project.ledger, now, served=served)
    left = sorted(lane for lane, pause in pauses.items() if pause.is_left)
    stops = {lane: pause.sentence for lane, pause in pauses.items()}
    stops |= refused_lanes(waiting.attempts, project.ledger, now)
    if is_free:
        stops |= _paid_lanes(project, waiting)
    able = waiting.without(stops.keys(), left=left)
    reason = (
        (None if able.count else " ".join(stops.values()))
        or _driven(project, able, living)
        or _coming_run(instance, names, now)
        or stopped_batch(instance, names, now)
    )
    if reason:
        return dg.SkipReason(f"Wanted: {counted(waiting.count, 'clip')}. {reason}")
    lanes = {"without_lanes": sorted(stops), "left_lanes": left}
    config = {"only_missing": True, "slice_minutes": SLICE_MINUTES, "free_only": is_free, **lanes}
    return dg.RunRequest(run_config={"ops": {names.of("claim"): {"config": config}}}, tags=_RUN_TAGS)


def _paid_lanes(project: Project, waiting: Waiting) -> dict[str, str]:
    """The lanes of real services, with a sentence each."""
    fix = "launch a run for it, or add it to KF2V_LANES and turn the sensor on."
    return {
        lane: f"Lane {lane} may spend money, which no sensor does that is on by itself: {fix}"
        for lane in sorted(waiting.lanes)
        if not project.is_free(lane)
    }


def _driven(project: Project, waiting: Waiting, drivers: Iterable[Driver]) -> str | None:
    """Who of the living has all of the clips; None where one of them is nobody's."""
    living = {driver.owner: driver for driver in drivers}
    if not living:
        return None
    new = project.ledger.newcomers(since=project.clock() - ABOUT_TO_CLAIM)
    coming = [driver for owner, driver in living.items() if owner in new]
    if coming:
        return f"They are about to be driven by {describe(coming[0])}."
    owners = [living[owner] for owner in sorted(living) if owner in waiting.owners]
    if not waiting.owners <= living.keys():
        return None
    return f"They are driven by {'; '.join(map(describe, owners or living.values()))}."


def _coming_run(instance: dg.DagsterInstance, names: Names, now: datetime) -> str | None:
    """The run that is about to drive; one that started a while ago without a word in the ledger is none."""
    records = instance.get_run_records(
        dg.RunsFilter(tags={DRIVE_TAG: names.group_name}, statuses=list(_PATIENCE)), limit=20
    )
    for record in records:
        began_at = datetime.fromtimestamp(record.start_time or record.create_timestamp.timestamp(), timezone.utc)
        patience = _PATIENCE[record.dagster_run.status]
        if patience is None or now - began_at < patience:
            return f"Run {record.dagster_run.run_id} is about to drive them."
    return None
