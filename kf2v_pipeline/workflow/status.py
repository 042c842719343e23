"""What is under way, by the ledger alone: attempts, what each waits for, who drives it. Showing it is others' work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kf2v_pipeline.domain.attempt import OPEN_STATES, Attempt, State
from kf2v_pipeline.domain.price import Money
from kf2v_pipeline.storage.ledger import Driver
from kf2v_pipeline.workflow.driver import describe, living_drivers
from kf2v_pipeline.workflow.project import Project
from kf2v_pipeline.workflow.reconcile import same_prompt
from kf2v_pipeline.workflow.tables import table_rows

SOON = timedelta(hours=1)
"""How long before its end a task that is not stored yet is worth an alarm."""


_DRIVEN = {
    State.PREPARED: "It is being sent.",
    State.UNCONFIRMED: "Its task is looked for in the service's list; once its run is stopped, kf2v resolve decides.",
    State.SUBMITTED: "Its task is waited for.",
    State.SUCCEEDED: "Its video is paid for, and is being collected.",
}


@dataclass(frozen=True, kw_only=True)
class Pending:
    """An attempt that is under way, or that a lost process left so.

    Attributes:
        driver: Who drives it, in words; None where nobody does.
        needs: What it waits for and what helps, in a sentence.
        is_urgent: Whether it will expire within the hour, or has, and is not stored.
    """

    attempt: Attempt
    driver: str | None
    needs: str
    is_urgent: bool

    @property
    def is_confirmed(self) -> bool:
        """Whether it has a task for certain."""
        return self.attempt.state in (State.SUBMITTED, State.SUCCEEDED)


@dataclass(frozen=True, kw_only=True)
class Status:
    """How everything stands.

    Attributes:
        at: When it was looked at.
        rows: A row of the videos table for each wanted clip.
        pending: What is under way, the soonest to expire first.
        drivers: Those that live, each with how many clips it holds.
        spend: What was billed so far.
        spend_today: The same, for attempts of this UTC day.
    """

    at: datetime
    rows: Sequence[Mapping[str, Any]]
    pending: tuple[Pending, ...]
    drivers: tuple[tuple[Driver, int], ...]
    spend: tuple[Money, ...]
    spend_today: tuple[Money, ...]


def look_at_status(project: Project) -> Status:
    """Reads the ledger; nothing is asked of the service, and nothing is changed.

    Raises:
        LedgerError: The ledger can't be used.
    """
    ledger, at = project.ledger, project.clock()
    clips = ledger.wanted()
    living = {driver.owner: driver for driver in living_drivers(ledger, at=at, stale_after=project.stale_after)}
    holders = ledger.holders(at=at, stale_after=project.stale_after)
    attempts = sorted(ledger.attempts(states=OPEN_STATES), key=lambda attempt: attempt.expires_at)
    wanted = {(clip.clip_id, clip.fingerprint) for clip in clips}
    leftovers = {leftover.attempt.attempt_id for leftover in ledger.leftovers()}
    pending = []
    for attempt in attempts:
        driver = living.get(holders.get(attempt.clip_id, ""))
        is_wanted = (attempt.clip_id, attempt.fingerprint) in wanted
        if is_wanted or attempt.attempt_id in leftovers:
            needs = _needs(attempt, attempts, driver=driver, at=at)
        else:
            needs = "No row asks for it any more, so nobody collects it: put its row back as it was, and run kf2v run."
        if attempt.attempt_id in leftovers:
            needs = f"Its row changed or went; its video is kept all the same. {needs}"
        pending.append(
            Pending(
                attempt=attempt,
                driver=describe(driver) if driver else None,
                needs=needs,
                is_urgent=at >= attempt.expires_at - SOON,
            )
        )
    held = Counter(holders.values())
    return Status(
        at=at,
        rows=table_rows(project, clips),
        pending=tuple(pending),
        drivers=tuple((driver, held[owner]) for owner, driver in living.items()),
        spend=ledger.spend(),
        spend_today=ledger.spend(since=at.replace(hour=0, minute=0, second=0, microsecond=0)),
    )


def _needs(attempt: Attempt, others: Sequence[Attempt], *, driver: Driver | None, at: datetime) -> str:
    """What an open attempt waits for, and what helps."""
    twins = ", ".join(other.clip_id for other in others if other is not attempt and _are_twins(attempt, other))
    if twins and at < attempt.expires_at:
        what = f"It has the prompt of {twins}: a run tells their tasks apart by their films' first and last pictures"
        return f"{what}; where those are alike, stop it, and use kf2v resolve."
    if driver is None and attempt.state is State.UNCONFIRMED:
        return "Nobody drives it: run kf2v run, which looks for its task, or decide with kf2v resolve."
    if driver is None:
        return "Nobody drives it: run kf2v run."
    return _DRIVEN[attempt.state]


def _are_twins(attempt: Attempt, other: Attempt) -> bool:
    """Whether the creates of both were lost, and nothing tells the task of the one from that of the other."""
    is_open = attempt.state is other.state is State.UNCONFIRMED
    return is_open and other.lane == attempt.lane and same_prompt(other, attempt)
