"""Everything that Dagster is told, made from settings; the environment is read by whoever calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from kf2v_pipeline.errors import Kf2vError
from kf2v_pipeline.localserver.embedded import ensure_server
from kf2v_pipeline.localserver.server import ServerError
from kf2v_pipeline.orchestration.assets import gallery, manifest, video, video_table
from kf2v_pipeline.orchestration.jobs import refresh_manifest, refresh_tables, render_batch, render_clips, retry_failed
from kf2v_pipeline.orchestration.schedules import nightly
from kf2v_pipeline.orchestration.sensors import build_sensors
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.workflow.outcome import Listener, Silence
from kf2v_pipeline.workflow.project import Project


def open_project(settings: Settings) -> Project:
    """The project of these settings, with the local server at hand. Whoever opens it, closes it."""
    return Project(settings, local_address=_local_address)


def _local_address(directory: Path) -> str:
    """Base URL of the project's local server, which is started if it does not run."""
    try:
        return ensure_server(directory)
    except ServerError as error:
        raise Kf2vError(str(error)) from None


def build_definitions(settings: Settings, listener: Listener | None = None) -> dg.Definitions:
    """Assets, jobs, schedule, sensors and resources of one project.

    Args:
        listener: Who is told how a drive goes, beside Dagster; None for nobody.
    """

    @dg.resource(description="Ledger, storage and service of this project.")
    @contextmanager
    def project(_context: dg.InitResourceContext) -> Iterator[Project]:
        with open_project(settings) as opened:
            yield opened

    return dg.Definitions(
        assets=[manifest, video, video_table, gallery],
        jobs=[render_clips, render_batch, retry_failed, refresh_manifest, refresh_tables],
        schedules=[nightly],
        sensors=build_sensors(settings, open_project),
        resources={
            "project": project,
            "listener": dg.ResourceDefinition.hardcoded_resource(listener or Silence()),
            "io_manager": dg.mem_io_manager,
        },
        executor=dg.in_process_executor,
    )
