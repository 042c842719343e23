"""Dagster's events for clips: what a stored, a failed and a changed clip look like in its UI."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import dagster as dg
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent

from kf2v_pipeline.domain.attempt import Attempt, Remedy, State
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.quality import Flaw, Quality, Severity
from kf2v_pipeline.orchestration.metadata import clip_metadata, video_metadata
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.orchestration.told import ATTEMPT, DATA_VERSION, Told
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.workflow.outcome import Outcome

CODE_VERSION = "1"
"""Changes when videos that are stored already should count as made by outdated code."""

SEVERITY = {Severity.WARN: dg.AssetCheckSeverity.WARN, Severity.ERROR: dg.AssetCheckSeverity.ERROR}

_IS_OURS = "dagster/data_version_is_user_provided"

_DEFAULT_HELP = "Read the reason, mend what it names, and materialize the partition again, or run job retry_failed."
_HELP = {
    Remedy.RETRY: "It was tried as often as makes sense, at no cost: materialize the partition again, or run job "
    "retry_failed, once the service has recovered.",
    Remedy.PERSON: "Change the row, its frames or its prompt as the reason says; the next reading of the manifest "
    "makes a new attempt. Where the row stays as it is, materialize the partition again, or run job retry_failed.",
    Remedy.STOP_LANE: "Mend the account, key or quota that the reason names; the clips of this lane then go on.",
}
_HELP_IF_PAID = (
    "It may have been paid for: look at the service's bill, and materialize the partition again only to pay anew."
)


class Source(NamedTuple):
    """What an asset was made of.

    Attributes:
        event: The newest event that was seen of a partitioned one; None for an unpartitioned one.
    """

    key: dg.AssetKey
    version: str
    event: int | None = None


def stored_event(
    names: Names, clip: Clip, attempt: Attempt, *, store: Store, told: Told, quality: Quality | None = None
) -> dg.AssetMaterialization:
    """The materialization of a stored clip's partition; its data version is the clip's fingerprint.

    Dagster writes no provenance on events that an op makes itself, and would take a partition without provenance for
    outdated by any later event of its row; so the tags that it would write are written here.
    """
    row = names.clip.to_user_string()
    return dg.AssetMaterialization(
        names.video,
        partition=clip.clip_id,
        description=f"Stored at {attempt.video_path}",
        metadata=video_metadata(clip, attempt, store, quality),
        tags={
            DATA_VERSION: clip.fingerprint,
            _IS_OURS: "true",
            "dagster/code_version": CODE_VERSION,
            f"dagster/input_data_version/{row}": clip.fingerprint,
            f"dagster/input_event_pointer/{row}": str(told.row_event(clip)),
        },
    )


def made_event(
    key: dg.AssetKey, *, version: str, metadata: Mapping[str, Any], source: Source | None
) -> dg.AssetMaterialization:
    """The materialization of an unpartitioned asset by a job, with the tags that Dagster writes in runs of assets.

    Args:
        version: The data version of what was made.
        source: What it was made of; None where it has no asset above it.
    """
    tags = {DATA_VERSION: version, _IS_OURS: "true", "dagster/code_version": CODE_VERSION}
    if source is not None:
        above = source.key.to_user_string()
        tags[f"dagster/input_data_version/{above}"] = source.version
        tags[f"dagster/input_event_pointer/{above}"] = str(source.event or "NULL")
    return dg.AssetMaterialization(key, metadata=metadata, tags=tags)


def row_event(names: Names, clip: Clip, before: Clip | None) -> dg.AssetObservation:
    """Says that a clip's row asks for another video than the one that Dagster knows of: the partition is outdated."""
    return dg.AssetObservation(
        names.clip,
        partition=clip.clip_id,
        description="The row asks for another video than before.",
        metadata=clip_metadata(clip, before),
        tags={DATA_VERSION: clip.fingerprint, _IS_OURS: "true"},
    )


def failed_event(names: Names, outcome: Outcome) -> dg.AssetObservation:
    """Why a clip's partition is red, in the service's words, and what to do; the partition's page shows it."""
    attempt = outcome.attempt
    return dg.AssetObservation(
        names.video,
        partition=outcome.clip.clip_id,
        description=f"{outcome.code}: {outcome.message}",
        metadata={
            "code": outcome.code or "",
            "reason": outcome.message or "",
            "what_to_do": what_to_do(attempt),
            "attempts": attempt.number if attempt else 0,
            "task_id": (attempt.task_id if attempt else None) or "",
            "request_id": (attempt.request_id if attempt else None) or "",
            "cost": float(attempt.cost) if attempt and attempt.cost is not None else 0.0,
        },
        tags={ATTEMPT: attempt.attempt_id} if attempt else None,
    )


def what_to_do(attempt: Attempt | None) -> str:
    """What helps where a clip failed, in a sentence."""
    if attempt is None or attempt.remedy is None:
        return _DEFAULT_HELP
    return _HELP_IF_PAID if attempt.state is State.LOST else _HELP[attempt.remedy]


def flaw_event(names: Names, clip: Clip, flaw: Flaw) -> dg.AssetCheckEvaluation:
    """A check that a stored clip's film did not pass, at its partition."""
    return dg.AssetCheckEvaluation(
        asset_key=names.video,
        check_name=flaw.check,
        passed=False,
        severity=SEVERITY[flaw.severity],
        partition=clip.clip_id,
        description=flaw.sentence,
        metadata={"value": round(float(flaw.value), 4), "threshold": float(flaw.threshold)},
    )


def log_check(context: dg.OpExecutionContext, evaluation: dg.AssetCheckEvaluation) -> None:
    """Tells Dagster of a check from within an op that has no output for it."""
    context.log_event(evaluation)  # type: ignore[arg-type]  # it takes these too, its annotation does not say so (1.13)


def report_planned(context: dg.OpExecutionContext, names: Names, clip_id: str) -> None:
    """Tells Dagster that this run was to materialize a clip's partition.

    A partition is red exactly where its newest planned event belongs to a run that failed and no materialization
    follows (``dagster._core.storage.partition_status_cache``, 1.13). Dagster plans partitions only for runs of asset
    jobs, and has no public way to plan one from an op: hence the one internal import of this package.
    """
    event = DagsterEvent.build_asset_materialization_planned_event(
        context.job_name,
        context.op_execution_context.get_step_execution_context().step.key,
        AssetMaterializationPlannedData(names.video, partition=clip_id),
    )
    context.instance.report_dagster_event(event, run_id=context.run_id, log_level=logging.DEBUG)
