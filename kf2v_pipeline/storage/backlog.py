"""What is still to be done, asked of the ledger in one query: cheap enough to be asked every few seconds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, fields

from sqlalchemy import JSON, Text, and_, cast, func, select, type_coerce

from kf2v_pipeline.domain.attempt import OPEN_STATES, Attempt, State
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.storage import schema
from kf2v_pipeline.storage.database import Database, chunks

_FIELDS = tuple(field.name for field in fields(Attempt))

_RECORD = type_coerce(cast(schema.clip.c.record, Text().with_variant(JSON(), "postgresql")), JSON)
"""A clip's record as what it is; SQLite looks into text, PostgreSQL does not."""

_PLACE = tuple(_RECORD[name].as_string().label(name) for name in ("service", "model", "lanes"))
"""Where a clip may be made."""


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

    def untried(self, manifest: str, *, without: Collection[str] = ()) -> dict[str | None, int]:
        """How many wanted clips of a manifest have no attempt yet, by the driver that holds them; None for nobody.

        Args:
            without: Clips that only these lanes may make are not counted. Which ones may is read out of the clips'
                records, in the database, so nobody is asked for it who need not know.
        """
        clip, attempt, claim = schema.clip.c, schema.attempt.c, schema.claim.c
        tried = select(attempt.attempt_id).where(
            attempt.clip_id == clip.clip_id, attempt.fingerprint == clip.fingerprint
        )
        query = (
            select(claim.owner, func.count().label("clips"))
            .select_from(schema.clip.outerjoin(schema.claim, claim.clip_id == clip.clip_id))
            .where(clip.manifest == manifest, clip.retired_at.is_(None), ~tried.exists())
            .group_by(claim.owner)
        )
        if without:
            query = query.add_columns(*_PLACE).group_by(*_PLACE)
        counts: Counter[str | None] = Counter()
        with self._read() as connection:
            for owner, clips, *place in connection.execute(query):
                if not (without and _lanes_of(*place) <= set(without)):
                    counts[owner] += clips
        return dict(counts)

    def unsettled(self, manifest: str) -> tuple[tuple[Attempt, str | None], ...]:
        """The newest attempts of wanted clips of a manifest that are not stored, each with the driver of its clip.

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
            select(claim.owner, *(attempt[name] for name in _FIELDS))
            .select_from(
                schema.attempt.join(schema.clip, wanted).outerjoin(schema.claim, claim.clip_id == attempt.clip_id)
            )
            .where(attempt.state.in_(set(State) - {State.STORED}), ~is_superseded.exists())
            .where(clip.manifest == manifest, clip.retired_at.is_(None))
        )
        with self._read() as connection:
            return tuple(
                (Attempt(**dict(zip(_FIELDS, values, strict=True))), owner)
                for owner, *values in connection.execute(query)
            )

    def busy_owners(self) -> frozenset[str]:
        """The drivers that hold any clip."""
        with self._read() as connection:
            return frozenset(connection.scalars(select(schema.claim.c.owner).distinct()))

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


def _lanes_of(service: str, model: str, lanes: str | None) -> set[str]:
    """The lanes that may make a clip, out of its record (``Clip.possible_lanes``)."""
    return set(json.loads(lanes)) if lanes else {f"{service}/{model}"}
