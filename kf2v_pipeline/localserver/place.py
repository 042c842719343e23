"""How others find a server: the locks and the record in its directory, and its own routes. It serves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LIFE_LOCK = "server.lock"
"""A server of this directory holds it as long as it lives."""

START_LOCK = "start.lock"
"""Whoever starts or stops a server of this directory holds it."""

_RECORD = "server.json"


class ServerError(Exception):
    """The local server can't start or can't be reached. Its text is one sentence for a person."""


def make_directory(directory: Path) -> None:
    """Make sure that it exists.

    Raises:
        ServerError: It can't be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServerError(f"The directory {directory} can't be used: {error.strerror}.") from error


def read_record(directory: Path) -> dict[str, Any] | None:
    """What the directory's last server wrote of itself; None if none did."""
    try:
        record = json.loads((directory / _RECORD).read_text(encoding="utf-8"))
        return record if isinstance(record, dict) and isinstance(record.get("port"), int) else None
    except (OSError, ValueError):
        return None


def write_record(directory: Path, record: dict[str, Any]) -> None:
    """Leave word of a server, whole or not at all."""
    part_path = directory / f"{_RECORD}.part"
    part_path.write_text(json.dumps(record), encoding="utf-8")
    part_path.replace(directory / _RECORD)


def own_url(base_url: str, name: str) -> str:
    """Address of one of a server's own routes, for who started it and for tests."""
    return f"{base_url.rpartition('/api/')[0]}/_server/{name}"
