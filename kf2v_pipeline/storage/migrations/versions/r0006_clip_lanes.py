"""A clip's lanes have a column of their own: what waits for which lane is asked at each tick of a sensor."""

from __future__ import annotations

import json
from collections import defaultdict

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_CHUNK = 900
"""Clips in one statement: SQLite before 3.32 takes 999 parameters."""


def upgrade() -> None:
    """Adds the column, and fills it out of the clips' records.

    Few statements do it, whatever the clips: nobody gets at the table meanwhile, and PostgreSQL may be far away.
    """
    op.add_column("kf2v_clip", sa.Column("lanes", sa.Text, nullable=False, server_default="[]"))
    clip = sa.table("kf2v_clip", sa.column("clip_id"), sa.column("record"), sa.column("lanes"))
    connection = op.get_bind()
    clip_ids: defaultdict[str, list[str]] = defaultdict(list)
    for row in connection.execute(sa.select(clip.c.clip_id, clip.c.record)):
        record = json.loads(row.record)
        lanes = record.get("lanes") or [f"{record['service']}/{record['model']}"]
        clip_ids[json.dumps(lanes)].append(row.clip_id)
    for lanes_text, named in clip_ids.items():
        for start in range(0, len(named), _CHUNK):
            chunk = named[start : start + _CHUNK]
            connection.execute(sa.update(clip).where(clip.c.clip_id.in_(chunk)).values(lanes=lanes_text))
