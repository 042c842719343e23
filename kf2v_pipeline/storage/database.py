"""The database under the ledger: its address, its connections and its transactions. What is kept is others' work."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from kf2v_pipeline.errors import LedgerError
from kf2v_pipeline.storage.migrations import REVISION, VERSION_TABLE, found_revision, upgrade

_BUSY_S = 60.0
"""How long a writer on SQLite waits for the one before it."""

_CONNECT_S = 10
"""How long PostgreSQL may take to answer a connect; its library would wait for minutes."""

_CHUNK = 900
"""Values in one IN list: SQLite before 3.32 takes 999 parameters."""

T = TypeVar("T")
D = TypeVar("D", bound="Database")


class Lock(IntEnum):
    """What only one transaction at a time may do on PostgreSQL; SQLite has one writer anyway."""

    TABLES = 0x6B663276_00
    """Makes or migrates the tables."""
    WANTED = 0x6B663276_01
    """Writes down what is wanted, which may take seconds."""
    WORK = 0x6B663276_02
    """Hands out clips, money and places in a quota, and takes facts; always short."""


class Database:
    """A database that can be read and written, one short transaction at a time, from any thread.

    Args:
        engine: Whose tables are up to date; ``open`` sees to that.
        name: How the database is shown to people, without user and password.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    @classmethod
    def open(cls: type[D], url: str) -> D:
        """Opens the database at an address; makes it, or brings its tables up to date, where that is needed.

        Args:
            url: ``sqlite:///path/to/ledger.db`` or ``postgresql://user:password@host/database``.

        Raises:
            LedgerError: The address has no meaning, or the database can't be used.
        """
        address = _parse(url)
        name = _shown(address)
        engine = _make_engine(address, name)
        try:
            _bring_up_to_date(engine)
        except DBAPIError as error:
            engine.dispose()
            # Not chained to its cause, which may quote the address and with it the password.
            raise LedgerError(f"The ledger {name} can't be opened: {_reason(error)}; {_fix(address)}.") from None
        except LedgerError:
            engine.dispose()
            raise
        return cls(engine, name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    def __enter__(self: D) -> D:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes every connection that is not in use."""
        self._engine.dispose()

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        """A transaction that changes nothing and waits for no writer."""
        with self._explained(), _begin(self._engine, "BEGIN") as connection:
            yield connection

    @contextmanager
    def _write(self, lock: Lock | None = None) -> Iterator[Connection]:
        """A transaction that is committed at the end, or leaves no trace.

        Args:
            lock: What no other transaction may do meanwhile; None for a single statement.
        """
        with self._explained(), _writing(self._engine, lock) as connection:
            yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns the database's refusals into one sentence of ours."""
        try:
            yield
        except DBAPIError as error:
            raise LedgerError(f"The ledger {self._name} can't be used: {_reason(error)}.") from error


@contextmanager
def _begin(engine: Engine, how: str) -> Iterator[Connection]:
    """A transaction; SQLite is told how to begin it, since its driver was told to leave that to us."""
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(how)
        yield connection


@contextmanager
def _writing(engine: Engine, lock: Lock | None) -> Iterator[Connection]:
    # The write lock first: a transaction on SQLite that reads before it writes could not get it any more.
    with _begin(engine, "BEGIN IMMEDIATE") as connection:
        if lock is not None and connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(int(lock))))
        yield connection


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """The values in lists that are short enough for one IN."""
    rest = iter(values)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


def _parse(url: str) -> URL:
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        raise LedgerError(
            "The ledger's address is no database URL: "
            "write sqlite:///path/to/ledger.db or postgresql://user:password@host/database."
        ) from None
    backend = address.get_backend_name()
    if backend == "sqlite":
        if address.database in (None, "", ":memory:") or address.query:
            raise LedgerError(
                "A ledger must outlive its process: name a plain file, such as sqlite:///path/to/ledger.db."
            )
        return address.set(drivername="sqlite+pysqlite")
    if backend in ("postgresql", "postgres"):
        if "@" in (address.host or ""):
            raise LedgerError("The ledger's address has an @ too many: in a user or password, write it as %40.")
        return address.set(drivername="postgresql+psycopg2")
    raise LedgerError(
        f"The ledger can't live in {backend}: use an address that begins with sqlite:/// or postgresql://."
    )


def which_ledger(url: str) -> str:
    """The address with all that tells it from another ledger's, and without its password.

    Raises:
        LedgerError: The address has no meaning.
    """
    return _parse(url).difference_update_query(["password"]).render_as_string(hide_password=True)


def _shown(address: URL) -> str:
    """The address without user, password and options."""
    if address.get_backend_name() == "sqlite":
        return f"sqlite:///{address.database}"
    return URL.create("postgresql", host=address.host, port=address.port, database=address.database).render_as_string()


def _make_engine(address: URL, name: str) -> Engine:
    if address.get_backend_name() == "sqlite":
        try:
            Path(address.database or "").absolute().parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerError(f"The ledger {name} can't be opened: {error.strerror}; {_fix(address)}.") from error
        # Whoever takes a connection ends its transaction, so there is nothing to roll back when it returns.
        engine = create_engine(
            address, connect_args={"timeout": _BUSY_S}, hide_parameters=True, pool_reset_on_return=None
        )
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    options = {} if "connect_timeout" in address.query else {"connect_timeout": _CONNECT_S}
    try:
        return create_engine(
            address,
            connect_args=options,
            hide_parameters=True,
            isolation_level="READ COMMITTED",  # what is read after a lock is taken must be as it is then
            pool_pre_ping=True,
        )
    except (ModuleNotFoundError, NoSuchModuleError):
        raise LedgerError(
            f"The ledger {name} can't be opened: the driver of PostgreSQL is missing; "
            "run pip install 'kf2v-pipeline[postgres]'."
        ) from None


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    """Takes BEGIN out of the driver's hands, and asks for the durability that money needs."""
    connection.isolation_level = None
    _turn_on_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _turn_on_wal(connection: sqlite3.Connection) -> None:
    """Lets readers and the writer go side by side; the file remembers it.

    Where other processes open the same new file, SQLite does not wait for them here but fails at once; a transaction
    waits.
    """
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        else:
            return


def _bring_up_to_date(engine: Engine) -> None:
    try:
        with _begin(engine, "BEGIN") as connection:
            if found_revision(connection) == REVISION:
                return
    except DBAPIError as error:
        if VERSION_TABLE not in str(error.orig):
            raise
    with _writing(engine, Lock.TABLES) as connection:
        upgrade(connection)


def _reason(error: DBAPIError) -> str:
    """The database's own words, in one line."""
    words = " ".join(str(error.orig).split())
    return words.rstrip(".") or type(error.orig).__name__


def _fix(address: URL) -> str:
    if address.get_backend_name() == "sqlite":
        return "it must be a file in a directory that can be written to"
    return "the server must be reachable, and its user must be allowed to create tables"
