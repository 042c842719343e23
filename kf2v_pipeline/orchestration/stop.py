"""Lanes that stopped a moment ago, as the runs in which they did and the ledger's attempts tell of them.

Such a lane is said once and left alone for a while; its clips stay planned. The clip sensor goes on with the clips of
the other lanes, in a run that leaves this lane out: it takes no clip there, also none that several lanes may make.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

import dagster as dg

from kf2v_pipeline.domain.attempt import Attempt, Remedy
from kf2v_pipeline.orchestration.names import DRIVE_TAG, Names

AFTER_A_STOP = timedelta(minutes=15)
"""How long a lane, or the whole batch, is left alone once it stopped: mostly only a person can mend that."""

STOPPED_TAG = "kf2v/stopped"
"""On a run that left clips although it had time, for a reason that is no lane's: its code. The clip sensor then waits
a while, with the clips of every lane; for one that is a lane's, with that lane's alone."""

STOPPED_LANES_TAG = "kf2v/stopped_lanes"
"""On a run in which lanes stopped, as soon as they do: each one's code, and when that was.

Both tags name their run: Dagster hands the tags of a run on to whatever is launched again from it."""

_NEWEST_RUNS = 30
"""As many as the clip sensor may start in ``AFTER_A_STOP``."""


class Stop(NamedTuple):
    """Why a lane takes no more clips, and since when."""

    code: str
    stopped_at: datetime


def as_tag(stops: Mapping[str, Stop], run_id: str) -> dict[str, str]:
    """The tag of a run in which these lanes stopped."""
    told = {
        lane: {"code": code, "at": stopped_at.isoformat(), "run": run_id} for lane, (code, stopped_at) in stops.items()
    }
    return {STOPPED_LANES_TAG: json.dumps(told)}


def as_batch_tag(code: str, run_id: str) -> dict[str, str]:
    """The tag of a run that left clips for a reason that is no lane's."""
    return {STOPPED_TAG: json.dumps({"code": code, "run": run_id})}


def batch_stop(run: dg.DagsterRun) -> str | None:
    """The code for which a run left clips that is no lane's; None where there is none."""
    told = _told(run, STOPPED_TAG)
    return str(told.get("code")) if told.get("run") == run.run_id else None


def refused_lanes(attempts: Iterable[Attempt], now: datetime) -> dict[str, str]:
    """The lanes in which a create was refused a moment ago so that no other can do better, with a sentence each."""
    return {
        attempt.lane: f"Lane {attempt.lane} stopped ({attempt.error_code}): {attempt.error_message}"
        for attempt in attempts
        if attempt.remedy is Remedy.STOP_LANE and now - attempt.prepared_at < AFTER_A_STOP
    }


def stopped_lanes(instance: dg.DagsterInstance, names: Names, now: datetime) -> dict[str, str]:
    """The lanes that stopped in a run a moment ago, with a sentence each.

    A run that began since, and did not leave the lane out, knows better: a person may have mended what was wrong.
    """
    found: dict[str, str] = {}
    newer: list[tuple[datetime, Collection[str]]] = []
    for record in instance.get_run_records(_drives(names), limit=_NEWEST_RUNS):
        ended_at = _instant(record.end_time) if record.end_time else None
        for lane, stop in _read(record.dagster_run).items():
            since = max(stop.stopped_at, ended_at or stop.stopped_at)
            is_lifted = any(began_at > stop.stopped_at and lane not in without for began_at, without in newer)
            if now - since < AFTER_A_STOP and not is_lifted:
                again = f"it is tried again at {since + AFTER_A_STOP:%H:%M} UTC, or in a run that you launch."
                found.setdefault(lane, f"Lane {lane} stopped ({stop.code}) in run {record.dagster_run.run_id}; {again}")
        newer.append((record.create_timestamp, _left_out(record.dagster_run, names)))
    return found


def _drives(names: Names) -> dg.RunsFilter:
    return dg.RunsFilter(tags={DRIVE_TAG: names.group_name})


def _instant(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, timezone.utc)


def _read(run: dg.DagsterRun) -> dict[str, Stop]:
    """The lanes that stopped in a run."""
    return {
        lane: Stop(each["code"], datetime.fromisoformat(each["at"]))
        for lane, each in _told(run, STOPPED_LANES_TAG).items()
        if isinstance(each, dict) and each.get("run") == run.run_id
    }


def _told(run: dg.DagsterRun, tag: str) -> dict[str, Any]:
    """What a tag says; nothing where another version, or a person, wrote it."""
    try:
        told = json.loads(run.tags.get(tag, "{}"))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _left_out(run: dg.DagsterRun, names: Names) -> Collection[str]:
    """The lanes that a run was told to leave out."""
    ops: Any = run.run_config.get("ops", {})
    lanes: list[str] = ops.get(names.of("claim"), {}).get("config", {}).get("without_lanes", [])
    return lanes
