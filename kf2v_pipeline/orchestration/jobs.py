"""The jobs: what a sensor, a schedule or a person starts as one run."""

from collections.abc import Callable
from typing import Any, NamedTuple

import dagster as dg
from pydantic import Field

from kf2v_pipeline.domain.attempt import Attempt, State
from kf2v_pipeline.domain.policy import Standing, standing
from kf2v_pipeline.orchestration.checks import report
from kf2v_pipeline.orchestration.events import made_event
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.orchestration.reconcile import build_reconcile_op
from kf2v_pipeline.orchestration.render import RenderOps
from kf2v_pipeline.orchestration.steps import manifest_step
from kf2v_pipeline.words import counted
from kf2v_pipeline.workflow.project import Project


class RetryConfig(dg.Config):
    """Which of the failed clips to try again; what is left empty does not narrow them down."""

    clip_ids: list[str] = Field(default_factory=list, description="Only these clips.")
    codes: list[str] = Field(
        default_factory=list,
        description="Only clips that failed with one of these codes, such as DataInspectionFailed.",
    )
    max_age_hours: float = Field(
        default=0.0, ge=0, description="Only clips whose newest attempt was made within so many hours. 0 for any age."
    )


class Jobs(NamedTuple):
    """The jobs of one batch."""

    render_clips: dg.JobDefinition
    render_batch: dg.JobDefinition
    retry_failed: dg.JobDefinition
    refresh_manifest: dg.JobDefinition
    refresh_tables: dg.JobDefinition
    reconcile: dg.JobDefinition


def build_jobs(names: Names, ops: RenderOps) -> Jobs:
    """The jobs, made of the same ops as the assets."""
    read_manifest = _manifest_op(names)
    choose_failed = _choice_op(names)
    reconcile_op = build_reconcile_op(names)

    @dg.op(name=names.of("begin"), out=names.handed_on, description="There is nothing that could have failed yet.")
    def begin() -> list[dict[str, Any]]:
        return []

    @_job(
        names,
        "render_clips",
        "Renders whatever the ledger wants, or the clips that are named, many in one run; "
        "then writes the tables and the gallery.",
    )
    def render_clips() -> None:
        ops.settle(ops.publish(ops.drive(ops.claim())))

    @_job(
        names,
        "render_batch",
        "The whole batch in one run: manifest, every wanted clip, tables, gallery. Clips that "
        "failed for good are not tried again until their row changes or a person asks for them.",
    )
    def render_batch() -> None:
        ops.settle(ops.publish(ops.drive(ops.claim(read_manifest()))))

    @_job(
        names,
        "retry_failed",
        "Tries clips again that failed for good: all of them, or those with certain codes, "
        "names or ages, any set in one run. Failed tasks cost nothing; each new attempt that succeeds is billed. A "
        "clip whose lost task may have been paid for is tried again only by name.",
    )
    def retry_failed() -> None:
        ops.settle(ops.publish(ops.drive(choose_failed())))

    @_job(names, "refresh_manifest", "Takes the manifest in, and nothing else.", drives=False)
    def refresh_manifest() -> None:
        read_manifest()

    @_job(names, "refresh_tables", "Writes the tables and the gallery anew from the ledger.", drives=False)
    def refresh_tables() -> None:
        ops.publish(begin())

    @_job(
        names,
        "reconcile",
        "Brings ledger, service and storage together, and buys nothing: takes in videos that the "
        "ledger does not know, finds out what became of creates whose reply was lost, collects what is finished, and "
        "looks whether every video that was paid for is in the storage.",
    )
    def reconcile() -> None:
        ops.settle(ops.publish(reconcile_op()))

    return Jobs(render_clips, render_batch, retry_failed, refresh_manifest, refresh_tables, reconcile)


def _job(
    names: Names, name: str, description: str, *, drives: bool = True
) -> Callable[[Callable[..., Any]], dg.JobDefinition]:
    tags = names.drive_tags if drives else {}
    return dg.job(name=names.of(name), description=description, executor_def=dg.in_process_executor, tags=tags)


def _manifest_op(names: Names) -> dg.OpDefinition:
    @dg.op(
        name=names.of("read_manifest"),
        required_resource_keys={names.of("kf2v_project")},
        out=dg.Out(dg.Nothing),
        description="Takes the manifest in, and materializes asset manifest.",
    )
    def read_manifest(context: dg.OpExecutionContext) -> None:
        step = manifest_step(context, names)
        context.log_event(made_event(names.manifest, version=step.version, metadata=step.metadata, source=None))
        report(context, step.checks)

    return read_manifest


def _choice_op(names: Names) -> dg.OpDefinition:
    @dg.op(
        name=names.of("choose_failed"),
        out=names.handed_on,
        required_resource_keys={names.of("kf2v_project")},
        description="Finds the clips that failed for good, by the reasons, names and ages that a person gives.",
    )
    def choose_failed(context: dg.OpExecutionContext, config: RetryConfig) -> dict[str, Any]:
        project = names.project(context)
        chosen = [
            clip_id
            for clip_id, attempt in project.ledger.unstored(project.manifest_name).items()
            if attempt is not None and standing(attempt) is Standing.FAILED and _is_meant(project, config, attempt)
        ]
        context.log.info(f"Tried again: {counted(len(chosen), 'failed clip')}.")
        return {"clip_ids": chosen, "asked": chosen, "slice_minutes": 0}

    return choose_failed


def _is_meant(project: Project, config: RetryConfig, attempt: Attempt) -> bool:
    age_hours = (project.clock() - attempt.prepared_at).total_seconds() / 3600
    may_be_paid = attempt.state is State.LOST  # another attempt may pay twice: only for who is asked for by name
    return (
        (not may_be_paid or attempt.clip_id in config.clip_ids)
        and (not config.clip_ids or attempt.clip_id in config.clip_ids)
        and (not config.codes or attempt.error_code in config.codes)
        and (not config.max_age_hours or age_hours <= config.max_age_hours)
    )
