"""Reports of a batch and of a forecast: for people, and as one JSON object."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.text import Text

from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.geometry import output_size
from kf2v_pipeline.domain.policy import Standing
from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.orchestration.batch import BatchResult
from kf2v_pipeline.words import counted, flawed, length, money
from kf2v_pipeline.workflow.forecast import Forecast
from kf2v_pipeline.workflow.outcome import Outcome, Verdict


def batch_report(result: BatchResult) -> dict[str, Any]:
    """The JSON object of ``kf2v run --json``."""
    return {
        "clips": len(result.outcomes),
        "stored": len(result.of(Verdict.STORED)),
        "already_stored": len(result.of(Verdict.ALREADY_STORED)),
        "failed": len(result.of(Verdict.FAILED)),
        "left": len(result.of(Verdict.LEFT)),
        "rejected": result.rejected_rows,
        "created_tasks": result.created_tasks,
        "spend": dict(result.spend),
        "storage": result.storage,
        "failures": [_failure(outcome) for outcome in result.of(Verdict.FAILED)],
        "rejections": [_rejection(problem) for problem in result.problems if problem.blocking],
        "flaws": {clip_id: list(names) for clip_id, names in result.flaws.items()},
        "notices": list(result.notices),
    }


def forecast_report(result: Forecast, storage: str) -> dict[str, Any]:
    """The JSON object of ``kf2v plan --json``: the same keys, for what a run would do."""
    return {
        "clips": len(result.standings),
        "stored": result.count(Standing.PLANNED) + result.count(Standing.IN_FLIGHT),
        "already_stored": result.count(Standing.STORED),
        "failed": result.count(Standing.FAILED),
        "rejected": len({problem.row for problem in result.plan.problems if problem.blocking}),
        "created_tasks": result.count(Standing.PLANNED),
        "spend": dict(result.cost),
        "unpriced": list(result.unpriced),
        "over_budget": list(result.over_budget),
        "expected_s": None if result.expected is None else round(result.expected.total_seconds()),
        "storage": storage,
        "videos": [_video(clip, result) for clip in result.plan.clips if clip.clip_id in result.standings],
        "failures": [
            {"clip_id": attempt.clip_id, "code": attempt.error_code, "message": attempt.error_message}
            for attempt in result.failures
        ],
        "rejections": [_rejection(problem) for problem in result.plan.problems if problem.blocking],
    }


def print_batch(console: Console, result: BatchResult) -> None:
    """Says how a batch went, each problem in a line of its own."""
    _print_problems(console, result.problems)
    stored, already = len(result.of(Verdict.STORED)), len(result.of(Verdict.ALREADY_STORED))
    if not result.outcomes:
        console.print("No clip to render.")
    elif already == len(result.outcomes):
        console.print(f"All was stored already ({counted(already, 'clip')}); no task was created.")
    else:
        words = [f"{counted(stored, 'clip')} stored", f"{already} stored already" if already else ""]
        words += [f"{len(result.of(verdict))} {verdict.value}" for verdict in (Verdict.FAILED, Verdict.LEFT)]
        words = [word for word in words if word and not word.startswith("0 ")]
        done = ", ".join(words) or "Nothing stored"
        console.print(
            f"{done}; {counted(result.created_tasks, 'task')} created, {money(result.spend, nothing='no cost')}."
        )
    for outcome in result.of(Verdict.FAILED):
        console.print(Text(f"✗ {outcome.clip.clip_id}: {outcome.code}: {outcome.message}", style="red"))
    if sentence := flawed(result.flaws):
        console.print(Text(f"! {sentence}", style="yellow"))
    console.print(Text(f"Videos, tables and gallery: {result.storage}"))


def print_forecast(console: Console, result: Forecast) -> None:
    """Says what a run would do."""
    _print_problems(console, result.plan.problems)
    console.print(
        f"{counted(result.count(Standing.PLANNED), 'clip')} to render for {money(result.cost, nothing='no cost')}, "
        f"{result.count(Standing.IN_FLIGHT)} in flight, {result.count(Standing.STORED)} stored already, "
        f"{result.count(Standing.FAILED)} failed for good."
    )
    if result.unpriced:
        console.print(f"! The price of {len(result.unpriced)} of them is not known.", style="yellow")
    for sentence in result.over_budget:
        console.print(f"! {sentence}", style="yellow")
    if result.expected is None:
        lanes = ", ".join(result.unlearned)
        console.print(f"How long that takes is not known yet: {lanes} has made no video so far.")
    elif result.expected:
        console.print(f"By the quotas and the last tasks of each lane that takes about {length(result.expected)}.")
    for attempt in result.failures:
        console.print(Text(f"✗ {attempt.clip_id}: {attempt.error_code}: {attempt.error_message}", style="red"))


def _print_problems(console: Console, problems: Iterable[Problem]) -> None:
    for problem in problems:
        console.print(Text(str(problem), style="red" if problem.blocking else "yellow"))


def _video(clip: Clip, result: Forecast) -> dict[str, Any]:
    """What one clip would come out as, and cost; None where that is not known."""
    frame, price = clip.first_frame, result.plan.prices[clip.clip_id]
    size = output_size(frame.width, frame.height, clip.resolution) if frame.is_seen else None
    return {
        "clip_id": clip.clip_id,
        "status": result.standings[clip.clip_id].value,
        "width": size[0] if size else None,
        "height": size[1] if size else None,
        "cost": price.amount if price else None,
        "currency": price.currency if price else None,
    }


def _failure(outcome: Outcome) -> dict[str, Any]:
    return {"clip_id": outcome.clip.clip_id, "code": outcome.code, "message": outcome.message}


def _rejection(problem: Problem) -> dict[str, Any]:
    return {
        "row": problem.row,
        "clip_id": problem.clip_id,
        "column": problem.column,
        "what": problem.what,
        "fix": problem.fix,
    }
