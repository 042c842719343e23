"""What stored films measure, as the ledger keeps it, and the cuts that were made of them. Nothing is measured here."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from sqlalchemy import delete, insert, select

from kf2v_pipeline.domain.quality import Quality
from kf2v_pipeline.storage import schema
from kf2v_pipeline.storage.database import Database, Lock, chunks


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A film in the aspect that its row asks for.

    Attributes:
        aspect: As the clip has it, such as ``9:16`` or ``first_frame``.
        fit: How it was brought there: ``crop``, ``pad`` or ``blur``.
        cut_path: Where it lies in the store; the raw film's own path where that has the aspect already.
            None where it can't be made.
        width: Of the cut, in pixels; None where there is none.
        flaw: Why it can't be made, in a sentence; None where it was made.
    """

    aspect: str
    fit: str
    cut_path: str | None
    width: int | None
    height: int | None
    flaw: str | None = None


_CUT = tuple(field.name for field in fields(Cut))


class Qualities(Database):
    """The ledger's measurements and cuts."""

    def write_quality(self, attempt_id: str, quality: Quality, *, at: datetime) -> None:
        """Keeps what the film of a stored attempt measures, in the place of what was kept before.

        Args:
            at: When it was measured.
        """
        table = schema.quality
        row = {"attempt_id": attempt_id, "record": json.dumps(quality.to_record()), "measured_at": at}
        with self._write(Lock.WORK) as connection:
            connection.execute(delete(table).where(table.c.attempt_id == attempt_id))
            connection.execute(insert(table).values(row))

    def qualities(self, attempt_ids: Collection[str]) -> dict[str, Quality]:
        """What films measure, by attempt; those that were not measured are left out."""
        table = schema.quality.c
        query = select(table.attempt_id, table.record)
        with self._read() as connection:
            return {
                row.attempt_id: Quality.from_record(json.loads(row.record))
                for chunk in chunks(set(attempt_ids))
                for row in connection.execute(query.where(table.attempt_id.in_(chunk)))
            }

    def write_cut(self, attempt_id: str, cut: Cut, *, at: datetime) -> None:
        """Keeps where the cut of a stored attempt's film lies, or why there is none.

        Args:
            at: When it was made.
        """
        table = schema.cut
        same = (table.c.attempt_id == attempt_id, table.c.aspect == cut.aspect, table.c.fit == cut.fit)
        with self._write(Lock.WORK) as connection:
            connection.execute(delete(table).where(*same))
            connection.execute(insert(table).values(attempt_id=attempt_id, made_at=at, **asdict(cut)))

    def cuts(self, attempt_ids: Collection[str]) -> dict[tuple[str, str, str], Cut]:
        """The cuts of films, by attempt, aspect and fit."""
        table = schema.cut.c
        query = select(table.attempt_id, *(table[name] for name in _CUT))
        with self._read() as connection:
            return {
                (attempt_id, values[0], values[1]): Cut(**dict(zip(_CUT, values, strict=True)))
                for chunk in chunks(set(attempt_ids))
                for attempt_id, *values in connection.execute(query.where(table.attempt_id.in_(chunk)))
            }
