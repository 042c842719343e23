"""Reports of what the ledger holds, and of commands that change it: for people, and as one JSON object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.domain.policy import Standing
from kf2v_pipeline.domain.price import Money, total_by_currency
from kf2v_pipeline.words import counted, flawed, length, money
from kf2v_pipeline.workflow.adopt import Adoption
from kf2v_pipeline.workflow.cancel import Cancellation
from kf2v_pipeline.workflow.driver import describe
from kf2v_pipeline.workflow.resolve import Resolution
from kf2v_pipeline.workflow.status import Pending, Status

_CLIP = ("clip_id", "status", "task_id", "video_path", "submitted_at", "error_code", "error_message", "flaws")


def status_report(result: Status) -> dict[str, Any]:
    """The JSON object of ``kf2v status --json``."""
    return {
        **_counts(result),
        "spend": _amounts(result.spend),
        "spend_today": _amounts(result.spend_today),
        "clips": [{name: _plain(row[name]) for name in _CLIP} for row in result.rows],
        "tasks": [_pending_report(each, result.at) for each in result.pending if each.is_confirmed],
        "unconfirmed": [_pending_report(each, result.at) for each in result.pending if not each.is_confirmed],
        "drivers": [
            {"owner": driver.owner, "host": driver.host, "pid": driver.pid, "run_id": driver.run_id, "clips": clips}
            for driver, clips in result.drivers
        ],
    }


def print_status(console: Console, result: Status) -> None:
    """Says where every clip stands, and what is under way."""
    table = Table("clip", "status", "task", "reason", box=None, header_style="bold")
    for row in result.rows:
        reason = f"{row['error_code']}: {row['error_message']}" if row["error_code"] else ""
        table.add_row(*(Text(text) for text in (row["clip_id"], row["status"], row["task_id"] or "", reason)))
    console.print(table, soft_wrap=False)
    spent, spent_today = (money(_amounts(each), nothing="nothing") for each in (result.spend, result.spend_today))
    counts = [f"{count} {name.replace('_', ' ')}" for name, count in _counts(result).items()]
    console.print(f"{', '.join(counts)}; spent {spent} so far, {spent_today} today.")
    if sentence := flawed({row["clip_id"]: row["flaws"].split(",") for row in result.rows if row["flaws"]}):
        console.print(Text(f"! {sentence}", style="yellow"))
    for driver, held in result.drivers:
        console.print(f"A run is at work: {describe(driver)}, with {counted(held, 'clip')}.")
    for each in result.pending:
        console.print(Text(f"{'✗' if each.is_urgent else '…'} {_pending_line(each, result.at)}", style=_style(each)))


def adoption_report(result: Adoption) -> dict[str, Any]:
    """The JSON object of ``kf2v adopt --json``."""
    return {
        "adopted": [attempt.clip_id for attempt in result.adopted],
        "known": result.known,
        "skipped": [{"path": path, "why": why} for path, why in result.skipped.items()],
        "spend": _bills(result),
    }


def print_adoption(console: Console, result: Adoption) -> None:
    """Says what became of the storage's videos."""
    for path, why in result.skipped.items():
        console.print(Text(f"! {path}: {why}; it was left alone.", style="yellow"))
    console.print(
        f"{counted(len(result.adopted), 'video')} adopted, {money(_bills(result), nothing='no cost')}; "
        f"{result.known} known already, {len(result.skipped)} left alone."
    )


def cancellation_report(result: Iterable[Cancellation]) -> dict[str, Any]:
    """The JSON object of ``kf2v cancel --json``."""
    return {"clips": [{"clip_id": each.clip_id, "canceled": each.is_canceled, "why": each.why} for each in result]}


def print_cancellations(console: Console, result: Iterable[Cancellation]) -> None:
    """Says what was canceled, and why the rest was not."""
    for each in result:
        mark, style = ("✓", "green") if each.is_canceled else ("!", "yellow")
        console.print(Text(f"{mark} {each.clip_id}: {each.why}.", style=style))


def resolution_report(result: Resolution) -> dict[str, Any]:
    """The JSON object of ``kf2v resolve --json``."""
    attempt = result.attempt
    return {
        "clip_id": attempt.clip_id,
        "attempt": attempt.number,
        "state": attempt.state.value,
        "task_id": attempt.task_id,
        "warnings": list(result.warnings),
    }


def print_resolution(console: Console, result: Resolution) -> None:
    """Says what was decided, what speaks against it, and what comes next."""
    for warning in result.warnings:
        console.print(Text(f"! {warning}", style="yellow"))
    attempt = result.attempt
    if attempt.state is State.SUBMITTED:
        sentence = f"Clip {attempt.clip_id} has task {attempt.task_id}: run kf2v run to collect it."
    else:
        sentence = f"Clip {attempt.clip_id} is planned again: run kf2v run to submit it."
    console.print(Text(sentence))


def _counts(result: Status) -> dict[str, int]:
    counts = Counter(str(row["status"]) for row in result.rows)
    return {standing.value: counts[standing.value] for standing in Standing}


def _pending_report(pending: Pending, at: datetime) -> dict[str, Any]:
    attempt = pending.attempt
    return {
        "clip_id": attempt.clip_id,
        "attempt": attempt.number,
        "state": attempt.state.value,
        "task_id": attempt.task_id,
        "since": str(attempt.submitted_at or attempt.unconfirmed_at or attempt.prepared_at),
        "age_s": round(_age(pending, at).total_seconds()),
        "expires_at": str(attempt.expires_at),
        "expires_soon": pending.is_urgent,
        "driver": pending.driver,
        "why": None if pending.is_confirmed else attempt.error_message,
        "needs": pending.needs,
    }


def _pending_line(pending: Pending, at: datetime) -> str:
    attempt = pending.attempt
    left = attempt.expires_at - at
    ends = f"expires in {length(left)}" if left > timedelta(0) else f"expired {length(-left)} ago"
    what = f"task {attempt.task_id}, {attempt.state.value}" if pending.is_confirmed else f"{attempt.state.value}"
    why = "" if pending.is_confirmed or not attempt.error_message else f" {attempt.error_message}"
    return f"{attempt.clip_id}: {what} for {length(_age(pending, at))}, {ends}.{why} {pending.needs}"


def _age(pending: Pending, at: datetime) -> timedelta:
    return at - (pending.attempt.submitted_at or pending.attempt.unconfirmed_at or pending.attempt.prepared_at)


def _style(pending: Pending) -> str:
    if pending.is_urgent:
        return "bold red"
    return "" if pending.is_confirmed else "yellow"


def _bills(result: Adoption) -> dict[str, Decimal]:
    return total_by_currency(attempt.bill for attempt in result.adopted if attempt.bill)


def _amounts(spend: Iterable[Money]) -> dict[str, Decimal]:
    return {each.currency: each.amount for each in spend}


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
