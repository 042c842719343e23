"""An attempt: one try to get one clip made, and the one table of its legal moves. Storing it is the ledger's work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

from kf2v_pipeline.domain.price import Money
from kf2v_pipeline.errors import IllegalMove

TASK_LIFE = timedelta(hours=24)
"""How long a task and its video's URL live (vendor page, "Limits: data validity")."""


class State(str, Enum):
    """Where an attempt stands."""

    PREPARED = "prepared"
    """The intent is on record; whether the create was sent is not known yet."""
    UNCONFIRMED = "unconfirmed"
    """The create may or may not have made a task: its reply was lost."""
    SUBMITTED = "submitted"
    """The task exists, and we know its id."""
    SUCCEEDED = "succeeded"
    """The video is paid for and waits to be collected."""
    STORED = "stored"
    REFUSED = "refused"
    """No task was made, and nothing is billed."""
    FAILED = "failed"
    """The task ended without a video, and nothing is billed."""
    CANCELED = "canceled"
    LOST = "lost"
    """A task that may have been paid for went out of reach."""


class FactKind(str, Enum):
    """What can happen to an attempt."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    REPLY_LOST = "reply_lost"
    FOUND = "found"
    NEVER_LANDED = "never_landed"
    GIVEN_UP = "given_up"
    TASK_SUCCEEDED = "task_succeeded"
    TASK_FAILED = "task_failed"
    TASK_CANCELED = "task_canceled"
    TASK_VANISHED = "task_vanished"
    VIDEO_STORED = "video_stored"
    VIDEO_EXPIRED = "video_expired"


MOVES: Mapping[State, Mapping[FactKind, State]] = {
    State.PREPARED: {
        FactKind.ACCEPTED: State.SUBMITTED,
        FactKind.REFUSED: State.REFUSED,
        FactKind.REPLY_LOST: State.UNCONFIRMED,
    },
    State.UNCONFIRMED: {
        FactKind.FOUND: State.SUBMITTED,
        FactKind.NEVER_LANDED: State.REFUSED,
        FactKind.GIVEN_UP: State.LOST,
    },
    State.SUBMITTED: {
        FactKind.TASK_SUCCEEDED: State.SUCCEEDED,
        FactKind.TASK_FAILED: State.FAILED,
        FactKind.TASK_CANCELED: State.CANCELED,
        FactKind.TASK_VANISHED: State.LOST,
    },
    State.SUCCEEDED: {
        FactKind.VIDEO_STORED: State.STORED,
        FactKind.VIDEO_EXPIRED: State.LOST,
    },
    State.STORED: {},
    State.REFUSED: {},
    State.FAILED: {},
    State.CANCELED: {},
    State.LOST: {},
}
"""Every legal move. A state with an empty row is an end."""

OPEN_STATES = frozenset(state for state, moves in MOVES.items() if moves)
"""States of an attempt that is still under way."""

FREE_STATES = frozenset({State.REFUSED, State.FAILED, State.CANCELED})
"""Ends that bill nothing: what was reserved for them is free again."""

IN_PROCESS_STATES = frozenset({State.PREPARED, State.UNCONFIRMED, State.SUBMITTED})
"""States of an attempt that may hold one of the lane's places in process."""


class Remedy(str, Enum):
    """What an attempt that ended badly calls for."""

    RETRY = "retry"
    """Another attempt may do better, and the failed one cost nothing."""
    PERSON = "person"
    """Only a person can mend it: the row, the frames or the prompt must change."""
    STOP_LANE = "stop_lane"
    """Nothing in this lane can work until a person mends the account, the key or the quota."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One line of the ledger: which attempt, what happened, when.

    Attributes:
        detail: Fields of ``Attempt`` that the fact sets, by name. Never a secret: no key, no signed URL.
    """

    attempt_id: str
    kind: FactKind
    at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try to get one clip made: at most one accepted create, at most one task.

    Attributes:
        number: Counted from 1 per clip and fingerprint.
        lane: Name of the quota that it uses.
        owner: The driver that prepared it.
        reserved: Held back from the budget, in ``currency``; None where the price is not known.
        cost: What is billed, exact from the task's usage; None until it is known.
        started_at: When the service began to work on the task.
        ended_at: When the task ended, by the service's clock.
        video_path: Relative to the storage root.
        video_source: Host and path of the video's URL, without its signature.
        remedy: What a bad end calls for; None while there is none.
    """

    attempt_id: str
    clip_id: str
    fingerprint: str
    number: int
    service: str
    model: str
    lane: str
    owner: str
    prompt: str | None
    prepared_at: datetime
    state: State = State.PREPARED
    reserved: Decimal | None = None
    currency: str | None = None
    cost: Decimal | None = None
    task_id: str | None = None
    request_id: str | None = None
    unconfirmed_at: datetime | None = None
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    stored_at: datetime | None = None
    actual_prompt: str | None = None
    video_source: str | None = None
    video_path: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    frames: int | None = None
    duration_s: float | None = None
    codec: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    remedy: Remedy | None = None

    @property
    def is_open(self) -> bool:
        """Whether something can still happen to it."""
        return self.state in OPEN_STATES

    @property
    def bill(self) -> Money | None:
        """What it costs; None where that is nothing, or not known."""
        return None if self.cost is None or not self.currency else Money(amount=self.cost, currency=self.currency)

    @property
    def expires_at(self) -> datetime:
        """When the task, and its video's URL, go out of reach at the latest."""
        return (self.submitted_at or self.prepared_at) + TASK_LIFE


_FIXED = frozenset(
    {
        "attempt_id",
        "clip_id",
        "fingerprint",
        "number",
        "service",
        "model",
        "lane",
        "owner",
        "prompt",
        "prepared_at",
        "state",
    }
)
SETTABLE = frozenset(f.name for f in fields(Attempt)) - _FIXED
"""Fields of an attempt that a fact's detail may set."""


def fold(attempt: Attempt, fact: Fact) -> Attempt:
    """The attempt after the fact.

    Raises:
        IllegalMove: The attempt's state has no such move.
        ValueError: The detail names a field that a fact can't set, or the fact is of another attempt.
    """
    if fact.attempt_id != attempt.attempt_id:
        raise ValueError(f"a fact of attempt {fact.attempt_id} can't change attempt {attempt.attempt_id}")
    unknown = fact.detail.keys() - SETTABLE
    if unknown:
        raise ValueError(f"a fact can't set {', '.join(sorted(unknown))}")
    try:
        state = MOVES[attempt.state][fact.kind]
    except KeyError:
        raise IllegalMove(attempt.attempt_id, attempt.state.value, fact.kind.value) from None
    return replace(attempt, state=state, **fact.detail)
