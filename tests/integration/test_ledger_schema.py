"""The migrations make the tables that the code expects, on both kinds of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from unit.storage.made_attempts import NOON, make_clip, make_clips

from kf2v_pipeline.storage import migrations, schema
from kf2v_pipeline.storage.ledger import Ledger
from kf2v_pipeline.storage.wanted import _as_row


@pytest.fixture
def engine(ledger_url: str) -> Iterator[sa.Engine]:
    """A database without a ledger."""
    address = sa.make_url(ledger_url)
    made = sa.create_engine(
        address if address.drivername == "sqlite" else address.set(drivername="postgresql+psycopg2")
    )
    yield made
    made.dispose()


def test_a_migrated_ledger_has_the_tables_of_the_schema(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        _migrate(connection, "head")
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "version_table": migrations.VERSION_TABLE,
            },
        )
        assert compare_metadata(context, schema.metadata) == []


def test_a_new_ledger_has_the_very_tables_that_all_migrations_make(engine: sa.Engine, ledger_url: str) -> None:
    """A migration to come must find the same in both."""
    with engine.begin() as connection:
        _migrate(connection, "head")
        migrated = _describe(connection)
    with engine.begin() as connection:
        everything = sa.MetaData()
        everything.reflect(connection)
        everything.drop_all(connection)
    with Ledger.open(ledger_url) as ledger, ledger._read() as connection:
        assert _describe(connection) == migrated
    assert migrations.VERSION_TABLE in migrated
    assert migrated.keys() >= schema.metadata.tables.keys()


def test_a_new_ledger_keeps_two_living_attempts_for_one_clip_out(engine: sa.Engine, ledger_url: str) -> None:
    """Which states those are is written twice, in the schema and in a migration."""
    Ledger.open(ledger_url).close()
    with engine.connect() as connection:
        (alive,) = (
            _where(index)
            for index in sa.inspect(connection).get_indexes("kf2v_attempt")
            if index["name"] == "ux_kf2v_attempt_alive"
        )
    assert {state for state in schema.State if f"'{state.value}'" in alive} == schema.ALIVE_STATES


def test_clips_of_an_older_version_are_given_the_lanes_that_may_make_them_many_in_one_statement(
    engine: sa.Engine,
) -> None:
    """Nobody else gets at the clips meanwhile, and PostgreSQL may be far away."""
    shared = ("local/kf2v", "local/other")
    clips = [*make_clips(2_000), make_clip("b", service="auto", model="auto", lanes=shared)]
    rows = [_as_row("m.csv", position, clip, NOON) for position, clip in enumerate(clips)]
    updates: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, is_many: bool) -> None:
        if statement.startswith("UPDATE kf2v_clip"):
            updates.extend([statement] * (len(parameters) if is_many else 1))

    sa.event.listen(engine, "before_cursor_execute", note)
    with engine.begin() as connection:
        _migrate(connection, "0005")
        connection.execute(
            sa.insert(schema.clip), [{name: row[name] for name in row if name != "lanes"} for row in rows]
        )
        _migrate(connection, "0006")
        lanes = {row.clip_id: row.lanes for row in connection.execute(sa.select(schema.clip))}

    assert lanes == {row["clip_id"]: row["lanes"] for row in rows}
    assert len(updates) == 4


def _migrate(connection: sa.Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _describe(connection: sa.Connection) -> dict[str, Any]:
    """All that the database tells of its tables, by name."""
    inspector = sa.inspect(connection)
    return {
        table: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(table)
            ],
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": sorted(inspector.get_foreign_keys(table), key=str),
            "unique": inspector.get_unique_constraints(table),
            "checks": inspector.get_check_constraints(table),
            "indexes": sorted(
                (index["name"] or "", index["column_names"], bool(index["unique"]), _where(index))
                for index in inspector.get_indexes(table)
            ),
            "counts up": _counts_up(connection, table),
        }
        for table in inspector.get_table_names()
    }


def _counts_up(connection: sa.Connection, table: str) -> bool:
    """Whether SQLite never gives a number twice; it tells so by the table's text alone."""
    if connection.dialect.name != "sqlite":
        return False
    query = sa.text("SELECT sql FROM sqlite_master WHERE name = :name")
    return "AUTOINCREMENT" in connection.scalar(query, {"name": table})


def _where(index: sa.engine.interfaces.ReflectedIndex) -> str:
    options = index.get("dialect_options", {})
    return str(options.get("sqlite_where", options.get("postgresql_where", "")))
