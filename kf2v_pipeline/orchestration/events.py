"""Dagster's events for clips: what a stored clip and a failed clip look like in its UI."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import dagster as dg
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent

from kf2v_pipeline.domain.attempt import Attempt
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.errors import StorageError
from kf2v_pipeline.media.preview import inline_strip
from kf2v_pipeline.storage.layout import strip_path
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.workflow.outcome import Outcome

VIDEO = dg.AssetKey("video")

CODE_VERSION = "1"
"""Changes when videos that are stored already should count as made by outdated code."""


_DATA_VERSION = "dagster/data_version"


def told_fingerprints(instance: dg.DagsterInstance) -> dict[str, str]:
    """Of which video Dagster was told last, by clip_id: in one query, however many clips there are.

    Dagster has no public way to ask for the data versions of all partitions; its storage has (1.13).
    """
    told = instance.event_log_storage.get_latest_tags_by_partition(
        VIDEO, dg.DagsterEventType.ASSET_MATERIALIZATION, [_DATA_VERSION]
    )
    return {clip_id: tags[_DATA_VERSION] for clip_id, tags in told.items()}


def stored_event(clip: Clip, attempt: Attempt, store: Store, *, manifest_version: str) -> dg.AssetMaterialization:
    """The materialization of a stored clip's partition; its data version is the clip's fingerprint.

    Dagster writes no provenance on events that an op makes itself, and takes a partition without provenance for
    outdated as soon as ``manifest`` is read again; so the tags that it would write are written here.
    """
    return dg.AssetMaterialization(
        VIDEO,
        partition=clip.clip_id,
        description=f"Stored at {attempt.video_path}",
        metadata={**_pictures(clip, store), **_video_metadata(clip, attempt)},
        tags={
            _DATA_VERSION: clip.fingerprint,
            "dagster/code_version": CODE_VERSION,
            "dagster/input_data_version/manifest": manifest_version,
            "dagster/input_event_pointer/manifest": "NULL",  # Dagster compares the data versions, not the events
        },
    )


def failed_event(outcome: Outcome) -> dg.AssetObservation:
    """Why a clip's partition is red, in the service's words; Dagster shows it on the partition's page."""
    attempt = outcome.attempt
    return dg.AssetObservation(
        VIDEO,
        partition=outcome.clip.clip_id,
        description=f"{outcome.code}: {outcome.message}",
        metadata={
            "code": outcome.code or "",
            "reason": outcome.message or "",
            "attempts": attempt.number if attempt else 0,
            "task_id": (attempt.task_id if attempt else None) or "",
            "cost": 0.0,
        },
    )


def report_planned(context: dg.OpExecutionContext, clip_id: str) -> None:
    """Tells Dagster that this run was to materialize a clip's partition.

    A partition is red exactly where its newest planned event belongs to a run that failed and no materialization
    follows (``dagster._core.storage.partition_status_cache``, 1.13). Dagster plans partitions only for runs of asset
    jobs, and has no public way to plan one from an op: hence the one internal import of this package.
    """
    event = DagsterEvent.build_asset_materialization_planned_event(
        context.job_name,
        context.op_execution_context.get_step_execution_context().step.key,
        AssetMaterializationPlannedData(VIDEO, partition=clip_id),
    )
    context.instance.report_dagster_event(event, run_id=context.run_id, log_level=logging.DEBUG)


def _pictures(clip: Clip, store: Store) -> Mapping[str, Any]:
    try:
        strip = store.read_bytes(strip_path(clip.clip_id, clip.fingerprint))
    except StorageError:
        return {}
    return {"film": dg.MetadataValue.md(inline_strip(strip))}


def _video_metadata(clip: Clip, attempt: Attempt) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "prompt": clip.prompt,
        "actual_prompt": attempt.actual_prompt,
        "model": clip.model,
        "service": clip.service,
        "resolution": clip.resolution,
        "size": f"{attempt.width}x{attempt.height}" if attempt.width else None,
        "duration_s": attempt.duration_s,
        "frames": attempt.frames,
        "size_bytes": attempt.size_bytes,
        "cost": None if attempt.cost is None else float(attempt.cost),
        "currency": attempt.currency,
        "attempt": attempt.number,
        "task_id": attempt.task_id,
        "request_id": attempt.request_id,
        "waited_s": _seconds(attempt.submitted_at, attempt.started_at),
        "rendered_s": _seconds(attempt.started_at, attempt.ended_at),
        "collected_s": _seconds(attempt.ended_at, attempt.stored_at),
        "path": dg.MetadataValue.path(attempt.video_path) if attempt.video_path else None,
        "sha256": attempt.sha256,
        "fingerprint": clip.fingerprint,
    }
    return {name: value for name, value in metadata.items() if value is not None}


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else round((end - start).total_seconds(), 3)
