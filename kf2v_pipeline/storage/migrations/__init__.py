"""Brings a ledger to the tables that this version knows. One file in ``versions`` for each change ever released."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, select

from kf2v_pipeline.errors import LedgerError
from kf2v_pipeline.storage import schema

REVISION = "0006"
"""The newest revision; kept here too, so that a ledger that has it opens without Alembic."""

VERSION_TABLE = "kf2v_ledger_version"
"""Not Alembic's usual name: Dagster's own storage may live in the same database, and uses that one."""

_VERSION = Table(
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)
"""As Alembic makes it."""


def found_revision(connection: Connection) -> str | None:
    """The revision that the database is at, in one query.

    Raises:
        DBAPIError: There is no ledger in it yet.
    """
    revision: str | None = connection.scalar(select(_VERSION.c.version_num))
    return revision


def upgrade(connection: Connection) -> None:
    """Makes the tables, or brings them up to date, inside the caller's transaction, which must be the only writer.

    A new ledger gets its tables as they are now, without Alembic: they are the same as those that every migration
    makes one after the other, and the sensor's first tick waits for them.

    Raises:
        LedgerError: A newer version wrote this ledger.
    """
    if not inspect(connection).has_table(VERSION_TABLE):
        _make(connection)
        return
    revision = found_revision(connection)
    if revision != REVISION:
        _migrate(connection, revision)


def _make(connection: Connection) -> None:
    schema.metadata.create_all(connection, checkfirst=False)  # a table that is there already is not ours to take over
    _VERSION.create(connection)
    connection.execute(insert(_VERSION).values(version_num=REVISION))


def _migrate(connection: Connection, revision: str | None) -> None:
    from alembic import command  # noqa: PLC0415 - a fifth of a second that only old ledgers need
    from alembic.config import Config  # noqa: PLC0415 - the same
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - the same

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise LedgerError(
            f"A newer version of kf2v-pipeline wrote the ledger (revision {revision}, this one knows {REVISION}): "
            "upgrade kf2v-pipeline."
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
