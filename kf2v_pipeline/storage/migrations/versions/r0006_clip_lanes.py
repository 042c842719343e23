"""A clip's lanes have a column of their own: what waits for which lane is asked at each tick of a sensor."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Adds the column, and fills it out of the clips' records."""
    op.add_column("kf2v_clip", sa.Column("lanes", sa.Text, nullable=False, server_default="[]"))
    clip = sa.table("kf2v_clip", sa.column("clip_id"), sa.column("record"), sa.column("lanes"))
    connection = op.get_bind()
    rows = [
        {"named": clip_id, "found": json.dumps(record.get("lanes") or [f"{record['service']}/{record['model']}"])}
        for clip_id, record in (
            (row.clip_id, json.loads(row.record))
            for row in connection.execute(sa.select(clip.c.clip_id, clip.c.record))
        )
    ]
    if rows:
        fill = sa.update(clip).where(clip.c.clip_id == sa.bindparam("named")).values(lanes=sa.bindparam("found"))
        connection.execute(fill, rows)
