"""Replies as the service would write them, for the tests of the wire format."""

import json
from datetime import datetime, timezone

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=timezone.utc)


def at(*fields: int) -> datetime:
    return datetime(*fields, tzinfo=timezone.utc)


def body(document: object) -> bytes:
    return json.dumps(document).encode()
