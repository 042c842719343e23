"""Columns of a manifest that hold values of JSON or Parquet, are carried along, or are misspelt."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from unit.storage.written_manifest import HEADER, read, sole_problem

from kf2v_pipeline.storage.manifest import read_manifest


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"clip_id": "b", ', "the line is no JSON"),
        ("[1, 2]", "the line is no JSON object"),
        ("[" * 100_000, "the line is no JSON"),
        ('{"clip_id": "b", "prompt": "\\ud800"}', "it holds half of a character (\\ud800)"),
        ('{"clip_id": "b", "tags": [{"note": "x\\udc00"}]}', "it holds half of a character (\\udc00)"),
        ('{"clip_id": "b", "\\ud83d": 1}', "it holds half of a character (\\ud83d)"),
    ],
)
def test_a_json_line_that_cannot_be_read_stops_no_other(tmp_path: Path, line: str, what: str) -> None:
    good = '{"clip_id": "%s", "first_frame": "x", "last_frame": "y"}\n'
    manifest = read(tmp_path, f"{good % 'a'}{line}\n{good % 'c'}", "m.jsonl")
    problem = sole_problem(manifest)
    assert (problem.row, problem.column) == (2, "(whole row)")
    assert what in problem.what
    assert [(row.row, row.clip_id) for row in manifest.rows] == [(1, "a"), (3, "c")]


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ({"clip_id": ["a"]}, "clip_id"),
        ({"clip_id": True}, "clip_id"),
        ({"clip_id": 1.5}, "clip_id"),
        ({"prompt": {"en": "x"}}, "prompt"),
        ({"prompt": "a\0b"}, "prompt"),
        ({"first_frame": 7}, "first_frame"),
        ({"seed": True}, "seed"),
        ({"seed": [1]}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"watermark": []}, "watermark"),
    ],
)
def test_a_json_value_of_another_kind_is_refused(tmp_path: Path, cells: dict[str, Any], column: str) -> None:
    line = json.dumps({"clip_id": "a", "first_frame": "x", "last_frame": "y"} | cells)
    problem = sole_problem(read(tmp_path, line, "m.jsonl"))
    assert (problem.row, problem.column) == (1, column)


def test_numbers_and_flags_of_json_are_taken_as_they_are(tmp_path: Path) -> None:
    line = '{"clip_id": 7, "first_frame": "x", "last_frame": "y", "seed": 42.0, "watermark": true, "prompt_extend": 0}'
    row = read(tmp_path, line, "m.jsonl").rows[0]
    assert (row.clip_id, row.seed, row.watermark, row.prompt_extend) == ("7", 42, True, False)


def test_carried_columns_of_json_keep_their_types_and_every_row_has_all(tmp_path: Path) -> None:
    start = '{"first_frame": "x", "last_frame": "y", "clip_id":'
    lines = f'{start} "a", "take": 3, "tags": ["x", {{"y": null}}]}}\n{start} "b", "bad": NaN}}\n'
    manifest = read(tmp_path, lines, "m.jsonl")
    assert manifest.carried_columns == ("take", "tags", "bad")
    assert manifest.rows[0].carried == {"take": 3, "tags": ["x", {"y": None}], "bad": None}
    assert manifest.rows[1].carried == {"take": None, "tags": None, "bad": None}


def test_carried_columns_of_parquet_are_json_values(tmp_path: Path) -> None:
    day = datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc)
    table = pa.table(
        {
            "clip_id": pa.array([7]),
            "first_frame": ["x"],
            "last_frame": pa.array(["y"]).dictionary_encode(),
            "seed": pa.array([42.0]),
            "take": pa.array([3], pa.int8()),
            "price": [Decimal("1.50")],
            "shot_at": [day],
            "tags": [["x", "y"]],
            "ratio": [float("inf")],
        }
    )
    pq.write_table(table, tmp_path / "m.parquet")
    manifest = read_manifest(str(tmp_path / "m.parquet"))
    assert (manifest.rows[0].clip_id, manifest.rows[0].seed) == ("7", 42)
    carried = {"take": 3, "price": "1.50", "shot_at": day.isoformat(), "tags": ["x", "y"], "ratio": None}
    assert manifest.rows[0].carried == carried
    assert json.loads(json.dumps(carried, allow_nan=False)) == carried


def test_a_parquet_file_of_pandas_with_empty_cells_is_read(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"clip_id": ["a", "b"], "first_frame": "x", "last_frame": "y", "seed": [1, None], "watermark": [True, None]}
    )
    frame[frame["clip_id"] != ""].to_parquet(tmp_path / "m.parquet", index=True)
    manifest = read_manifest(str(tmp_path / "m.parquet"))
    assert manifest.problems == ()
    assert [(row.seed, row.watermark) for row in manifest.rows] == [(1, True), (None, None)]
    assert manifest.carried_columns == ()


def test_a_column_whose_name_is_close_to_one_of_ours_is_a_warning(tmp_path: Path) -> None:
    manifest = read(tmp_path, f"{HEADER},promt,Negative Prompt,note\na,x,y,p,q,r\n")
    assert [(problem.column, problem.blocking) for problem in manifest.problems] == [
        ("promt", False),
        ("Negative Prompt", False),
    ]
    assert manifest.rows[0].carried == {"promt": "p", "Negative Prompt": "q", "note": "r"}


def test_a_misspelt_aspect_is_a_warning(tmp_path: Path) -> None:
    manifest = read(tmp_path, f"{HEADER},aspekt\na,x,y,9:16\n")
    assert len(manifest.rows) == 1
    assert "close to aspect" in str(manifest.problems[0])
