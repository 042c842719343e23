"""The nightly schedule."""

import dagster as dg

from kf2v_pipeline.orchestration.jobs import render_batch

nightly = dg.ScheduleDefinition(
    name="nightly",
    job=render_batch,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    description="Renders the manifest's clips at 02:00 UTC. Off until it is turned on, since it may spend money.",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
