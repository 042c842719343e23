"""Places in a lane's quota: the account's limits hold across processes and hosts, by what attempts are on record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import Connection, Select, bindparam, exists, func, select

from kf2v_pipeline.domain.attempt import IN_PROCESS_STATES, TASK_LIFE
from kf2v_pipeline.errors import NoPlace
from kf2v_pipeline.storage import schema

UNSEEN_LIFE = timedelta(minutes=10)
"""How long a task is taken to be in process that nobody looks at, since other clips are driven now."""

FULL_WAIT = timedelta(seconds=1)
"""When to ask again where every place is taken; the ledger can't tell when a task ends."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """What a lane's quota allows, over all processes.

    Attributes:
        creates_per_second: Creates are evenly spaced, so that no second holds more than its share.
        tasks_in_process: Attempts that are prepared and have not ended.
    """

    creates_per_second: float
    tasks_in_process: int

    @property
    def spacing(self) -> timedelta:
        """The least time between two creates."""
        return timedelta(microseconds=ceil(1_000_000 / self.creates_per_second))


def check_place(connection: Connection, lane: str, places: Places, *, at: datetime) -> None:
    """Refuses an attempt for which the lane has no place now.

    Args:
        connection: In the transaction that prepares the attempt.
        at: Now; the clocks of hosts that share a ledger are taken to agree.

    Raises:
        NoPlace: Its error says when to ask again.
    """
    since = {"of_lane": lane, "alive_since": at - TASK_LIFE, "seen_since": at - UNSEEN_LIFE}
    taken, last_at = connection.execute(_TAKEN, since).one()
    if taken >= places.tasks_in_process:
        raise NoPlace(lane, at + FULL_WAIT)
    if last_at is not None and at < last_at + places.spacing:
        raise NoPlace(lane, last_at + places.spacing)


def _build_taken() -> Select[int, datetime | None]:
    """How many places of a lane are taken, and when its last attempt was prepared."""
    attempt, claim = schema.attempt.c, schema.claim.c
    is_in_lane = attempt.lane == bindparam("of_lane")
    is_seen = exists().where(claim.clip_id == attempt.clip_id) | (attempt.prepared_at > bindparam("seen_since"))
    in_process = select(func.count()).where(
        is_in_lane,
        attempt.state.in_(IN_PROCESS_STATES),
        attempt.prepared_at > bindparam("alive_since"),
        is_seen,
    )
    last_at = select(func.max(attempt.prepared_at)).where(is_in_lane)
    return select(in_process.scalar_subquery(), last_at.scalar_subquery())


_TAKEN = _build_taken()
