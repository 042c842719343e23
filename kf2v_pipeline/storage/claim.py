"""Drivers and their claims, as the ledger keeps them. What a driver does with its clips is not known here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update

from kf2v_pipeline.errors import LedgerError
from kf2v_pipeline.storage import schema
from kf2v_pipeline.storage.database import Database, Lock, chunks


@dataclass(frozen=True, kw_only=True)
class Driver:
    """A process that drives clips.

    Attributes:
        owner: Its name in the ledger, never used twice.
        run_id: Dagster's id of the run that it serves; None outside of Dagster.
    """

    owner: str
    host: str
    pid: int
    run_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What became of a claim.

    Attributes:
        mine: Clips that the owner holds now.
        held: Owners of the others, by clip_id.
    """

    mine: frozenset[str] = frozenset()
    held: Mapping[str, str] = field(default_factory=dict)


class Claims(Database):
    """The ledger's drivers and claims."""

    def enlist(self, driver: Driver, *, at: datetime) -> None:
        """Makes a driver known; enlisting again keeps its claims and counts as a heartbeat."""
        table = schema.driver
        row = {"host": driver.host, "pid": driver.pid, "run_id": driver.run_id, "heartbeat_at": at}
        with self._write(Lock.WORK) as connection:
            known = connection.execute(update(table).where(table.c.owner == driver.owner).values(row))
            if not known.rowcount:
                connection.execute(insert(table).values(owner=driver.owner, enlisted_at=at, **row))

    def heartbeat(self, owner: str, *, at: datetime) -> None:
        """Says that a driver lives.

        Raises:
            LedgerError: The driver was dismissed, or never enlisted.
        """
        table = schema.driver
        with self._write() as connection:
            beat = connection.execute(update(table).where(table.c.owner == owner).values(heartbeat_at=at))
        if not beat.rowcount:
            raise _stranger(owner)

    def dismiss(self, owner: str, *, at: datetime) -> None:  # noqa: ARG002 - when it went is not kept yet
        """Forgets a driver that is gone; its claims are free."""
        with self._write(Lock.WORK) as connection:
            connection.execute(delete(schema.driver).where(schema.driver.c.owner == owner))

    def drivers(self, *, at: datetime, stale_after: timedelta) -> tuple[Driver, ...]:
        """The drivers that live, the oldest first.

        Args:
            at: Now.
            stale_after: How old the last heartbeat of a living driver may be.
        """
        table = schema.driver.c
        query = select(table.owner, table.host, table.pid, table.run_id).where(table.heartbeat_at >= at - stale_after)
        with self._read() as connection:
            rows = connection.execute(query.order_by(table.enlisted_at, table.owner)).mappings().all()
        return tuple(Driver(**row) for row in rows)

    def claim(self, owner: str, clip_ids: Collection[str], *, at: datetime, stale_after: timedelta) -> Claim:
        """Claims clips that nobody holds, and those whose driver is gone or has no fresh heartbeat.

        Args:
            owner: Who claims them.
            clip_ids: May hold some of them already.
            at: Now.
            stale_after: How old the last heartbeat of a living driver may be.

        Raises:
            LedgerError: The owner is not enlisted.
        """
        table, driver = schema.claim, schema.driver
        mine: set[str] = set()
        held: dict[str, str] = {}
        with self._write(Lock.WORK) as connection:
            if connection.scalar(select(driver.c.owner).where(driver.c.owner == owner)) is None:
                raise _stranger(owner)
            query = select(table.c.clip_id, table.c.owner, driver.c.heartbeat_at).join_from(table, driver)
            for chunk in chunks(sorted(set(clip_ids))):
                free = set(chunk)
                for row in connection.execute(query.where(table.c.clip_id.in_(chunk))):
                    if row.owner == owner:
                        mine.add(row.clip_id)
                        free.remove(row.clip_id)
                    elif row.heartbeat_at >= at - stale_after:
                        held[row.clip_id] = row.owner
                        free.remove(row.clip_id)
                if free:
                    connection.execute(delete(table).where(table.c.clip_id.in_(free)))
                    connection.execute(
                        insert(table), [{"clip_id": clip_id, "owner": owner, "claimed_at": at} for clip_id in free]
                    )
                    mine |= free
        return Claim(mine=frozenset(mine), held=held)

    def holders(self, *, at: datetime, stale_after: timedelta) -> dict[str, str]:
        """Owners of all the clips that a living driver holds, by clip_id.

        Args:
            at: Now.
            stale_after: How old the last heartbeat of a living driver may be.
        """
        table, driver = schema.claim, schema.driver
        query = select(table.c.clip_id, table.c.owner).join_from(table, driver)
        with self._read() as connection:
            rows = connection.execute(query.where(driver.c.heartbeat_at >= at - stale_after)).all()
        return {row.clip_id: row.owner for row in rows}

    def release(self, owner: str, clip_ids: Collection[str] | None = None) -> None:
        """Gives up clips; those that the owner does not hold stay whose they are.

        Args:
            clip_ids: None for all that it holds.
        """
        table = schema.claim
        held = delete(table).where(table.c.owner == owner)
        with self._write(Lock.WORK) as connection:
            if clip_ids is None:
                connection.execute(held)
                return
            for chunk in chunks(sorted(set(clip_ids))):
                connection.execute(held.where(table.c.clip_id.in_(chunk)))


def _stranger(owner: str) -> LedgerError:
    return LedgerError(f"No driver {owner} is enlisted: it was dismissed, or never enlisted; enlist it to go on.")
