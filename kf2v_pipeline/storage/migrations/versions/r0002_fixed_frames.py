"""Frames remember how they were fixed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the column; a frame that is known already goes as it is."""
    op.add_column("kf2v_frame", sa.Column("fix", sa.Text))
