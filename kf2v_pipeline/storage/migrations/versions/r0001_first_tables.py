"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_INSTANT = sa.DateTime(timezone=True)
_AMOUNT = sa.Numeric().with_variant(sa.Text(), "sqlite")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_WORD = sa.String(32)


def upgrade() -> None:
    """Makes every table of the first release."""
    _make_wanted()
    _make_claims()
    _make_attempts()
    _make_counters()


def _make_wanted() -> None:
    op.create_table(
        "kf2v_clip",
        sa.Column("clip_id", sa.Text, primary_key=True),
        sa.Column("manifest", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("written_at", _INSTANT, nullable=False),
        sa.Column("retired_at", _INSTANT),
    )
    op.create_index("ix_kf2v_clip_order", "kf2v_clip", ["manifest", "position"])
    op.create_table(
        "kf2v_problem",
        sa.Column("manifest", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("found_at", _INSTANT, nullable=False),
    )
    op.create_table(
        "kf2v_frame",
        sa.Column("location_sha256", sa.Text, primary_key=True),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
    )


def _make_claims() -> None:
    op.create_table(
        "kf2v_driver",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("enlisted_at", _INSTANT, nullable=False),
        sa.Column("heartbeat_at", _INSTANT, nullable=False),
    )
    op.create_table(
        "kf2v_claim",
        sa.Column("clip_id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, sa.ForeignKey("kf2v_driver.owner", ondelete="CASCADE"), nullable=False),
        sa.Column("claimed_at", _INSTANT, nullable=False),
    )
    op.create_index("ix_kf2v_claim_owner", "kf2v_claim", ["owner"])


def _make_attempts() -> None:
    op.create_table("kf2v_attempt", *_attempt_columns())
    op.create_index("ux_kf2v_attempt_number", "kf2v_attempt", ["clip_id", "fingerprint", "number"], unique=True)
    alive = sa.text("state IN ('prepared', 'unconfirmed', 'submitted', 'succeeded', 'stored')")
    op.create_index(
        "ux_kf2v_attempt_alive",
        "kf2v_attempt",
        ["clip_id", "fingerprint"],
        unique=True,
        sqlite_where=alive,
        postgresql_where=alive,
    )
    op.create_index("ix_kf2v_attempt_state", "kf2v_attempt", ["state", "lane"])
    op.create_index("ix_kf2v_attempt_ended", "kf2v_attempt", ["lane", "ended_at"])
    op.create_index("ix_kf2v_attempt_owner", "kf2v_attempt", ["owner"])
    op.create_index("ix_kf2v_attempt_prepared", "kf2v_attempt", ["prepared_at"])
    op.create_table(
        "kf2v_fact",
        sa.Column("seq", _SERIAL, primary_key=True),
        sa.Column("attempt_id", sa.Text, sa.ForeignKey("kf2v_attempt.attempt_id"), nullable=False),
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_kf2v_fact_attempt_id", "kf2v_fact", ["attempt_id"])


def _make_counters() -> None:
    op.create_table(
        "kf2v_commitment",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("currency", sa.Text, primary_key=True),
        sa.Column("amount", _AMOUNT, nullable=False),
    )
    op.create_table(
        "kf2v_create_slot",
        sa.Column("slot_id", _SERIAL, primary_key=True),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("granted_at", _INSTANT, nullable=False),
        sa.Column("attempt_id", sa.Text),
    )
    op.create_index("ix_kf2v_create_slot_lane", "kf2v_create_slot", ["lane", "granted_at"])


def _attempt_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("attempt_id", sa.Text, primary_key=True),
        sa.Column("clip_id", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("prompt", sa.Text),
        sa.Column("prepared_at", _INSTANT, nullable=False),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("reserved", _AMOUNT),
        sa.Column("currency", sa.Text),
        sa.Column("cost", _AMOUNT),
        sa.Column("task_id", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("unconfirmed_at", _INSTANT),
        sa.Column("submitted_at", _INSTANT),
        sa.Column("started_at", _INSTANT),
        sa.Column("ended_at", _INSTANT),
        sa.Column("stored_at", _INSTANT),
        sa.Column("actual_prompt", sa.Text),
        sa.Column("video_source", sa.Text),
        sa.Column("video_path", sa.Text),
        sa.Column("sha256", sa.Text),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("fps", sa.Double),
        sa.Column("frames", sa.Integer),
        sa.Column("duration_s", sa.Double),
        sa.Column("codec", sa.Text),
        sa.Column("error_code", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("remedy", _WORD),
    ]
