"""The migrations make the tables that the code expects, on both kinds of database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from unit.storage.made_attempts import NOON, make_clip, make_clips

from kf2v_pipeline.storage import migrations, schema
from kf2v_pipeline.storage.ledger import Ledger
from kf2v_pipeline.storage.wanted import _as_row


def test_a_migrated_ledger_has_the_tables_of_the_schema(ledger_url: str) -> None:
    with Ledger.open(ledger_url) as ledger, ledger._read() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "version_table": migrations.VERSION_TABLE}
        )
        assert compare_metadata(context, schema.metadata) == []


def test_both_ways_make_the_same_indexes(ledger_url: str) -> None:
    """Alembic does not compare the conditions of partial indexes."""
    with Ledger.open(ledger_url) as ledger, ledger._read() as connection:
        found = {
            index["name"]: (tuple(index["column_names"]), bool(index["unique"]), _where(index))
            for table in schema.metadata.tables
            for index in sa.inspect(connection).get_indexes(table)
        }
    assert found["ux_kf2v_attempt_alive"][:2] == (("clip_id", "fingerprint"), True)
    alive = found["ux_kf2v_attempt_alive"][2]
    assert {state for state in schema.State if f"'{state.value}'" in alive} == schema.ALIVE_STATES
    assert found.keys() == {index.name for table in schema.metadata.tables.values() for index in table.indexes}


def test_clips_of_an_older_version_are_given_the_lanes_that_may_make_them_many_in_one_statement(
    ledger_url: str,
) -> None:
    """Nobody else gets at the clips meanwhile, and PostgreSQL may be far away."""
    shared = ("local/kf2v", "local/other")
    clips = [*make_clips(2_000), make_clip("b", service="auto", model="auto", lanes=shared)]
    rows = [_as_row("m.csv", position, clip, NOON) for position, clip in enumerate(clips)]
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    address = sa.make_url(ledger_url)
    engine = sa.create_engine(
        address if address.drivername == "sqlite" else address.set(drivername="postgresql+psycopg2")
    )
    updates: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, is_many: bool) -> None:
        if statement.startswith("UPDATE kf2v_clip"):
            updates.extend([statement] * (len(parameters) if is_many else 1))

    sa.event.listen(engine, "before_cursor_execute", note)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
        connection.execute(
            sa.insert(schema.clip), [{name: row[name] for name in row if name != "lanes"} for row in rows]
        )
        command.upgrade(config, "0006")
        lanes = {row.clip_id: row.lanes for row in connection.execute(sa.select(schema.clip))}
    engine.dispose()

    assert lanes == {row["clip_id"]: row["lanes"] for row in rows}
    assert len(updates) == 4


def _where(index: sa.engine.interfaces.ReflectedIndex) -> str:
    options = index.get("dialect_options", {})
    return str(options.get("sqlite_where", options.get("postgresql_where", "")))
