"""A lane's quota is counted by its attempts alone: places granted before them are not kept any more."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Finds a lane's last attempt by an index, and drops what nobody reads."""
    op.create_index("ix_kf2v_attempt_lane", "kf2v_attempt", ["lane", "prepared_at"])
    op.drop_table("kf2v_create_slot")
