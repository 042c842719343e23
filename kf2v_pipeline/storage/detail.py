"""How a fact's detail is written as JSON and read back, by the types of the attempt's fields that it sets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, get_args, get_type_hints

from kf2v_pipeline.domain.attempt import Attempt, Remedy

_READ: Mapping[type, Callable[[str], object]] = {
    datetime: datetime.fromisoformat,
    Decimal: Decimal,
    Remedy: Remedy,
}
_READERS = {
    name: _READ[kind]
    for name, hint in get_type_hints(Attempt).items()
    for kind in get_args(hint) or (hint,)
    if kind in _READ
}


def storable(value: Any) -> Any:
    """The value; a text without what no database takes: NUL, and halves of characters that a cut left behind."""
    if type(value) is not str:
        return value
    return value.replace("\0", "?").encode("utf-8", "replace").decode()


def write_detail(detail: Mapping[str, Any]) -> str:
    """The detail as a JSON object that people can read: instants in ISO 8601, amounts as exact text.

    Raises:
        ValueError: An instant has no zone.
    """
    return json.dumps(dict(detail), default=_plain, sort_keys=True)


def read_detail(text: str) -> dict[str, Any]:
    """The detail that ``write_detail`` wrote."""
    return {
        name: value if value is None or name not in _READERS else _READERS[name](value)
        for name, value in json.loads(text).items()
    }


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"the ledger keeps aware instants, and {value.isoformat()} has no zone")
        return value.astimezone(timezone.utc).isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"a fact's detail can't hold {value!r}")
