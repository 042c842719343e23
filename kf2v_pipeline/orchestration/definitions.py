"""Everything that Dagster is told, made from settings; the environment is read by whoever calls."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from kf2v_pipeline.localserver.embedded import ensure_server
from kf2v_pipeline.orchestration.assets import gallery, manifest, video, video_table
from kf2v_pipeline.orchestration.render import render_clips
from kf2v_pipeline.orchestration.schedules import nightly, render_batch
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.workflow.outcome import Listener, Silence
from kf2v_pipeline.workflow.project import Project


def open_project(settings: Settings) -> Project:
    """The project of these settings, with the local server at hand. Whoever opens it, closes it."""
    return Project(settings, local_address=ensure_server)


def build_definitions(settings: Settings, listener: Listener | None = None) -> dg.Definitions:
    """Assets, jobs, schedule and resources of one project.

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
        jobs=[render_clips, render_batch],
        schedules=[nightly],
        resources={
            "project": project,
            "listener": dg.ResourceDefinition.hardcoded_resource(listener or Silence()),
            "io_manager": dg.mem_io_manager,
        },
        executor=dg.in_process_executor,
    )
