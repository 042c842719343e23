"""The ops claim → drive → publish → settle: the body of asset ``video``, and the middle of the jobs that render."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any, NamedTuple

import dagster as dg
from pydantic import Field

from kf2v_pipeline.domain.attempt import OPEN_STATES
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.policy import is_held_up
from kf2v_pipeline.orchestration.checks import bills_of
from kf2v_pipeline.orchestration.event_log import event_log_at_hand
from kf2v_pipeline.orchestration.events import what_to_do
from kf2v_pipeline.orchestration.interrupt import run_interruptibly
from kf2v_pipeline.orchestration.metadata import cost_table, table
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.orchestration.publish import build_publishing_op
from kf2v_pipeline.orchestration.stop import as_batch_tag
from kf2v_pipeline.orchestration.storyteller import Storyteller, is_partitioned
from kf2v_pipeline.orchestration.told import Told
from kf2v_pipeline.words import counted
from kf2v_pipeline.workflow.outcome import VIDEO_UNREACHABLE, DriveReport, Outcome, Verdict
from kf2v_pipeline.workflow.pool import LANE_LEFT_OUT
from kf2v_pipeline.workflow.project import Project

_SHOWN = 20
"""Failed clips that a message names, and a table of a run shows."""

_IN_TIME = ("SliceEnded", "TakenOver", "BuysNothing", LANE_LEFT_OUT)
"""Reasons for which a clip is left in good order."""

_OF_ALL_LANES = "BudgetReached"
"""It stops one lane after the other, and each run has a budget of its own: no lane begins another one for it."""

_OF_STORED_VIDEOS = ("StorageRefused", VIDEO_UNREACHABLE)
"""Reasons that are about single clips, which are named with them."""


class RenderConfig(dg.Config):
    """What one run is to render; for asset ``video`` Dagster's partitions say it instead."""

    clip_ids: list[str] = Field(
        default_factory=list,
        description="These clips, also where they failed for good before. Empty for whatever is wanted.",
    )
    slice_minutes: int = Field(
        default=0,
        ge=0,
        description="After so many minutes, what is in flight is left to the next run. 0 to stay until all is decided.",
    )
    only_missing: bool = Field(
        default=False,
        description="Leave out what is stored, or failed for good. The clip sensor's runs have no use for those.",
    )
    without_lanes: list[str] = Field(
        default_factory=list,
        description="These lanes take no clips; what is under way there goes on. The clip sensor fills it in.",
    )
    left_lanes: list[str] = Field(
        default_factory=list,
        description="With only_missing: clips with a task in these lanes wait, too. The clip sensor fills it in.",
    )
    free_only: bool = Field(
        default=False,
        description="Lanes that may spend money take no clips, whichever rows name them once the clips are read.",
    )


class RenderOps(NamedTuple):
    """The four ops of one batch."""

    claim: dg.OpDefinition
    drive: dg.OpDefinition
    publish: dg.OpDefinition
    settle: dg.OpDefinition


def build_render_ops(names: Names) -> RenderOps:
    """Claim, drive, publish, settle, under the batch's names."""

    @dg.op(
        name=names.of("claim"),
        ins={"after": dg.In(dg.Nothing)},
        out=names.handed_on,
        required_resource_keys={names.of("kf2v_project")},
        description="Finds out which clips this run is to see stored.",
    )
    def claim(context: dg.OpExecutionContext, config: RenderConfig) -> dict[str, Any]:
        project = names.project(context)
        if is_partitioned(context):  # Dagster makes the run of an asset, and takes no tags of ours for it
            context.instance.add_run_tags(context.run_id, {**names.drive_tags, **context.run.tags})
        chosen = list(context.partition_keys) if is_partitioned(context) else config.clip_ids
        clips = project.wanted(chosen or None)
        wanted = {clip.clip_id for clip in clips}
        unknown = [clip_id for clip_id in chosen if clip_id not in wanted]
        if unknown:
            context.log.warning(f"Not in the manifest any more, so not rendered: {_listed(unknown)}.")
        if config.only_missing:
            wanted &= _missing(context.instance, names, project, clips, config)
        how = config.model_dump(include={"slice_minutes", "without_lanes", "free_only"})
        return {"clip_ids": sorted(wanted), "asked": chosen, **how}

    @dg.op(
        name=names.of("drive"),
        out=names.handed_on,
        required_resource_keys={names.of("kf2v_project"), names.of("kf2v_listener")},
        description="Submits, looks and collects, all lanes side by side; tells of a stored clip within a second.",
    )
    def drive(context: dg.OpExecutionContext, batch: dict[str, Any]) -> list[dict[str, Any]]:
        return drive_clips(context, names, batch)

    @dg.op(
        name=names.of("settle"),
        out=dg.Out(is_required=False),
        description="Ends the run as failed where clips failed, and names them.",
    )
    def settle(failures: list[dict[str, Any]]):  # type: ignore[no-untyped-def]  # a generator that never yields
        # Where all went well there is no output: one would materialize every partition of the run's range once more.
        if failures:
            raise _failure(failures)
        yield from ()

    return RenderOps(claim, drive, build_publishing_op(names), settle)


def drive_clips(
    context: dg.OpExecutionContext, names: Names, batch: dict[str, Any], *, buys: bool = True
) -> list[dict[str, Any]]:
    """Drives a batch's clips until they are decided, or its time is over.

    Args:
        batch: ``clip_ids`` to drive, those of them that were ``asked`` for by name, the ``slice_minutes``, and, where
            some lanes are to take no clips, ``without_lanes`` and ``free_only``.
        buys: Whether tasks may be created; else only what was begun is finished, and the rest is left to another run.

    Returns:
        A line for each clip whose failure is news, and for each reason for which clips were left: ``clip``, ``code``,
        ``reason``, ``what_to_do``.
    """
    project = names.project(context)
    clips = list(project.wanted(batch["clip_ids"]))
    asked: list[str] = batch["asked"]
    storyteller = Storyteller(context, names, project, asked)  # asks what Dagster was told after the clips were read
    minutes: int = batch["slice_minutes"]
    until = project.clock() + timedelta(minutes=minutes) if minutes else None
    without = _without(project, clips, batch)
    engine = project.engine(clips, storyteller, run_id=context.run_id, buys=buys, without=without)
    try:
        with event_log_at_hand(context.instance, context.run_id) as together, storyteller.telling(together):
            report = run_interruptibly(engine.drive(clips, asked=asked, until=until))
    except KeyboardInterrupt:
        context.log.warning(_farewell(project, clips))
        raise
    context.log.info(_summary(report))
    old = len(report.of(Verdict.FAILED)) - len(storyteller.failed)
    if old:
        context.log.info(f"{counted(old, 'clip')} failed in an earlier run, and were not tried again.")
    stopped = _stopped(report)
    failures = [_failed_line(outcome) for outcome in storyteller.failed] + stopped
    context.add_output_metadata(_run_metadata(report, failures))
    # A lane's stop is told by the lane; a stored clip that can't be had waits for no run of the clip sensor.
    others = storyteller.stop_codes - {_OF_ALL_LANES} | {VIDEO_UNREACHABLE}
    codes = [str(line["code"]) for line in stopped if line["code"] not in others]
    if codes:
        context.instance.add_run_tags(context.run_id, as_batch_tag(codes[0], context.run_id))
    return failures


def _missing(
    instance: dg.DagsterInstance, names: Names, project: Project, clips: Collection[Clip], config: RenderConfig
) -> set[str]:
    """The clips that a drive has work with, and those that Dagster was not told of: who stored them died before."""
    without, left = config.without_lanes, config.left_lanes
    told, unstored = Told.ask(instance, names), project.ledger.unstored(project.manifest_name)
    backlog = project.backlog()
    untold = {clip.clip_id for clip in clips if clip.clip_id not in unstored and not told.is_told(clip)}
    waits = {
        clip.clip_id
        for clip in (clips if without or left else ())
        if is_held_up(clip.possible_lanes, backlog.get(clip.clip_id), without=without, left=left)
    }
    return untold | (backlog.keys() - waits)


def _without(project: Project, clips: Collection[Clip], batch: dict[str, Any]) -> set[str]:
    """The lanes that take no clips, by the clips as they are now: rows may have changed since the tick."""
    lanes = {lane for clip in clips for lane in clip.possible_lanes} if batch.get("free_only") else set()
    return {lane for lane in lanes if not project.is_free(lane)}.union(batch.get("without_lanes", ()))


def _farewell(project: Project, clips: Collection[Clip]) -> str:
    """What becomes of the tasks of a run that is stopped."""
    in_flight = len(project.ledger.attempts([clip.clip_id for clip in clips], states=OPEN_STATES))
    return (
        f"The run was stopped with {counted(in_flight, 'task')} in flight: the service goes on, and the next run "
        "collects what it makes; nothing is paid again. Where the clip sensor is on, it starts that run: turn it off "
        "to wait."
    )


def _failed_line(outcome: Outcome) -> dict[str, Any]:
    return {
        "clip": outcome.clip.clip_id,
        "code": outcome.code or "",
        "reason": outcome.message or "",
        "what_to_do": what_to_do(outcome.attempt),
    }


def _stopped(report: DriveReport) -> list[dict[str, Any]]:
    """A line for each reason for which clips were left although there was time; a stopped lane is one."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for outcome in report.of(Verdict.LEFT):
        if outcome.code not in _IN_TIME:
            reasons.setdefault((str(outcome.code), str(outcome.message)), []).append(outcome.clip.clip_id)
    return [_stop_line(code, reason, clips) for (code, reason), clips in reasons.items()]


def _stop_line(code: str, reason: str, clips: list[str]) -> dict[str, Any]:
    names = f"Left: {_listed(clips)}. " if code in _OF_STORED_VIDEOS else ""
    return {"clip": "", "code": code, "reason": names + reason, "what_to_do": ""}


def _failure(failures: list[dict[str, Any]]) -> dg.Failure:
    clips = [line for line in failures if line["clip"]]
    words = [f"{line['clip']} ({line['code']}: {line['reason']})" for line in clips]
    stops = [line["reason"] for line in failures if not line["clip"]]
    count = len({line["clip"] for line in clips})  # a clip may have lost several videos
    parts = ([f"{counted(count, 'clip')} failed: {_listed(words, '; ')}."] if clips else []) + [_listed(stops, " ")]
    shown = table(failures[:_SHOWN], ("clip", "code", "reason", "what_to_do"))
    return dg.Failure(" ".join(parts).strip(), metadata={"failed": shown}, allow_retries=False)


def _listed(words: list[str], between: str = ", ") -> str:
    more = len(words) - _SHOWN
    return between.join(words[:_SHOWN]) + (f"{between}and {more} more" if more > 0 else "")


def _run_metadata(report: DriveReport, failures: list[dict[str, Any]]) -> dict[str, Any]:
    """What the run's page shows of it: counts, what was billed, and what failed."""
    stored = [outcome.attempt for outcome in report.of(Verdict.STORED) if outcome.attempt]
    bills = bills_of(stored)
    metadata: dict[str, Any] = {
        **{verdict.value: len(report.of(verdict)) for verdict in Verdict},
        "created_tasks": report.created_tasks,
    }
    if bills:
        metadata["cost_by_model"] = cost_table(bills)
    if failures:
        metadata["failures"] = table(failures[:_SHOWN], ("clip", "code", "reason", "what_to_do"))
    return metadata


def _summary(report: DriveReport) -> str:
    counts = {verdict: len(report.of(verdict)) for verdict in Verdict}
    return (
        f"{counted(counts[Verdict.STORED], 'clip')} stored, {counts[Verdict.ALREADY_STORED]} were stored already, "
        f"{counts[Verdict.FAILED]} failed, {counts[Verdict.LEFT]} left for the next run; "
        f"{counted(report.created_tasks, 'task')} created."
    )
