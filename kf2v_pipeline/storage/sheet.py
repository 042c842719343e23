"""Reads a table file (CSV, JSON Lines, Parquet) into raw rows. What the columns mean belongs to ``manifest``."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from io import StringIO
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it ships no types

from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.errors import ManifestError

WHOLE_ROW = "(whole row)"
"""What stands for the column in a problem of a row that could not be read."""


@dataclass(kw_only=True)
class Sheet:
    """A table file as it is written.

    Attributes:
        columns: In the order in which they first appear.
        rows: Values by column, by row number counted from 1 without the header. What a row lacks is absent or None.
        problems: Rows that could not be read, and so are not in ``rows``.
    """

    columns: list[str] = field(default_factory=list)
    rows: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, row: int, what: str, fix: str, clip_id: str | None = None) -> None:
        """Notes a row that can't be read."""
        self.problems.append(Problem(row=row, clip_id=clip_id, column=WHOLE_ROW, what=what, fix=fix))


def read_sheet(content: bytes, suffix: str, url: str) -> Sheet:
    """The file's rows.

    Args:
        content: The whole file.
        suffix: The extension of its name, with the dot.
        url: Its address for errors, without secrets.

    Raises:
        ManifestError: The file as a whole can't be read: extension, encoding, header, Parquet's structure.
    """
    reader = _READERS.get(suffix.lower())
    if reader is None:
        kind = f"its extension {suffix} is not known" if suffix else "it has no extension"
        raise ManifestError(url, kind, f"name it with one of {', '.join(_READERS)}")
    if not content.strip(b"\xef\xbb\xbf \t\r\n"):
        raise ManifestError(url, "it is empty", "write a header and a row per clip")
    return reader(content, url)


def _decode(content: bytes, url: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = f"it is not UTF-8 (byte 0x{content[error.start]:02X} at offset {error.start:,}, line {line:,})"
        raise ManifestError(url, what, 'save it as UTF-8 (in Excel: "CSV UTF-8")') from None


def _read_csv(content: bytes, url: str) -> Sheet:
    records = _csv_records(_decode(content, url))
    header = next(record for record in records if record)
    if isinstance(header, csv.Error):
        raise ManifestError(url, f"its header can't be read ({header})", "close every quote in the first line")
    names = [name.strip() for name in header]
    _refuse_repeated(names, url)
    sheet = Sheet(columns=[name for name in names if name])
    for row, cells in enumerate(records, start=1):
        if isinstance(cells, csv.Error):
            mend = 'check its quotes: close each, and write a quote in a cell as ""'
            sheet.refuse(row, f"it can't be read as CSV ({cells})", mend)
        elif any(cells):
            if len(cells) < len(names) or any(cells[len(names) :]):
                clip_id = dict(zip(names, cells, strict=False)).get("clip_id")
                what = f"it has {len(cells)} cells where the header has {len(names)}"
                sheet.refuse(row, what, "write a cell per column, and quote cells that hold a comma", clip_id or None)
            else:
                sheet.rows[row] = {name: cell or None for name, cell in zip(names, cells, strict=False) if name}
    return sheet


def _csv_records(text: str) -> Iterator[list[str] | csv.Error]:
    """The records; an error stands for the line in which a broken one begins, so that the next line is read again."""
    lines = StringIO(text, newline="").readlines()
    following = 0

    def feed() -> Iterator[str]:
        nonlocal following
        while following < len(lines):
            following += 1
            yield lines[following - 1]

    reader = csv.reader(feed(), strict=True)
    while following < len(lines):
        first = following
        try:
            record = next(reader)
        except csv.Error as error:
            following = first + 1
            reader = csv.reader(feed(), strict=True)
            yield error
        else:
            yield record


def _read_json_lines(content: bytes, url: str) -> Sheet:
    sheet = Sheet()
    columns: dict[str, None] = {}
    # Not splitlines(): a JSON string may hold U+2028 and other line ends of Unicode.
    for row, line in enumerate(_decode(content, url).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            if "\\u" in line:
                json.dumps(values, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(error.object[error.start]):04x}"
            sheet.refuse(row, f"it holds half of a character ({half})", "write both halves of it, or remove it")
            continue
        except (ValueError, RecursionError) as error:
            sheet.refuse(row, f"the line is no JSON ({error})", "write one JSON object per line")
            continue
        if not isinstance(values, dict):
            sheet.refuse(row, "the line is no JSON object", 'write it as {"clip_id": …}')
            continue
        columns.update(dict.fromkeys(name for name in values if name))
        sheet.rows[row] = _json_value(values)
    sheet.columns = list(columns)
    return sheet


def _read_parquet(content: bytes, url: str) -> Sheet:
    try:
        table = pq.read_table(pa.BufferReader(content))
        _refuse_repeated(table.column_names, url)
        rows = table.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        words = str(error).splitlines()[0].rstrip(".")
        raise ManifestError(url, f"it is no Parquet file that can be read ({words})", "write it again") from None
    return Sheet(
        columns=[
            name for name in table.column_names if name and not name.startswith("__index_level_")
        ],  # pandas' index
        rows={row: _json_value(values) for row, values in enumerate(rows, start=1)},
    )


def _refuse_repeated(names: list[str], url: str) -> None:
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise ManifestError(url, f"it has more than one column {', '.join(repeated)}", "rename or remove one")


def _json_value(value: Any) -> Any:
    """The value as JSON knows it: instants become ISO 8601 text, and numbers that are none become None."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _json_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(inner) for inner in value]
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


_READERS: Mapping[str, Callable[[bytes, str], Sheet]] = {
    ".csv": _read_csv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
}
