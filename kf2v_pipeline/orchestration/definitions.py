"""Everything that Dagster is told, made from settings; the environment is read by whoever calls."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import dagster as dg

from kf2v_pipeline.orchestration.assets import build_assets
from kf2v_pipeline.orchestration.checks import build_video_checks
from kf2v_pipeline.orchestration.jobs import build_jobs
from kf2v_pipeline.orchestration.names import OWNER, Names
from kf2v_pipeline.orchestration.opening import open_project
from kf2v_pipeline.orchestration.render import build_render_ops
from kf2v_pipeline.orchestration.resources import build_resources
from kf2v_pipeline.orchestration.schedules import build_nightly
from kf2v_pipeline.orchestration.sensors import build_sensors
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.workflow.outcome import Listener, Silence
from kf2v_pipeline.workflow.project import Project

__all__ = ["build_definitions", "open_project"]


def build_definitions(
    settings: Settings,
    listener: Listener | None = None,
    *,
    prefix: str = "",
    group: str = "",
    owners: Sequence[str] = (OWNER,),
    executor: dg.ExecutorDefinition | None = dg.in_process_executor,
) -> dg.Definitions:
    """Assets, checks, jobs, schedule, sensors and resources of one batch, to be merged with a person's own.

    Args:
        settings: What a person may choose.
        listener: Who is told how a drive goes, beside Dagster; None for nobody.
        prefix: Before every name, where a code location holds several batches.
        group: The assets' group; empty for the prefix, or else ``kf2v``.
        owners: Of the assets: e-mail addresses, or ``team:NAME``.
        executor: Of asset runs; None to leave it to whom these definitions are merged with. Steps hand values on in
            memory, and a worker of the multiprocess executor that is killed leaves a process behind that goes on
            submitting: so it should be an in-process one.

    Raises:
        SettingsError: The schedule's cron expression or timezone, or the prefix, can't be used.
    """
    names = Names(prefix=prefix, group=group, owners=tuple(owners))
    ops = build_render_ops(names)
    jobs = build_jobs(names, ops)

    @dg.resource(description="Ledger, storage and service of this batch.")
    @contextmanager
    def project(_context: dg.InitResourceContext) -> Iterator[Project]:
        with open_project(settings) as opened:
            yield opened

    return dg.Definitions(
        assets=build_assets(names, ops),
        asset_checks=[build_video_checks(names)],
        jobs=jobs,
        schedules=[build_nightly(settings, names, jobs.render_batch)],
        sensors=build_sensors(settings, names, jobs, open_project),
        resources={
            **build_resources(settings, names),
            names.of("kf2v_project"): project,
            names.of("kf2v_memory"): dg.mem_io_manager,
            names.of("kf2v_listener"): dg.ResourceDefinition.hardcoded_resource(listener or Silence()),
        },
        executor=executor,
    )
