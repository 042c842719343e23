"""Tables of the ledger, and how their values are kept. A change of a table takes a file in ``migrations`` too."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy import Enum as EnumType

from kf2v_pipeline.domain.attempt import OPEN_STATES, FactKind, Remedy, State


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant with its microseconds. SQLite keeps no zone, PostgreSQL answers in the session's."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Refuses an instant without a zone: nobody knows when it was."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"the ledger keeps aware instants, and {value.isoformat()} has no zone")
        return value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Gives UTC whatever the database answered in."""
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


class _DecimalText(TypeDecorator[Decimal]):
    """An exact number where the database has none: SQLite would keep a float."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else Decimal(value)


_AMOUNT: Numeric[Decimal] = Numeric().with_variant(_DecimalText(), "sqlite")
"""An exact amount of money; the database never adds it up, since SQLite would make floats of it."""

_SERIAL = BigInteger().with_variant(Integer(), "sqlite")
"""A number that the database gives; SQLite counts up only what is spelled INTEGER."""


def _word(kind: type[Enum]) -> EnumType:
    """Keeps a member by its value, as plain text that people can read and a later version can add to."""
    return EnumType(kind, values_callable=lambda members: [m.value for m in members], native_enum=False, length=32)


metadata = MetaData()

clip = Table(
    "kf2v_clip",
    metadata,
    Column("clip_id", Text, primary_key=True),
    Column("manifest", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("written_at", Instant, nullable=False),
    Column("retired_at", Instant),
    Column("lanes", Text, nullable=False, server_default="[]"),
    Index("ix_kf2v_clip_order", "manifest", "position"),
)
"""What is wanted. A clip belongs to the manifest that named it last; a retired clip is kept and not wanted.

``lanes`` are those that may make it, as a JSON list: looking them up in a hundred thousand records takes a second.
"""

problem = Table(
    "kf2v_problem",
    metadata,
    Column("manifest", Text, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("record", Text, nullable=False),
    Column("found_at", Instant, nullable=False),
)
"""What was wrong with a manifest when it was last read."""

frame = Table(
    "kf2v_frame",
    metadata,
    Column("location_sha256", Text, primary_key=True),
    Column("token", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("format", Text, nullable=False),
    Column("fix", Text),
)
"""Frames that were looked at before, found by the digest of their location: a URL may be too long for an index."""

driver = Table(
    "kf2v_driver",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("run_id", Text),
    Column("enlisted_at", Instant, nullable=False),
    Column("heartbeat_at", Instant, nullable=False),
)
"""Who drives clips at present, or did until it was lost."""

claim = Table(
    "kf2v_claim",
    metadata,
    Column("clip_id", Text, primary_key=True),
    Column("owner", ForeignKey(driver.c.owner, ondelete="CASCADE"), nullable=False, index=True),
    Column("claimed_at", Instant, nullable=False),
)
"""Whose a clip is. A driver that goes takes its claims along."""

attempt = Table(
    "kf2v_attempt",
    metadata,
    Column("attempt_id", Text, primary_key=True),
    Column("clip_id", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("service", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("prompt", Text),
    Column("prepared_at", Instant, nullable=False),
    Column("state", _word(State), nullable=False),
    Column("reserved", _AMOUNT),
    Column("currency", Text),
    Column("cost", _AMOUNT),
    Column("task_id", Text),
    Column("request_id", Text),
    Column("unconfirmed_at", Instant),
    Column("submitted_at", Instant),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("stored_at", Instant),
    Column("actual_prompt", Text),
    Column("video_source", Text),
    Column("video_path", Text),
    Column("sha256", Text),
    Column("size_bytes", BigInteger),
    Column("width", Integer),
    Column("height", Integer),
    Column("fps", Double),
    Column("frames", Integer),
    Column("duration_s", Double),
    Column("codec", Text),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("remedy", _word(Remedy)),
    Index("ux_kf2v_attempt_number", "clip_id", "fingerprint", "number", unique=True),
    Index("ix_kf2v_attempt_state", "state", "lane"),
    Index("ix_kf2v_attempt_ended", "lane", "ended_at"),
    Index("ix_kf2v_attempt_owner", "owner"),
    Index("ix_kf2v_attempt_prepared", "prepared_at"),
    Index("ix_kf2v_attempt_lane", "lane", "prepared_at"),
)
"""What the facts of each attempt fold into; a column for each field of ``domain.attempt.Attempt``."""

ALIVE_STATES = frozenset({*OPEN_STATES, State.STORED})
"""States after which no other attempt for the same fingerprint may follow."""

_alive = "state IN ({})".format(", ".join(f"'{state.value}'" for state in State if state in ALIVE_STATES))
Index(
    "ux_kf2v_attempt_alive",
    attempt.c.clip_id,
    attempt.c.fingerprint,
    unique=True,
    sqlite_where=text(_alive),
    postgresql_where=text(_alive),
)

attempt_clip = Table(
    "kf2v_attempt_clip",
    metadata,
    Column("attempt_id", ForeignKey(attempt.c.attempt_id), primary_key=True),
    Column("record", Text, nullable=False),
)
"""The clip that each attempt was made for, whatever its row says by now. Apart, since few queries want it."""

fact = Table(
    "kf2v_fact",
    metadata,
    Column("seq", _SERIAL, primary_key=True),
    Column("attempt_id", ForeignKey(attempt.c.attempt_id), nullable=False, index=True),
    Column("kind", _word(FactKind), nullable=False),
    Column("at", Instant, nullable=False),
    Column("detail", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""What happened to attempts: appended, never changed."""

quality = Table(
    "kf2v_quality",
    metadata,
    Column("attempt_id", ForeignKey(attempt.c.attempt_id), primary_key=True),
    Column("record", Text, nullable=False),
    Column("measured_at", Instant, nullable=False),
)
"""What the film of a stored attempt measures."""

cut = Table(
    "kf2v_cut",
    metadata,
    Column("attempt_id", ForeignKey(attempt.c.attempt_id), primary_key=True),
    Column("aspect", Text, primary_key=True),
    Column("fit", Text, primary_key=True),
    Column("cut_path", Text),
    Column("width", Integer),
    Column("height", Integer),
    Column("flaw", Text),
    Column("made_at", Instant, nullable=False),
)
"""Films in the aspect that somebody asked for, or why they can't be had."""

commitment = Table(
    "kf2v_commitment",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("amount", _AMOUNT, nullable=False),
)
"""What the attempts of one owner, or of one day, take from a budget together, so that no prepare adds them all up."""
