"""Brings a ledger to the tables that this version knows. One file in ``versions`` for each change ever released."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, column, inspect, select, table

from kf2v_pipeline.errors import LedgerError

REVISION = "0006"
"""The newest revision; kept here too, so that a ledger that has it opens without Alembic."""

VERSION_TABLE = "kf2v_ledger_version"
"""Not Alembic's usual name: Dagster's own storage may live in the same database, and uses that one."""

_VERSION: Select[Any] = select(column("version_num")).select_from(table(VERSION_TABLE))


def found_revision(connection: Connection) -> str | None:
    """The revision that the database is at, in one query.

    Raises:
        DBAPIError: There is no ledger in it yet.
    """
    revision: str | None = connection.scalar(_VERSION)
    return revision


def upgrade(connection: Connection) -> None:
    """Makes the tables, or brings them up to date, inside the caller's transaction, which must be the only writer.

    Raises:
        LedgerError: A newer version wrote this ledger.
    """
    from alembic import command  # noqa: PLC0415 - a fifth of a second that only new and old ledgers need
    from alembic.config import Config  # noqa: PLC0415 - the same
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - the same

    revision = found_revision(connection) if inspect(connection).has_table(VERSION_TABLE) else None
    if revision == REVISION:
        return
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
