"""What the gallery's page is told of its clips, as compact data: pure text from rows.

The page's script builds every element from it and sets all of it as text, so nothing here is markup; ``script_text``
alone sees to it that no value ends the script that carries it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from kf2v_pipeline.domain.quality import FIELDS as QUALITIES
from kf2v_pipeline.storage.layout import first_frame_path, last_frame_path, loop_path, poster_path, strip_path
from kf2v_pipeline.storage.tables import VIDEOS_SCHEMA

Row = Mapping[str, Any]

PICTURES = (poster_path, strip_path, loop_path, first_frame_path, last_frame_path)
"""The small pictures that a clip may have; in the page's data each is one bit, in this order."""

_LEFT_OUT = frozenset({"file_name", "first_frame_path", "last_frame_path"})
_FRAMES = {"first_frame": "first_frame_path", "last_frame": "last_frame_path"}
_TITLE = "title"
"""A carried column of this name is a card's headline; without it the clip_id is."""

_OURS = frozenset(VIDEOS_SCHEMA.names)
_QUALITY = {f"quality_{name}": name for name in QUALITIES}


def chunk_script(rows: Sequence[Row], pictures: Collection[str]) -> str:
    """The file that brings some clips to the page: a call with what they share, the names of the rest, and its values.

    Args:
        rows: Of the videos table.
        pictures: The paths of all small pictures that the store has.
    """
    records = [clip_record(row, pictures) for row in rows]
    names = list(dict.fromkeys(name for record in records for name in record))
    same = {name: records[0][name] for name in names if _is_shared(name, records)}
    keys = [name for name in names if name not in same]
    values = [[record.get(name) for name in keys] for record in records]
    return f"kf2v({script_text({'same': same, 'keys': keys, 'rows': values})});\n"


def clip_record(row: Row, pictures: Collection[str]) -> dict[str, Any]:
    """What the page is told of one clip: the row's values that say something, and which small pictures there are.

    The page may go to a client, so the folders of the machine that made it stay out.
    """
    record: dict[str, Any] = {"pictures": _bits(row, pictures)}
    more: dict[str, Any] = {}
    quality: dict[str, Any] = {}
    for name, value in row.items():
        plain = _plain(value)
        if plain is None or name in _LEFT_OUT:
            continue
        if name in _QUALITY:
            quality[_QUALITY[name]] = plain
        elif name in _OURS or (name == _TITLE and isinstance(value, str)):
            record[name] = plain
        else:
            more[name] = plain
    record |= {name: _file_name(row[column]) for name, column in _FRAMES.items() if row.get(column)}
    return record | ({"more": more} if more else {}) | ({"quality": quality} if quality else {})


def script_text(value: object) -> str:
    """A value as JSON that may stand in a script, also inside a page: it can't end the script or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text.encode("utf-8", "replace").decode()


def flaw_names(rows: Iterable[Row]) -> Iterable[tuple[str, ...]]:
    """The names of the checks that each measured clip did not pass."""
    return (tuple(filter(None, row["flaws"].split(","))) for row in rows if row.get("flaws") is not None)


def _bits(row: Row, pictures: Collection[str]) -> int:
    key = (row["clip_id"], row["fingerprint"])
    return sum(1 << bit for bit, path in enumerate(PICTURES) if path(*key) in pictures)


def _is_shared(name: str, records: Sequence[Mapping[str, Any]]) -> bool:
    first = records[0].get(name)
    return all(name in record and record[name] == first and type(record[name]) is type(first) for record in records)


def _plain(value: Any) -> Any:
    """A value as JSON has it; None for what says nothing."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _file_name(location: str) -> str:
    return location.replace("\\", "/").rpartition("/")[2]
