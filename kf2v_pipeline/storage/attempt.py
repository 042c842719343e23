"""Attempts and facts, as the ledger keeps them. Which moves are legal is said in ``domain.attempt``."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from kf2v_pipeline.domain.attempt import MOVES, Attempt, Fact, FactKind, State, fold
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.price import Money
from kf2v_pipeline.errors import LedgerError
from kf2v_pipeline.storage import schema
from kf2v_pipeline.storage.bulk import in_bulk
from kf2v_pipeline.storage.database import Database, Lock, chunks
from kf2v_pipeline.storage.detail import read_detail, storable, write_detail
from kf2v_pipeline.storage.lane import Places, check_place
from kf2v_pipeline.storage.spend import check_budgets, keep_committed

_FIELDS = tuple(field.name for field in fields(Attempt))
_ATTEMPT = select(*(schema.attempt.c[name] for name in _FIELDS))
_ONE_ATTEMPT = _ATTEMPT.where(schema.attempt.c.attempt_id == bindparam("of_attempt"))
_CHANGE = update(schema.attempt).where(
    schema.attempt.c.attempt_id == bindparam("of_attempt"), schema.attempt.c.state == bindparam("of_state")
)
_NEW_ATTEMPT = insert(schema.attempt)
_NEW_CLIP = insert(schema.attempt_clip)
_NEW_FACT = insert(schema.fact)
_HOLDER = select(schema.claim.c.owner).where(schema.claim.c.clip_id == bindparam("of_clip"))
_LAST = (
    select(schema.attempt.c.number, schema.attempt.c.state)
    .where(
        schema.attempt.c.clip_id == bindparam("of_clip"), schema.attempt.c.fingerprint == bindparam("of_fingerprint")
    )
    .order_by(schema.attempt.c.number.desc())
    .limit(1)
)


class Attempts(Database):
    """The ledger's attempts and facts."""

    def prepare(
        self,
        clip: Clip,
        *,
        owner: str,
        at: datetime,
        places: Places | None = None,
        reserve: Money | None = None,
        budget: Money | None = None,
        daily_budget: Money | None = None,
    ) -> Attempt:
        """Puts the intent to ask for a clip on record, and holds back what it will cost. Only then may it be sent.

        Args:
            clip: As it is wanted now.
            owner: The driver that is about to send it, and holds the clip.
            at: Now; the attempt's ``prepared_at``.
            places: The quota of the clip's lane, in which the attempt takes a place until it ends; None for no quota.
            reserve: What the clip will cost; None where the price is not known.
            budget: The most that this owner's attempts may cost together; None for no limit.
            daily_budget: The most that all attempts of this UTC day may cost together; None for no limit.

        Raises:
            LedgerError: The owner does not hold the clip; or an attempt for it is open or stored already.
            NoPlace: The lane's quota is used up for the moment.
            BudgetReached: The reservation would pass one of the budgets.
        """
        attempt = Attempt(
            attempt_id=uuid.uuid4().hex,
            clip_id=clip.clip_id,
            fingerprint=clip.fingerprint,
            number=1,
            service=clip.service,
            model=clip.model,
            lane=clip.lane,
            owner=owner,
            prompt=storable(clip.prompt),
            prepared_at=at,
            reserved=reserve.amount if reserve else None,
            currency=reserve.currency if reserve else None,
        )
        with self._write(Lock.WORK) as connection:
            _check_claim(connection, attempt)
            attempt = _numbered(connection, attempt)
            if places is not None:
                check_place(connection, attempt.lane, places, at=at)
            check_budgets(connection, attempt, budget=budget, daily_budget=daily_budget)
            connection.execute(_NEW_ATTEMPT, _as_row(attempt))
            record = json.dumps(clip.to_record())
            connection.execute(_NEW_CLIP, {"attempt_id": attempt.attempt_id, "record": record})
            keep_committed(connection, None, attempt)
        return attempt

    def record(self, fact: Fact, *, known: Attempt | None = None) -> Attempt:
        """Appends a fact and gives the attempt as it is after it.

        A reservation ends with the state: an attempt that ended without a bill counts nothing against a budget.

        Args:
            known: The attempt as the ledger gave it last: it need not be read where it is still in that state, since no
                state comes twice.

        Raises:
            LedgerError: There is no such attempt.
            IllegalMove: The attempt's state does not allow the fact; nothing was changed.
        """
        with self._write(Lock.WORK) as connection:
            if known is not None and fact.kind in MOVES[known.state]:
                now = _append_if(connection, known, fact)
                if now is not None:
                    return now
            before = _find(connection, fact.attempt_id)
            if before is None:
                raise LedgerError(f"The ledger has no attempt {fact.attempt_id}.")
            return _append(connection, before, fact)

    def adopt(self, attempt: Attempt, facts: Sequence[Fact], *, owner: str) -> Attempt:
        """Takes in an attempt that another ledger had, with all that happened to it; gives it as it is then.

        Where this ledger has that very attempt, and has not seen its end, only what it has not seen is taken in.
        Nothing is checked against a budget: what is adopted is paid already.

        Args:
            attempt: As it was prepared. It gets an id of its own, and a number after those that are known.
            facts: Its history, in order, from ``accepted`` on.
            owner: Who adopts it, and holds the clip.

        Raises:
            LedgerError: The owner does not hold the clip; or another attempt for it is open or stored already.
            IllegalMove: The facts are no history.
        """
        with self._write(Lock.WORK) as connection:
            attempt = replace(attempt, owner=owner, prompt=storable(attempt.prompt))
            _check_claim(connection, attempt)
            now = _find(connection, attempt.attempt_id)
            if now is None or not now.is_open:
                now = _numbered(connection, replace(attempt, attempt_id=uuid.uuid4().hex))
                connection.execute(_NEW_ATTEMPT, _as_row(now))
            for fact in facts:
                found = now.state is State.UNCONFIRMED and fact.kind is FactKind.ACCEPTED
                kind = FactKind.FOUND if found else fact.kind
                if kind in MOVES[now.state] or fact is facts[-1]:
                    now = _append(connection, now, replace(fact, attempt_id=now.attempt_id, kind=kind))
        return now

    def attempts(
        self,
        clip_ids: Collection[str] | None = None,
        *,
        states: Collection[State] | None = None,
        lane: str | None = None,
        manifest: str | None = None,
    ) -> tuple[Attempt, ...]:
        """Attempts in the order in which they were prepared; None does not narrow them down.

        Args:
            manifest: Only for clips that this manifest named last, whether it still wants them or not.
        """
        table = schema.attempt.c
        query = _ATTEMPT
        if states is not None:
            query = query.where(table.state.in_(states))
        if lane is not None:
            query = query.where(table.lane == lane)
        if manifest is not None:
            named = select(schema.clip.c.clip_id).where(schema.clip.c.manifest == manifest)
            query = query.where(table.clip_id.in_(named))
        with self._read() as connection:
            if clip_ids is None:
                found = [_attempt(row) for row in connection.execute(query)]
            else:
                found = [
                    _attempt(row)
                    for chunk in chunks(set(clip_ids))
                    for row in connection.execute(query.where(table.clip_id.in_(chunk)))
                ]
        return tuple(sorted(found, key=lambda attempt: (attempt.prepared_at, attempt.number, attempt.clip_id)))

    @in_bulk()
    def newest(self, clips: Sequence[Clip]) -> dict[str, Attempt]:
        """The newest attempt of each clip as it is wanted now, by clip_id; clips without one are left out."""
        table = schema.attempt.c
        fingerprints = {clip.clip_id: clip.fingerprint for clip in clips}
        found: dict[str, Attempt] = {}
        with self._read() as connection:
            for chunk in chunks(fingerprints):
                for row in connection.execute(_ATTEMPT.where(table.clip_id.in_(chunk)).order_by(table.number)):
                    if row.fingerprint == fingerprints[row.clip_id]:
                        found[row.clip_id] = _attempt(row)
        return found

    def stored(self, clips: Sequence[Clip]) -> frozenset[str]:
        """Those of the clips whose videos are stored, as they are wanted now, by clip_id: much cheaper than ``newest``.

        Nothing follows a stored attempt, so it is the newest one.
        """
        table = schema.attempt.c
        fingerprints = {clip.clip_id: clip.fingerprint for clip in clips}
        query = select(table.clip_id, table.fingerprint, table.state)
        with self._read() as connection:
            return frozenset(
                clip_id
                for chunk in chunks(fingerprints)
                for clip_id, fingerprint, state in connection.execute(query.where(table.clip_id.in_(chunk)))
                if state is State.STORED and fingerprint == fingerprints[clip_id]
            )

    def tries(self, clips: Sequence[Clip]) -> dict[str, int]:
        """How many attempts each clip as it is wanted now has had, by clip_id."""
        table = schema.attempt.c
        fingerprints = {clip.clip_id: clip.fingerprint for clip in clips}
        counts = dict.fromkeys(fingerprints, 0)
        query = select(table.clip_id, table.fingerprint, func.max(table.number)).group_by(
            table.clip_id, table.fingerprint
        )
        with self._read() as connection:
            for chunk in chunks(fingerprints):
                for clip_id, fingerprint, number in connection.execute(query.where(table.clip_id.in_(chunk))):
                    if fingerprint == fingerprints[clip_id]:
                        counts[clip_id] = number
        return counts

    def facts(self, attempt_id: str) -> tuple[Fact, ...]:
        """An attempt's history, in the order in which it was written."""
        table = schema.fact.c
        query = select(table.kind, table.at, table.detail).where(table.attempt_id == attempt_id).order_by(table.seq)
        with self._read() as connection:
            rows = connection.execute(query).all()
        return tuple(
            Fact(attempt_id=attempt_id, kind=row.kind, at=row.at, detail=read_detail(row.detail)) for row in rows
        )

    def known_task_ids(self, *, since: datetime) -> frozenset[str]:
        """The tasks of all attempts that were prepared since then."""
        table = schema.attempt.c
        query = select(table.task_id).where(table.prepared_at >= since, table.task_id.is_not(None))
        with self._read() as connection:
            return frozenset(task_id for task_id in connection.scalars(query) if task_id is not None)

    def durations(self, lane: str, *, limit: int = 200) -> tuple[timedelta, ...]:
        """How long a lane's newest succeeded tasks took from their start, or else their submit; the newest first."""
        table = schema.attempt.c
        started_at = func.coalesce(table.started_at, table.submitted_at)
        query = (
            select(started_at, table.ended_at)
            .where(
                table.lane == lane,
                table.ended_at.is_not(None),
                started_at.is_not(None),
                table.state.in_((State.SUCCEEDED, State.STORED)),
            )
            .order_by(table.ended_at.desc())
            .limit(limit)
        )
        with self._read() as connection:
            return tuple(ended_at - began_at for began_at, ended_at in connection.execute(query))


def _find(connection: Connection, attempt_id: str) -> Attempt | None:
    row = connection.execute(_ONE_ATTEMPT, {"of_attempt": attempt_id}).one_or_none()
    return None if row is None else _attempt(row)


def _append(connection: Connection, before: Attempt, fact: Fact) -> Attempt:
    """Writes one fact, and what the attempt is after it."""
    attempt = _append_if(connection, before, fact)
    if attempt is None:
        raise LedgerError(f"Attempt {fact.attempt_id} changed while it was written: does another program write here?")
    return attempt


def _append_if(connection: Connection, before: Attempt, fact: Fact) -> Attempt | None:
    """The same, if the attempt is in that state; else None, and nothing is written."""
    detail = {name: storable(value) for name, value in fact.detail.items()}
    attempt = fold(before, replace(fact, detail=detail))
    line = {"attempt_id": fact.attempt_id, "kind": fact.kind, "at": fact.at, "detail": write_detail(detail)}
    change = {"of_attempt": fact.attempt_id, "of_state": before.state, "state": attempt.state, **detail}
    if connection.execute(_CHANGE, change).rowcount == 0:
        return None
    connection.execute(_NEW_FACT, line)
    keep_committed(connection, before, attempt)
    return attempt


def _attempt(row: Iterable[Any]) -> Attempt:
    return Attempt(**dict(zip(_FIELDS, row, strict=True)))


def _as_row(attempt: Attempt) -> dict[str, Any]:
    return {name: getattr(attempt, name) for name in _FIELDS}


def _check_claim(connection: Connection, attempt: Attempt) -> None:
    if connection.scalar(_HOLDER, {"of_clip": attempt.clip_id}) != attempt.owner:
        raise LedgerError(
            f"Clip {attempt.clip_id} is not held by {attempt.owner}: claim it before an attempt is prepared."
        )


def _numbered(connection: Connection, attempt: Attempt) -> Attempt:
    """The attempt with the number that follows the last one of its clip and fingerprint."""
    names = {"of_clip": attempt.clip_id, "of_fingerprint": attempt.fingerprint}
    last = connection.execute(_LAST, names).one_or_none()
    if last is None:
        return attempt
    if last.state in schema.ALIVE_STATES:
        raise LedgerError(
            f"Clip {attempt.clip_id} has attempt {last.number} already, and it is {last.state.value}: "
            "it is not paid for twice."
        )
    return replace(attempt, number=max(attempt.number, last.number + 1))
