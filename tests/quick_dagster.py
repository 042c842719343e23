"""Makes Dagster's storage on SQLite cheap in a process that does many short runs. What is written stays the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from sqlalchemy import Engine, create_engine


@pytest.fixture(scope="session", autouse=True)
def prepared_once() -> Iterator[None]:
    """Prepares for each database once what Dagster (1.13) prepares for each connection, which is half of an event.

    That is SQLAlchemy's engine, with the statements that it has compiled, and Alembic's list of migrations, which is
    read for each run's own database. Connections are opened and closed as often as ever: engines keep none.
    """
    engines: dict[str, Engine] = {}
    scripts: dict[str | None, ScriptDirectory] = {}
    read_scripts = ScriptDirectory.from_config

    def engine_of(address: str, **options: Any) -> Engine:
        if address not in engines:
            engines[address] = create_engine(address, **options)
        return engines[address]

    def scripts_of(config: Config) -> ScriptDirectory:
        place = config.get_main_option("script_location")
        if place not in scripts:
            scripts[place] = read_scripts(config)
        return scripts[place]

    with pytest.MonkeyPatch.context() as patch:
        for storage in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
            patch.setattr(storage, "create_engine", engine_of)
        patch.setattr(ScriptDirectory, "from_config", scripts_of)
        yield
