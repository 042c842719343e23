"""What is still to be done, asked of the ledger in one query: cheap enough to be asked every few seconds."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select

from kf2v_pipeline.domain.attempt import OPEN_STATES, Attempt, Remedy, State
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.policy import MAX_FAILED_TRIES, MAX_TRIES
from kf2v_pipeline.storage import schema
from kf2v_pipeline.storage.database import Database, chunks

_FIELDS = tuple(field.name for field in fields(Attempt))


class Untried(NamedTuple):
    """Clips that have no attempt yet.

    Attributes:
        owner: The driver that holds them; None for nobody.
        lanes: Those that may make them.
    """

    clips: int
    owner: str | None
    lanes: tuple[str, ...]


class Unsettled(NamedTuple):
    """The newest attempt of a clip that is neither stored nor failed for good.

    Attributes:
        owner: The driver that holds the clip; None for nobody.
        lanes: Those that may make its next attempt.
    """

    attempt: Attempt
    owner: str | None
    lanes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """An attempt that is under way, and that no row asks for any more.

    Attributes:
        clip: As its row was when the attempt was prepared.
    """

    clip: Clip
    attempt: Attempt


class Backlog(Database):
    """The ledger's view of what is not stored yet."""

    def unstored(self, manifest: str) -> dict[str, Attempt | None]:
        """The wanted clips of a manifest that are not stored, in its order, with the newest attempt of each.

        An attempt counts only where it was for the clip's fingerprint as it is wanted now; None where there is none.
        """
        clip, attempt = schema.clip.c, schema.attempt
        other = schema.attempt.alias()
        newest = (
            select(func.max(other.c.number))
            .where(other.c.clip_id == clip.clip_id, other.c.fingerprint == clip.fingerprint)
            .scalar_subquery()
        )
        is_newest = and_(
            attempt.c.clip_id == clip.clip_id,
            attempt.c.fingerprint == clip.fingerprint,
            attempt.c.number == newest,
        )
        query = (
            select(clip.clip_id.label("wanted_id"), *(attempt.c[name] for name in _FIELDS))
            .select_from(schema.clip.outerjoin(attempt, is_newest))
            .where(clip.manifest == manifest, clip.retired_at.is_(None))
            .where(attempt.c.state.is_(None) | (attempt.c.state != State.STORED))
            .order_by(clip.position)
        )
        with self._read() as connection:
            return {
                wanted_id: None if values[0] is None else Attempt(**dict(zip(_FIELDS, values, strict=True)))
                for wanted_id, *values in connection.execute(query)
            }

    def untried(self, manifest: str) -> tuple[Untried, ...]:
        """The wanted clips of a manifest that have no attempt yet, counted by driver and lanes."""
        clip, attempt, claim = schema.clip.c, schema.attempt.c, schema.claim.c
        tried = select(attempt.attempt_id).where(
            attempt.clip_id == clip.clip_id, attempt.fingerprint == clip.fingerprint
        )
        query = (
            select(func.count(), claim.owner, clip.lanes)
            .select_from(schema.clip.outerjoin(schema.claim, claim.clip_id == clip.clip_id))
            .where(clip.manifest == manifest, clip.retired_at.is_(None), ~tried.exists())
            .group_by(claim.owner, clip.lanes)
        )
        with self._read() as connection:
            return tuple(
                Untried(clips, owner, tuple(json.loads(lanes))) for clips, owner, lanes in connection.execute(query)
            )

    def unsettled(self, manifest: str) -> tuple[Unsettled, ...]:
        """The newest attempts of wanted clips of a manifest that are neither stored nor failed for good.

        Only attempts for the clips as they are wanted now; clips without one are left out.
        """
        clip, attempt, claim = schema.clip.c, schema.attempt.c, schema.claim.c
        later = schema.attempt.alias()
        is_superseded = select(later.c.attempt_id).where(
            later.c.clip_id == attempt.clip_id,
            later.c.fingerprint == attempt.fingerprint,
            later.c.number > attempt.number,
        )
        wanted = and_(clip.clip_id == attempt.clip_id, clip.fingerprint == attempt.fingerprint)
        query = (
            select(claim.owner, clip.lanes, *(attempt[name] for name in _FIELDS))
            .select_from(
                schema.attempt.join(schema.clip, wanted).outerjoin(schema.claim, claim.clip_id == attempt.clip_id)
            )
            .where(_goes_on(), ~is_superseded.exists())
            .where(clip.manifest == manifest, clip.retired_at.is_(None))
        )
        with self._read() as connection:
            return tuple(
                Unsettled(Attempt(**dict(zip(_FIELDS, values, strict=True))), owner, tuple(json.loads(lanes)))
                for owner, lanes, *values in connection.execute(query)
            )

    def has_made_task(self, lane: str, *, since: datetime) -> bool:
        """Whether an attempt that was prepared in a lane since then has made a task: the lane works again."""
        attempt = schema.attempt.c
        made = exists().where(attempt.lane == lane, attempt.prepared_at > since, attempt.submitted_at.is_not(None))
        with self._read() as connection:
            return bool(connection.scalar(select(made)))

    def newcomers(self, *, since: datetime) -> frozenset[str]:
        """The drivers that hold no clip, and have enlisted since then: they claim theirs the next moment."""
        table = schema.driver.c
        holds_any = exists().where(schema.claim.c.owner == table.owner)
        with self._read() as connection:
            return frozenset(connection.scalars(select(table.owner).where(table.enlisted_at >= since, ~holds_any)))

    def clips_of(self, attempt_ids: Collection[str]) -> dict[str, Clip]:
        """The clips that attempts were made for, as they were then, by attempt_id.

        Attempts from before their clips were kept with them are left out.
        """
        kept = schema.attempt_clip.c
        with self._read() as connection:
            return {
                attempt_id: Clip.from_record(json.loads(record))
                for chunk in chunks(attempt_ids)
                for attempt_id, record in connection.execute(
                    select(kept.attempt_id, kept.record).where(kept.attempt_id.in_(chunk))
                )
            }

    def leftovers(self, manifest: str | None = None) -> tuple[Leftover, ...]:
        """Attempts under way whose row changed or went meanwhile, the soonest to expire first.

        Attempts from before their clips were kept with them are left out: their row alone tells how to store them.

        Args:
            manifest: Only clips that this manifest named last; None for all.
        """
        clip, attempt, kept = schema.clip.c, schema.attempt.c, schema.attempt_clip.c
        query = (
            select(kept.record, *(attempt[name] for name in _FIELDS))
            .join_from(schema.attempt, schema.attempt_clip)
            .join(schema.clip, clip.clip_id == attempt.clip_id)
            .where(attempt.state.in_(OPEN_STATES))
            .where(clip.retired_at.is_not(None) | (clip.fingerprint != attempt.fingerprint))
            .order_by(attempt.prepared_at)
        )
        if manifest is not None:
            query = query.where(clip.manifest == manifest)
        with self._read() as connection:
            return tuple(
                Leftover(
                    clip=Clip.from_record(json.loads(record)),
                    attempt=Attempt(**dict(zip(_FIELDS, values, strict=True))),
                )
                for record, *values in connection.execute(query)
            )


def _goes_on() -> ColumnElement[bool]:
    """What ``domain.policy.standing`` says of a newest attempt, said to the database: neither stored nor failed.

    A hundred thousand clips may have failed for good, and would be read for nothing.
    """
    attempt = schema.attempt.c
    most = case((attempt.state == State.REFUSED, MAX_TRIES), else_=MAX_FAILED_TRIES)
    return and_(
        attempt.state.in_(set(State) - {State.STORED}),
        or_(
            attempt.state.in_(OPEN_STATES),
            attempt.remedy == Remedy.STOP_LANE,
            and_(attempt.remedy == Remedy.RETRY, attempt.number < most),
        ),
    )
