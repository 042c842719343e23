"""Films remember what they measure, and the cuts that were made of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Makes both tables; films that are stored already are measured when the tables are written next."""
    op.create_table(
        "kf2v_quality",
        sa.Column("attempt_id", sa.Text, sa.ForeignKey("kf2v_attempt.attempt_id"), primary_key=True),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("measured_at", _INSTANT, nullable=False),
    )
    op.create_table(
        "kf2v_cut",
        sa.Column("attempt_id", sa.Text, sa.ForeignKey("kf2v_attempt.attempt_id"), primary_key=True),
        sa.Column("aspect", sa.Text, primary_key=True),
        sa.Column("fit", sa.Text, primary_key=True),
        sa.Column("cut_path", sa.Text),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("flaw", sa.Text),
        sa.Column("made_at", _INSTANT, nullable=False),
    )
