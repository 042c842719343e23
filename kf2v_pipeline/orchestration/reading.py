"""When the manifest is read: after it changed, after settings did that say what its rows mean, and after a failure."""

import hashlib
import json
from datetime import datetime, timedelta, timezone

import dagster as dg

from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.storage.database import which_ledger
from kf2v_pipeline.storage.source import token

READING_TAG = "kf2v/reading"
"""On every run that the sensor starts to read the manifest: what was to be read."""

MOST_S = 6 * 3600
"""How long a reading may take; what it has learned of frames until then is kept."""

FIRST_WAIT = timedelta(minutes=5)
"""How long after a reading that failed the next one comes; twice as long after each further one, up to the longest."""

LONGEST_WAIT = timedelta(hours=6)

_UNCHANGED = "The manifest did not change."

_IS_READ = " read"
"""Behind a cursor whose reading is over: from then on a tick need not ask Dagster."""


def what_to_read(settings: Settings, manifest_name: str, manifest_token: str) -> str:
    """A sign that differs once the manifest has changed, or a setting by which its rows are read or written down.

    Raises:
        LedgerError: The ledger's address has no meaning.
    """
    catalog = token(str(settings.catalog)) if settings.catalog else None
    meaning = [
        manifest_name,
        which_ledger(settings.ledger_url),
        settings.service,
        settings.lanes,
        settings.frames,
        settings.fix_frames,
        settings.long_prompts,
        bool(settings.api_key),
        catalog,
    ]
    return f"{manifest_token} {_digest(json.dumps(meaning))}"


def why_not_read(context: dg.SensorEvaluationContext, names: Names, wish: str, now: datetime) -> str | None:
    """Why the manifest need not be read, as a sentence; None where a run is to read it.

    Once it has been read the cursor says so, and the next tick asks nobody.

    Args:
        wish: What is to be read, as ``what_to_read`` gives it.
    """
    cursor = context.cursor or ""
    if cursor.removesuffix(_IS_READ) != wish:
        return None
    if cursor != wish:
        return _UNCHANGED
    tags = {READING_TAG: _mark(names, wish)}
    newest = context.instance.get_run_records(dg.RunsFilter(tags=tags), limit=1)
    if newest and newest[0].dagster_run.is_success:
        context.update_cursor(wish + _IS_READ)
        return _UNCHANGED
    # Dagster keeps a cursor only once its run is there: where there is none, somebody has deleted it.
    waits = _wait_for(context.instance, newest[0], tags, now) if newest else None
    return waits and f"{_UNCHANGED} {waits}"


def _wait_for(instance: dg.DagsterInstance, record: dg.RunRecord, tags: dict[str, str], now: datetime) -> str | None:
    """What is waited for after a run that has not read it, as a sentence; None where the next one is due."""
    run = record.dagster_run
    if not run.is_finished and not _is_lost(record, now):
        return f"Run {run.run_id} is about to read it."
    if run.status is dg.DagsterRunStatus.CANCELED:
        return f"Run {run.run_id}, which was to read it, was canceled: re-execute it when it is to be read."
    failures = instance.get_runs_count(dg.RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.FAILURE]))
    again_at = _end_of(record) + min(FIRST_WAIT * 2 ** max(0, min(failures - 1, 10)), LONGEST_WAIT)
    if now >= again_at:
        return None
    return f"Run {run.run_id} failed to read it; the next one begins at {again_at:%H:%M} UTC."


def reading_tags(names: Names, wish: str) -> dict[str, str]:
    """The tags of a run that is to read it."""
    return {READING_TAG: _mark(names, wish), "dagster/max_runtime": str(MOST_S)}


def _mark(names: Names, wish: str) -> str:
    return _digest(f"{names.of('manifest')} {wish}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _end_of(record: dg.RunRecord) -> datetime:
    return datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), timezone.utc)


def _is_lost(record: dg.RunRecord, now: datetime) -> bool:
    """Whether a run started so long ago that its process must be gone; Dagster may call it STARTED for ever."""
    return record.start_time is not None and now.timestamp() - record.start_time > MOST_S + 600
