"""What is wanted, as the ledger keeps it: clips, and the problems of rows that made none. It reads no manifest."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.storage import schema
from kf2v_pipeline.storage.bulk import in_bulk
from kf2v_pipeline.storage.database import Database, Lock, chunks

_NO_LANES = "[]"
"""Lanes of a row that a process wrote whose version knew none yet."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a new reading of a manifest changed; ids of clips, in the manifest's order.

    Attributes:
        new: Not wanted before.
        changed: Wanted before with another fingerprint: they call for another attempt.
        retired: Wanted before, and not in the manifest any more.
        unchanged: The same fingerprint as before, even where the row moved or carries other columns.
    """

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


class Wanted(Database):
    """The ledger's clips."""

    def want(self, manifest: str, clips: Sequence[Clip], *, at: datetime) -> Change:
        """Puts a manifest's whole list on record; what is not in it any more is kept, and not wanted.

        A clip belongs to the manifest that named it last, since its id is its name everywhere.

        Args:
            manifest: The manifest's address, without secrets.
            clips: In the manifest's order, each id once.
            at: Now.

        Raises:
            ValueError: A clip_id is there twice.
        """
        order = {clip.clip_id: position for position, clip in enumerate(clips)}
        if len(order) != len(clips):
            raise ValueError("a clip_id is there twice")
        kinds: dict[str, str] = {}
        moved: list[int] = []
        gone: list[tuple[int, str]] = []
        with self._write(Lock.WANTED) as connection:
            for clip_id, fingerprint, record, lanes, *place, is_retired in _known_rows(connection, manifest, order):
                position = order.get(clip_id)
                if position is not None:
                    clip = clips[position]
                    is_same_video = fingerprint == clip.fingerprint
                    kinds[clip_id] = "new" if is_retired else "unchanged" if is_same_video else "changed"
                    is_as_written = place == [manifest, position] and lanes != _NO_LANES and record == _record(clip)
                    if is_retired or not is_same_video or not is_as_written:
                        moved.append(position)
                elif not is_retired:
                    gone.append((place[1], clip_id))
            fresh = [position for clip_id, position in order.items() if clip_id not in kinds]
            retired = tuple(clip_id for _, clip_id in sorted(gone))
            _insert(connection, [_as_row(manifest, position, clips[position], at) for position in fresh])
            _rewrite(connection, [_as_row(manifest, position, clips[position], at) for position in moved])
            _retire(connection, retired, at)
        of_kind: dict[str, list[str]] = {"new": [], "changed": [], "unchanged": []}
        for clip_id in order:
            of_kind[kinds.get(clip_id, "new")].append(clip_id)
        return Change(retired=retired, **{kind: tuple(clip_ids) for kind, clip_ids in of_kind.items()})

    @in_bulk()
    def wanted(self, clip_ids: Collection[str] | None = None, *, manifest: str | None = None) -> tuple[Clip, ...]:
        """The clips that are wanted, in their manifest's order.

        Args:
            clip_ids: Only these, as far as they are wanted; None for all.
            manifest: Only those of this manifest; None for all.
        """
        table = schema.clip.c
        query = select(table.manifest, table.position, table.fingerprint, table.record).where(
            table.retired_at.is_(None)
        )
        if manifest is not None:
            query = query.where(table.manifest == manifest)
        with self._read() as connection:
            if clip_ids is None:
                rows = list(connection.execute(query))
            else:
                rows = [
                    row
                    for chunk in chunks(set(clip_ids))
                    for row in connection.execute(query.where(table.clip_id.in_(chunk)))
                ]
        rows.sort(key=lambda row: (row.manifest, row.position))
        return tuple(Clip.from_record(json.loads(row.record), fingerprint=row.fingerprint) for row in rows)

    def reject(self, manifest: str, problems: Sequence[Problem], *, at: datetime) -> None:
        """Puts the problems of a manifest's last reading in the place of those before."""
        rows = [
            {"manifest": manifest, "position": position, "record": json.dumps(asdict(problem)), "found_at": at}
            for position, problem in enumerate(problems)
        ]
        with self._write(Lock.WANTED) as connection:
            connection.execute(delete(schema.problem).where(schema.problem.c.manifest == manifest))
            if rows:
                connection.execute(insert(schema.problem), rows)

    def rejected(self, *, manifest: str | None = None) -> tuple[Problem, ...]:
        """The problems of the last reading of a manifest; of every manifest for None."""
        table = schema.problem.c
        query = select(table.record).order_by(table.manifest, table.position)
        if manifest is not None:
            query = query.where(table.manifest == manifest)
        with self._read() as connection:
            records = connection.scalars(query).all()
        return tuple(Problem(**json.loads(record)) for record in records)


def _known_rows(connection: Connection, manifest: str, clip_ids: Collection[str]) -> Iterator[Any]:
    """Rows of the manifest, and then of clips that it takes over from another one."""
    table = schema.clip.c
    is_retired = table.retired_at.is_not(None)
    told = (table.clip_id, table.fingerprint, table.record, table.lanes)
    query = select(*told, table.manifest, table.position, is_retired)
    seen = set()
    for row in connection.execute(query.where(table.manifest == manifest)):
        seen.add(row[0])
        yield row
    for chunk in chunks(clip_id for clip_id in clip_ids if clip_id not in seen):
        yield from connection.execute(query.where(table.clip_id.in_(chunk)))


def _as_row(manifest: str, position: int, clip: Clip, at: datetime) -> dict[str, Any]:
    return {
        "clip_id": clip.clip_id,
        "manifest": manifest,
        "position": position,
        "fingerprint": clip.fingerprint,
        "record": _record(clip),
        "written_at": at,
        "retired_at": None,
        "lanes": json.dumps(clip.possible_lanes),
    }


def _record(clip: Clip) -> str:
    """The clip as it is kept; two that are the same are kept as the same text."""
    return json.dumps(clip.to_record())


def _insert(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(insert(schema.clip), rows)


def _rewrite(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    for chunk in chunks(rows):
        connection.execute(delete(schema.clip).where(schema.clip.c.clip_id.in_([row["clip_id"] for row in chunk])))
        connection.execute(insert(schema.clip), chunk)


def _retire(connection: Connection, clip_ids: Sequence[str], at: datetime) -> None:
    for chunk in chunks(clip_ids):
        connection.execute(update(schema.clip).where(schema.clip.c.clip_id.in_(chunk)).values(retired_at=at))
