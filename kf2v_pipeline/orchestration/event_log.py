"""Keeps Dagster's event log at hand while a run writes many events. What is told is others' work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache

import dagster as dg
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import QueuePool

_INDEX = "index"
"""The file in which Dagster keeps what concerns assets, of all runs."""

_BUSY_S = 30.0
"""How long a writer waits for the one before it; Dagster's own figure (1.13)."""


@contextmanager
def event_log_at_hand(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Keeps the event log's two files open while a run writes its events, where it lies in SQLite.

    For every event Dagster (1.13) sets up SQLAlchemy three times, opens both files, compiles each statement anew, asks
    whether there is a table for tags, and closes the files again; and whoever closes a file of SQLite last writes its
    log back and waits for the disk. That is two thirds of what an event costs. Meanwhile both methods through which its
    storage connects give connections that stay open, and it asks for a table once; what is written, and when it is
    safe, remains the same. Dagster's own lock, which lets one thread in at a time, is not taken meanwhile: each thread
    gets a connection of its own, and SQLite orders the writers. Other storages keep their connections themselves.
    """
    storage = instance.event_log_storage
    address_of: Callable[[str], str] | None = getattr(storage, "conn_string_for_shard", None)
    if address_of is None or "run_connection" in vars(storage):  # no SQLite in files, or at hand already
        yield
        return
    connect_elsewhere = storage.run_connection  # type: ignore[attr-defined]  # every storage on SQL has it
    with ExitStack() as stack:
        engines = {shard: _open(address_of(shard), stack) for shard in (_INDEX, run_id)}

        def run_connection(run_id: str | None = None) -> AbstractContextManager[Connection]:
            return engines[run_id].begin() if run_id in engines else connect_elsewhere(run_id)

        stack.callback(_put_back, storage)
        vars(storage).update(
            run_connection=run_connection,
            index_connection=engines[_INDEX].begin,
            has_table=cache(storage.has_table),  # type: ignore[attr-defined]  # every storage on SQL has it
        )
        yield


def _open(address: str, stack: ExitStack) -> Engine:
    engine = create_engine(
        address, poolclass=QueuePool, pool_size=1, connect_args={"timeout": _BUSY_S, "check_same_thread": False}
    )
    stack.callback(engine.dispose)
    return engine


def _put_back(storage: object) -> None:
    """Lets the storage's own methods be seen again."""
    for name in ("run_connection", "index_connection", "has_table"):
        vars(storage).pop(name, None)
