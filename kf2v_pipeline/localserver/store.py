"""What survives a restart: tasks, creates, uploads and the secret, in one SQLite file. It decides nothing."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from .task import Task

SCHEMA = """
create table if not exists task (task_id text primary key, record text not null);
create table if not exists entry (number integer primary key, task_id text, record text not null);
create index if not exists entry_of_task on entry (task_id);
create table if not exists upload (key text primary key, model text not null, created_at text not null);
create table if not exists meta (name text primary key, value text not null);
"""

MOST_ENTRIES = 20_000
"""Creates that are remembered; the oldest go first."""


class Store:
    """One open SQLite file; used by one thread.

    Writes survive the death of the process, not of the machine: nothing here is worth a disk flush per call.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("pragma journal_mode=wal")
        self._connection.execute("pragma synchronous=normal")
        self._connection.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def put_task(self, task: Task) -> None:
        """Write a task down, new or changed."""
        record = json.dumps(task.to_record(), ensure_ascii=False)
        self._connection.execute("insert or replace into task values (?, ?)", (task.task_id, record))

    def drop_task(self, task_id: str) -> None:
        """Forget a task."""
        self._connection.execute("delete from task where task_id = ?", (task_id,))

    def tasks(self) -> Iterator[Task]:
        """Every task that is written down."""
        for (record,) in self._connection.execute("select record from task"):
            yield Task.from_record(json.loads(record))

    def put_entry(self, task_id: str | None, record: dict[str, Any]) -> None:
        """Write down one create and its reply."""
        text = json.dumps(record, ensure_ascii=False)
        cursor = self._connection.execute("insert into entry (task_id, record) values (?, ?)", (task_id, text))
        self._connection.execute("delete from entry where number <= ?", ((cursor.lastrowid or 0) - MOST_ENTRIES,))

    def close_entry(self, task_id: str, fate: dict[str, Any]) -> None:
        """Add the fate of a task that will be forgotten to the create that made it."""
        row = self._connection.execute("select record from entry where task_id = ?", (task_id,)).fetchone()
        if row:
            record = json.dumps({**json.loads(row[0]), **fate}, ensure_ascii=False)
            self._connection.execute("update entry set record = ? where task_id = ?", (record, task_id))

    def entries(self) -> list[dict[str, Any]]:
        """The creates, oldest first."""
        return [
            json.loads(record) for (record,) in self._connection.execute("select record from entry order by number")
        ]

    def put_upload(self, key: str, model: str, created_at: datetime) -> None:
        """Write down one uploaded file."""
        self._connection.execute("insert into upload values (?, ?, ?)", (key, model, created_at.isoformat()))

    def upload(self, key: str) -> tuple[str, datetime] | None:
        """Model and instant of one uploaded file."""
        row = self._connection.execute("select model, created_at from upload where key = ?", (key,)).fetchone()
        return (row[0], datetime.fromisoformat(row[1])) if row else None

    def drop_uploads(self, before: datetime) -> list[str]:
        """Forget the uploads that are older; their keys."""
        gone = (before.isoformat(),)
        keys = [key for (key,) in self._connection.execute("select key from upload where created_at < ?", gone)]
        self._connection.execute("delete from upload where created_at < ?", gone)
        return keys

    def secret(self) -> bytes:
        """The key of this directory's signatures, drawn at its first use."""
        self._connection.execute("insert or ignore into meta values ('secret', ?)", (secrets.token_hex(32),))
        (value,) = self._connection.execute("select value from meta where name = 'secret'").fetchone()
        return bytes.fromhex(value)
