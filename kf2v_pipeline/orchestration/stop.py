"""Lanes that stopped a moment ago, as the runs in which they did and the ledger's attempts tell of them.

Such a lane is said once and left alone for a while; its clips stay planned. The clip sensor goes on with the clips of
the other lanes, in a run that leaves this lane out: it takes no clip there, also none that several lanes may make.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

import dagster as dg

from kf2v_pipeline.domain.attempt import Attempt, Remedy
from kf2v_pipeline.orchestration.names import DRIVE_TAG, Names
from kf2v_pipeline.storage.ledger import Ledger

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
    """Why a lane takes no more clips, and since when.

    Attributes:
        is_left: Whether its service tells nothing of the tasks that it has, either: they wait as long.
    """

    code: str
    stopped_at: datetime
    is_left: bool = False


class Pause(NamedTuple):
    """A lane that is left alone for a while.

    Attributes:
        sentence: Why, and until when.
        is_left: Whether its tasks wait, too.
    """

    sentence: str
    is_left: bool


def as_tag(stops: Mapping[str, Stop], run_id: str) -> dict[str, str]:
    """The tag of a run in which these lanes stopped."""
    told = {
        lane: {"code": stop.code, "at": stop.stopped_at.isoformat(), "left": stop.is_left, "run": run_id}
        for lane, stop in stops.items()
    }
    return {STOPPED_LANES_TAG: json.dumps(told)}


def as_batch_tag(code: str, run_id: str) -> dict[str, str]:
    """The tag of a run that left clips for a reason that is no lane's."""
    return {STOPPED_TAG: json.dumps({"code": code, "run": run_id})}


def _batch_stop(run: dg.DagsterRun) -> str | None:
    """The code for which a run left clips that is no lane's; None where there is none."""
    told = _told(run, STOPPED_TAG)
    return str(told.get("code")) if told.get("run") == run.run_id else None


def refused_lanes(attempts: Iterable[Attempt], ledger: Ledger, now: datetime) -> dict[str, str]:
    """The lanes in which a create was refused a moment ago so that no other can do better, with a sentence each."""
    refused = [each for each in attempts if each.remedy is Remedy.STOP_LANE and now - each.prepared_at < AFTER_A_STOP]
    newest = {attempt.lane: attempt for attempt in sorted(refused, key=lambda each: each.prepared_at)}
    return {
        lane: f"Lane {lane} stopped ({attempt.error_code}): {' '.join((attempt.error_message or '').split())}"
        for lane, attempt in newest.items()
        if not ledger.has_made_task(lane, since=attempt.prepared_at)
    }


def stopped_lanes(
    instance: dg.DagsterInstance, names: Names, ledger: Ledger, now: datetime, *, served: Collection[str | None]
) -> dict[str, Pause]:
    """The lanes that stopped in a run that drives, or did a moment ago.

    A task that was made in the lane since then lifts the stop: a person mended what was wrong, and launched a run.

    Args:
        served: The runs that a living driver serves. One that Dagster calls started without one drives no more: it
            writes its tables, or lost its machine and is never ended.
    """
    found: dict[str, Pause] = {}
    for record in _records(instance, names):
        run_id, ended_at = record.dagster_run.run_id, _instant(record.end_time) if record.end_time else None
        drives = not record.dagster_run.is_finished and run_id in served
        for lane, stop in _read(record.dagster_run).items():
            again_at = max(stop.stopped_at, ended_at or stop.stopped_at) + AFTER_A_STOP
            is_over = not drives and now >= again_at
            if lane in found or is_over or ledger.has_made_task(lane, since=stop.stopped_at):
                continue
            when = "some minutes after that run" if drives else f"at {again_at:%H:%M} UTC"
            again = f"it is tried again {when}, or in a run that you launch."
            found[lane] = Pause(f"Lane {lane} stopped ({stop.code}) in run {run_id}; {again}", stop.is_left)
    return found


def stopped_batch(instance: dg.DagsterInstance, names: Names, now: datetime) -> str | None:
    """Why a run left clips, where that was a moment ago and no lane's matter.

    A run that was launched since then lifts that, unless it creates nothing; one that went on beside it does not.
    """
    newest = instance.get_run_records(_drives(names), limit=_NEWEST_RUNS)
    records = [each for each in newest if each.dagster_run.job_name != names.of("reconcile")]
    launched_at = max((each.create_timestamp.timestamp() for each in records), default=0.0)
    for record in records:
        run, ended_at, code = record.dagster_run, record.end_time, _batch_stop(record.dagster_run)
        if ended_at is None or code is None or launched_at > ended_at:
            continue
        again_at = _instant(ended_at) + AFTER_A_STOP
        if now < again_at:
            next_one = f"the next one starts at {again_at:%H:%M} UTC, or when you launch it."
            return f"Run {run.run_id} left them ({code}); {next_one}"
    return None


def _records(instance: dg.DagsterInstance, names: Names) -> list[dg.RunRecord]:
    """The newest runs that drive, and those that go on however old they are."""
    newest = instance.get_run_records(_drives(names), limit=_NEWEST_RUNS)
    going_on = instance.get_run_records(_drives(names, dg.DagsterRunStatus.STARTED), limit=_NEWEST_RUNS)
    return list({record.dagster_run.run_id: record for record in (*newest, *going_on)}.values())


def _drives(names: Names, *statuses: dg.DagsterRunStatus) -> dg.RunsFilter:
    return dg.RunsFilter(tags={DRIVE_TAG: names.group_name}, statuses=list(statuses))


def _instant(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, timezone.utc)


def _read(run: dg.DagsterRun) -> dict[str, Stop]:
    """The lanes that stopped in a run; not what another version wrote in another way."""
    return dict(_stops(run))


def _stops(run: dg.DagsterRun) -> Iterator[tuple[str, Stop]]:
    for lane, each in _told(run, STOPPED_LANES_TAG).items():
        try:
            stop = Stop(each["code"], datetime.fromisoformat(each["at"]), each.get("left") is True)
            is_ours = each["run"] == run.run_id and stop.stopped_at.tzinfo is not None
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        if is_ours:
            yield lane, stop


def _told(run: dg.DagsterRun, tag: str) -> dict[str, Any]:
    """What a tag says; nothing where another version, or a person, wrote it."""
    try:
        told = json.loads(run.tags.get(tag, "{}"))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
