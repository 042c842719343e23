"""Any table that is written as a manifest reads back the same, in each of the three formats."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from io import BytesIO, StringIO
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from kf2v_pipeline.storage.manifest import Manifest, Row, read_manifest

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)
NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True)
PLACE = st.from_regex(r"[A-Za-z0-9./é %,\"-]{1,40}", fullmatch=True).map(str.strip).filter(bool)


def tables(carried: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Valid manifests as lists of cells by column; ``carried`` makes the values of two columns that are not ours."""
    row = st.fixed_dictionaries(
        {
            "clip_id": NAME,
            "first_frame": PLACE,
            "last_frame": PLACE,
            "prompt": st.none() | TEXT,
            "negative_prompt": st.none() | TEXT,
            "model": st.none() | NAME,
            "resolution": st.none() | st.sampled_from(["480P", "720P", "1080P"]),
            "seed": st.none() | st.integers(0, 2**31 - 1),
            "duration": st.none() | st.integers(1, 15),
            "prompt_extend": st.none() | st.booleans(),
            "watermark": st.none() | st.booleans(),
            "template": st.none() | NAME,
            "service": st.none() | NAME,
            "shot": carried,
            "Notiz, ÄÖ": carried,
        }
    )
    return st.lists(row, min_size=1, max_size=8, unique_by=lambda cells: cells["clip_id"])


def expected_rows(table: Sequence[dict[str, Any]]) -> tuple[Row, ...]:
    rows = []
    for number, cells in enumerate(table, start=1):
        carried = {name: cells[name] for name in ("shot", "Notiz, ÄÖ")}
        ours = {name: cell for name, cell in cells.items() if name not in carried}
        ours["duration_s"] = ours.pop("duration")
        rows.append(Row(row=number, **ours, carried=carried))
    return tuple(rows)


def as_csv(table: list[dict[str, Any]]) -> bytes:
    file = StringIO(newline="")
    writer = csv.DictWriter(file, list(table[0]))
    writer.writeheader()
    writer.writerows(table)
    return file.getvalue().encode()


def as_json_lines(table: list[dict[str, Any]], *, ascii_only: bool) -> bytes:
    return "\n".join(json.dumps(cells, ensure_ascii=ascii_only) for cells in table).encode()


def as_parquet(table: list[dict[str, Any]]) -> bytes:
    file = BytesIO()
    pq.write_table(pa.Table.from_pylist(table), file)
    return file.getvalue()


def read_back(content: bytes, name: str) -> Manifest:
    fsspec.filesystem("memory").pipe_file(f"/round/{name}", content)
    return read_manifest(f"memory://round/{name}")


ROUND_TRIP = settings(max_examples=60)


@ROUND_TRIP
@given(tables(st.none() | TEXT))
def test_a_table_written_as_csv_reads_back_the_same(table: list[dict[str, Any]]) -> None:
    manifest = read_back(as_csv(table), "m.csv")
    assert (manifest.rows, manifest.problems) == (expected_rows(table), ())


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@ROUND_TRIP
@given(tables(JSON_VALUES), st.booleans())
def test_a_table_written_as_json_lines_reads_back_the_same(table: list[dict[str, Any]], ascii_only: bool) -> None:
    manifest = read_back(as_json_lines(table, ascii_only=ascii_only), "m.jsonl")
    assert (manifest.rows, manifest.problems) == (expected_rows(table), ())


@ROUND_TRIP
@given(st.one_of(tables(st.none() | kind) for kind in (TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1))))
def test_a_table_written_as_parquet_reads_back_the_same(table: list[dict[str, Any]]) -> None:
    manifest = read_back(as_parquet(table), "m.parquet")
    assert (manifest.rows, manifest.problems) == (expected_rows(table), ())


BAD_CELLS = {"clip_id": "../x", "first_frame": "", "seed": "-1", "watermark": "maybe", "last_frame": " "}


@ROUND_TRIP
@given(tables(st.none() | TEXT), st.data())
def test_bad_rows_never_stop_good_ones(table: list[dict[str, Any]], data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.integers(1, len(table))))
    for cells in table:
        cells["template"] = None
    broken = []
    for number, cells in enumerate(table, start=1):
        column = data.draw(st.sampled_from(sorted(BAD_CELLS)))
        broken.append(cells | {column: BAD_CELLS[column]} if number in bad else cells)
    manifest = read_back(as_csv(broken), "bad.csv")
    assert manifest.rows == tuple(row for row in expected_rows(table) if row.row not in bad)
    assert {problem.row for problem in manifest.problems} == bad
