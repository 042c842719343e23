"""Keeps Dagster's event log at hand while a run writes many events. What is told is others' work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cache

import dagster as dg
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import QueuePool

_INDEX = "index"
"""The file in which Dagster keeps what concerns assets, of all runs."""

_HAS_COLUMN = "_has_asset_key_col_on_connection"
"""Dagster's own question, on which nothing but time depends: a version that has none is asked as it asks itself."""

_KEEP_ROW = "_store_asset_event"
"""Dagster's own way to keep an asset's row up to date (1.13); a version that has none does so in its way."""

_BUSY_S = 30.0
"""How long a writer waits for the one before it; Dagster's own figure (1.13)."""

_KeepRow = Callable[[Connection, dg.EventLogEntry, int], None]
_Last = dict[tuple[dg.AssetKey | None, dg.DagsterEventType], tuple[dg.EventLogEntry, int]]

Together = Callable[[], AbstractContextManager[None]]
"""Within such a context events of the run that holds the log are written in one go, where the storage allows it."""


@contextmanager
def event_log_at_hand(instance: dg.DagsterInstance, run_id: str) -> Iterator[Together]:
    """Keeps the event log's two files open while a run writes its events, where it lies in SQLite.

    For every event Dagster (1.13) sets up SQLAlchemy three times, opens both files, compiles each statement anew, asks
    whether there is a table for tags and a column for times, and closes the files again; and whoever closes a file of
    SQLite last writes its log back and waits for the disk. That is two thirds of what an event costs. Meanwhile both
    methods through which its storage connects give connections that stay open, and it asks for a table and a column
    once. An asset's row, which each event overwrites with itself, is written once for several events that are written
    together. What is there in the end remains the same. Dagster's own lock, which lets
    one thread in at a time, is not taken meanwhile: each thread gets a connection of its own, and SQLite orders the
    writers. Other storages keep their connections themselves.

    Yields:
        What writes several events in one transaction a file. Others who write wait meanwhile: let it be short.
    """
    storage = instance.event_log_storage
    address_of: Callable[[str], str] | None = getattr(storage, "conn_string_for_shard", None)
    if address_of is None or "run_connection" in vars(storage):  # no SQLite in files, or at hand already
        yield nullcontext
        return
    connect_elsewhere = storage.run_connection  # type: ignore[attr-defined]  # every storage on SQL has it
    with ExitStack() as stack:
        shards = {shard: _Shard(_open(address_of(shard), stack)) for shard in (_INDEX, run_id)}

        def run_connection(run_id: str | None = None) -> AbstractContextManager[Connection]:
            return shards[run_id].begin() if run_id in shards else connect_elsewhere(run_id)

        rows = _AssetRows(keep) if (keep := getattr(storage, _KEEP_ROW, None)) else None

        @contextmanager
        def together() -> Iterator[None]:
            # The run's is safe first, as in Dagster.
            with (
                shards[_INDEX].together() as index,
                shards[run_id].together(),
                rows.together(index) if rows else nullcontext(),
            ):
                yield

        stack.callback(_put_back, storage)
        vars(storage).update(
            run_connection=run_connection,
            index_connection=shards[_INDEX].begin,
            has_table=cache(storage.has_table),  # type: ignore[attr-defined]  # every storage on SQL has it
        )
        if has_column := getattr(storage, _HAS_COLUMN, None):
            vars(storage)[_HAS_COLUMN] = _once(has_column)
        if rows:
            vars(storage)[_KEEP_ROW] = rows.keep
        yield together


class _Shard:
    """One of the log's files: each transaction by itself, or several of one thread in one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._open = threading.local()

    def begin(self) -> AbstractContextManager[Connection]:
        """A connection in a transaction: one that is open in this thread, or else one that ends with the context."""
        connection: Connection | None = getattr(self._open, "connection", None)
        return self._engine.begin() if connection is None else nullcontext(connection)

    @contextmanager
    def together(self) -> Iterator[Connection]:
        """Meanwhile all of this thread's transactions are one; not within another such context."""
        with self._engine.begin() as connection:
            try:
                self._open.connection = connection
                yield connection
            finally:
                self._open.connection = None


class _AssetRows:
    """Dagster's row of each asset: of events that are written together, the last one of each type goes into it."""

    def __init__(self, keep: _KeepRow) -> None:
        self._keep = keep
        self._held: dict[Connection, _Last] = {}

    def keep(self, connection: Connection, event: dg.EventLogEntry, event_id: int) -> None:
        """Takes Dagster's place: at once, or at the end of what is written together on that connection."""
        last = self._held.get(connection)
        if last is None:
            self._keep(connection, event, event_id)
            return
        told = event.get_dagster_event()
        last.pop((told.asset_key, told.event_type), None)  # the order of types counts too
        last[told.asset_key, told.event_type] = event, event_id

    @contextmanager
    def together(self, connection: Connection) -> Iterator[None]:
        """Meanwhile those on the connection are held back; not within another such context."""
        last = self._held[connection] = {}
        try:
            yield
        finally:
            del self._held[connection]
        for event, event_id in last.values():
            self._keep(connection, event, event_id)


def _open(address: str, stack: ExitStack) -> Engine:
    engine = create_engine(
        address, poolclass=QueuePool, pool_size=1, connect_args={"timeout": _BUSY_S, "check_same_thread": False}
    )
    stack.callback(engine.dispose)
    return engine


def _once(ask: Callable[[Connection, str], bool]) -> Callable[[Connection, str], bool]:
    """Asks for a column by whichever connection is there first, and remembers the answer."""
    known: dict[str, bool] = {}

    def answer(connection: Connection, name: str) -> bool:
        if name not in known:
            known[name] = ask(connection, name)
        return known[name]

    return answer


def _put_back(storage: object) -> None:
    """Lets the storage's own methods be seen again."""
    for name in ("run_connection", "index_connection", "has_table", _HAS_COLUMN, _KEEP_ROW):
        vars(storage).pop(name, None)
