"""The op of job ``reconcile``: ledger, service and storage are brought together, and nothing is bought."""

from typing import Any

import dagster as dg
from pydantic import Field

from kf2v_pipeline.domain.attempt import OPEN_STATES, Attempt
from kf2v_pipeline.orchestration.metadata import table
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.orchestration.render import drive_clips
from kf2v_pipeline.workflow.adopt import Adoption, adopt_videos
from kf2v_pipeline.workflow.audit import Audit, audit_storage
from kf2v_pipeline.workflow.project import Project

_SHOWN = 50
"""Files that the run's page names."""


class ReconcileConfig(dg.Config):
    """How thorough to be, and for how long."""

    every_byte: bool = Field(
        default=False,
        description="Read every video of the storage and compare its digest, instead of its size alone.",
    )
    minutes: int = Field(
        default=30,
        ge=1,
        description="How long to wait for tasks that are still in flight; what is not finished then stays in flight.",
    )


def build_reconcile_op(names: Names) -> dg.OpDefinition:
    """The op, under the batch's names."""

    @dg.op(
        name=names.of("reconcile_ledger"),
        out=names.handed_on,
        required_resource_keys={names.of("kf2v_project"), names.of("kf2v_listener")},
        description="Adopts, resolves, collects and compares; creates no task.",
    )
    def reconcile_ledger(context: dg.OpExecutionContext, config: ReconcileConfig) -> list[dict[str, Any]]:
        project = names.project(context)
        adoption = adopt_videos(project, fast=not config.every_byte)
        batch = {"clip_ids": _open_clips(project), "asked": [], "slice_minutes": config.minutes}
        failures = drive_clips(context, names, batch, buys=False)
        audit = audit_storage(project, every_byte=config.every_byte)
        context.log.info(_summary(project, adoption, audit))
        context.add_output_metadata(_metadata(adoption, audit))
        return failures + [
            {"clip": loss.clip_id, "code": "VideoMissing", "reason": loss.what, "what_to_do": "Put the file back."}
            for loss in audit.missing.values()
        ]

    return reconcile_ledger


def _open_clips(project: Project) -> list[str]:
    return sorted({attempt.clip_id for attempt in _open_attempts(project)})


def _open_attempts(project: Project) -> tuple[Attempt, ...]:
    return project.ledger.attempts(states=OPEN_STATES, manifest=project.manifest_name)


def _summary(project: Project, adoption: Adoption, audit: Audit) -> str:
    open_now = len(_open_attempts(project))
    return (
        f"{len(adoption.adopted)} videos adopted, {len(adoption.skipped)} files left alone; {audit.intact} videos are "
        f"where they belong, {len(audit.missing)} are not; {open_now} attempts are still open."
    )


def _metadata(adoption: Adoption, audit: Audit) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "adopted": len(adoption.adopted),
        "known": adoption.known,
        "intact": audit.intact,
        "missing": len(audit.missing),
    }
    if adoption.skipped:
        rows = [{"path": path, "why": why} for path, why in list(adoption.skipped.items())[:_SHOWN]]
        metadata["left_alone"] = table(rows, ("path", "why"))
    if audit.missing:
        rows = [{"clip": loss.clip_id, "what": loss.what} for loss in list(audit.missing.values())[:_SHOWN]]
        metadata["not_in_storage"] = table(rows, ("clip", "what"))
    return metadata
