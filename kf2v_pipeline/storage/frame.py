"""Frames that were looked at before, so that planning need not look again. Looking at pictures is ``media``'s work."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from kf2v_pipeline.domain.clip import Frame
from kf2v_pipeline.storage import schema
from kf2v_pipeline.storage.database import Database, Lock, chunks

_SCAN = 3
"""How many rows are read in the time that it takes to find one."""

_FIELDS = tuple(field.name for field in fields(Frame) if field.name != "sealed")


class KnownFrames(Database):
    """The ledger's frames."""

    def known_frames(self, tokens: Mapping[str, str]) -> dict[str, Frame]:
        """The frames that were remembered with the same token, by location.

        Args:
            tokens: What a file shows of itself without being read, such as its size and time, by location.
        """
        locations = {_digest(location): location for location in tokens}
        found: dict[str, Frame] = {}
        with self._read() as connection:
            for digest, token, *values in _rows(connection, locations):
                location = locations.get(digest)
                if location is not None and token == tokens[location]:
                    found[location] = Frame(**dict(zip(_FIELDS, values, strict=True)))
        return found

    def remember_frames(self, frames: Mapping[str, tuple[str, Frame]]) -> None:
        """Remembers frames with their tokens, by location, in the place of what was known of them.

        Raises:
            ValueError: An address holds more than may be kept.
        """
        if any(frame.seal() is not frame for _, frame in frames.values()):
            raise ValueError("an address with a secret in it can't be remembered")
        rows = [
            {"location_sha256": _digest(location), "token": token, **{name: getattr(frame, name) for name in _FIELDS}}
            for location, (token, frame) in frames.items()
        ]
        with self._write(Lock.WANTED) as connection:
            for chunk in chunks(rows):
                digests = [row["location_sha256"] for row in chunk]
                connection.execute(delete(schema.frame).where(schema.frame.c.location_sha256.in_(digests)))
                connection.execute(insert(schema.frame), chunk)


def _rows(connection: Connection, digests: Collection[str]) -> Iterator[Any]:
    """The rows of these digests, and others too where reading the whole table is the shorter way."""
    table = schema.frame.c
    query = select(table.location_sha256, table.token, *(table[name] for name in _FIELDS))
    count = connection.scalar(select(func.count()).select_from(schema.frame)) or 0
    if count <= _SCAN * len(digests):
        yield from connection.execute(query)
        return
    for chunk in chunks(digests):
        yield from connection.execute(query.where(table.location_sha256.in_(chunk)))


def _digest(location: str) -> str:
    return hashlib.sha256(location.encode("utf-8", "surrogatepass")).hexdigest()
