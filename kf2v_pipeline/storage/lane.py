"""Places in a lane's quota, as the ledger hands them out: the account's limits hold across processes and hosts."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import ColumnElement, Connection, delete, exists, func, insert, select, update

from kf2v_pipeline.domain.attempt import IN_PROCESS_STATES, TASK_LIFE, Attempt
from kf2v_pipeline.storage import schema
from kf2v_pipeline.storage.database import Database, Lock

SLOT_LIFE = timedelta(seconds=10)
"""How long a granted place is kept for an attempt; after that, whoever took it has given up or died."""

UNSEEN_LIFE = timedelta(minutes=10)
"""How long a task is taken to be in process that nobody looks at, since other clips are driven now."""

FULL_WAIT = timedelta(seconds=1)
"""When to ask again where every place is taken; the ledger can't tell when a task ends."""


class Lanes(Database):
    """The ledger's quota counters."""

    def take_create_slot(
        self, lane: str, *, at: datetime, creates_per_second: float, tasks_in_process: int
    ) -> datetime | None:
        """Asks for the place of one create, just before its attempt is prepared.

        Creates are evenly spaced, so that no second holds more than its share. A place counts as taken from here until
        the attempt that uses it ends; one that no attempt uses is free again after ``SLOT_LIFE``.

        Args:
            lane: Its name, as ``Clip.lane`` gives it.
            at: Now; the clocks of hosts that share a ledger are taken to agree.
            creates_per_second: The lane's rate, over all processes.
            tasks_in_process: The lane's places, over all processes.

        Returns:
            None if the place is granted, else when to ask again.
        """
        table = schema.create_slot
        spacing = timedelta(microseconds=ceil(1_000_000 / creates_per_second))
        with self._write(Lock.WORK) as connection:
            if _places_taken(connection, lane, at) >= tasks_in_process:
                return at + FULL_WAIT
            last_at: datetime | None = connection.scalar(
                select(func.max(table.c.granted_at)).where(table.c.lane == lane)
            )
            if last_at is not None and at < last_at + spacing:
                return last_at + spacing
            outdated = table.c.granted_at < at - max(SLOT_LIFE, spacing)
            connection.execute(delete(table).where(table.c.lane == lane, outdated))
            connection.execute(insert(table).values(lane=lane, granted_at=at))
        return None


def use_create_slot(connection: Connection, attempt: Attempt) -> None:
    """Turns the oldest granted place of the attempt's lane into the place that the attempt itself counts as."""
    table = schema.create_slot
    oldest = select(func.min(table.c.slot_id)).where(*_promised(attempt.lane, attempt.prepared_at)).scalar_subquery()
    connection.execute(update(table).where(table.c.slot_id == oldest).values(attempt_id=attempt.attempt_id))


def _places_taken(connection: Connection, lane: str, at: datetime) -> int:
    attempt, claim = schema.attempt.c, schema.claim.c
    is_driven = exists().where(claim.clip_id == attempt.clip_id)
    in_process = select(func.count()).where(
        attempt.lane == lane,
        attempt.state.in_(IN_PROCESS_STATES),
        attempt.prepared_at > at - TASK_LIFE,
        is_driven | (attempt.prepared_at > at - UNSEEN_LIFE),
    )
    promised = select(func.count()).where(*_promised(lane, at))
    return (connection.scalar(in_process) or 0) + (connection.scalar(promised) or 0)


def _promised(lane: str, at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Which granted places an attempt may still use."""
    slot = schema.create_slot.c
    return (slot.lane == lane, slot.attempt_id.is_(None), slot.granted_at >= at - SLOT_LIFE)
