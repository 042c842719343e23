"""Attempts keep the clip that they were made for, since its row may change while the task goes on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds the table; attempts of before have no line in it, and are collected only for their row."""
    op.create_table(
        "kf2v_attempt_clip",
        sa.Column("attempt_id", sa.Text, sa.ForeignKey("kf2v_attempt.attempt_id"), primary_key=True),
        sa.Column("record", sa.Text, nullable=False),
    )
