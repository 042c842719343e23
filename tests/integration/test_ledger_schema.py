"""The migrations make the tables that the code expects, on both kinds of database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from kf2v_pipeline.storage import migrations, schema
from kf2v_pipeline.storage.ledger import Ledger


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


def _where(index: sa.engine.interfaces.ReflectedIndex) -> str:
    options = index.get("dialect_options", {})
    return str(options.get("sqlite_where", options.get("postgresql_where", "")))
