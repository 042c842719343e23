"""The op that writes the tables and the gallery at the end of a run, and tells Dagster of them."""

from typing import Any

import dagster as dg

from kf2v_pipeline.orchestration.checks import report, report_video_checks
from kf2v_pipeline.orchestration.events import Source, made_event
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.orchestration.steps import gallery_step, table_step
from kf2v_pipeline.orchestration.told import Told

_BACKFILL = "dagster/backfill"

_YET_TO_BEGIN = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING]


def build_publishing_op(names: Names) -> dg.OpDefinition:
    """The op, under the batch's names."""

    @dg.op(
        name=names.of("publish"),
        out=names.handed_on,
        required_resource_keys={names.of("kf2v_project")},
        description="Writes the tables and the gallery, and lets the failures pass on to the end of the run.",
    )
    def publish(context: dg.OpExecutionContext, failures: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if _is_left_to_others(context):
            context.log.info("Tables and gallery are left to the runs of this backfill that have not begun yet.")
        else:
            _publish(context, names)
        return failures

    return publish


def _publish(context: dg.OpExecutionContext, names: Names) -> None:
    videos = Source(names.video, "", Told.newest_video_event(context.instance, names))
    rows = table_step(context, names)
    event = made_event(names.video_table, version=rows.version, metadata=rows.metadata, source=videos)
    context.log_event(event)
    page = gallery_step(context, names)
    above = Source(names.video_table, rows.version)
    context.log_event(made_event(names.gallery, version=page.version, metadata=page.metadata, source=above))
    report_video_checks(context, names, names.project(context))
    report(context, rows.checks)


def _is_left_to_others(context: dg.OpExecutionContext) -> bool:
    """Whether runs of the same backfill come after this one: scattered clips have a run each, and one page is enough.

    Runs that have begun do not count: of two that end together, each would leave it to the other.
    """
    backfill_id = context.run.tags.get(_BACKFILL)
    if backfill_id is None:
        return False
    coming = dg.RunsFilter(tags={_BACKFILL: backfill_id}, statuses=_YET_TO_BEGIN)
    return context.instance.get_runs_count(coming) > 0
