"""Reading manifests: the three formats, what is wrong with files and rows, and what is carried along."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from decimal import Decimal
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.errors import ManifestError
from kf2v_pipeline.storage.manifest import Manifest, Row, read_manifest

HEADER = "clip_id,first_frame,last_frame"


def read(folder: Path, content: str | bytes, name: str = "m.csv") -> Manifest:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_manifest(str(path))


def refusal(folder: Path, content: str | bytes, name: str = "m.csv") -> str:
    with pytest.raises(ManifestError) as refused:
        read(folder, content, name)
    assert "\n" not in str(refused.value)
    assert str(folder) in str(refused.value)
    return str(refused.value)


def sole_problem(manifest: Manifest) -> Problem:
    (problem,) = manifest.problems
    return problem


def test_a_row_is_read_as_it_is_written(tmp_path: Path) -> None:
    columns = "prompt,negative_prompt,model,resolution,seed,prompt_extend,watermark,template,service,note"
    cells = 'A "calm" sea,waves,wan2.2-kf2v-flash,480P,7,no,TRUE,,local,take 3'
    quoted = cells.replace('A "calm" sea', '"A ""calm"" sea"')
    manifest = read(tmp_path, f"{HEADER},{columns}\n007,a.png,b.png,{quoted}\n")

    assert manifest.problems == ()
    assert manifest.carried_columns == ("note",)
    assert manifest.rows == (
        Row(
            row=1,
            clip_id="007",
            first_frame="a.png",
            last_frame="b.png",
            prompt='A "calm" sea',
            negative_prompt="waves",
            model="wan2.2-kf2v-flash",
            resolution="480P",
            seed=7,
            prompt_extend=False,
            watermark=True,
            service="local",
            carried={"note": "take 3"},
        ),
    )


def test_words_that_other_readers_take_for_nothing_stay_words(tmp_path: Path) -> None:
    manifest = read(tmp_path, f"{HEADER},prompt,note\nNA,null,nan,None,N/A\n")
    row = manifest.rows[0]
    assert (row.clip_id, row.first_frame, row.last_frame, row.prompt) == ("NA", "null", "nan", "None")
    assert row.carried == {"note": "N/A"}


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbf" + f"{HEADER}\na,x,y\n".encode()).rows[0].clip_id == "a"
    line = '{"clip_id": "a", "first_frame": "x", "last_frame": "y"}'
    assert read(tmp_path, b"\xef\xbb\xbf" + line.encode(), "m.jsonl").rows[0].clip_id == "a"


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_any_line_ending_will_do(tmp_path: Path, ending: str) -> None:
    manifest = read(tmp_path, ending.join([HEADER, "a,x,y", "b,x,y", ""]))
    assert [row.clip_id for row in manifest.rows] == ["a", "b"]


def test_quotes_commas_and_newlines_in_a_prompt_are_kept(tmp_path: Path) -> None:
    prompt = 'first, "slow"\r\nthen\nfast'
    table = StringIO(newline="")
    csv.writer(table).writerows([[*HEADER.split(","), "prompt"], ["a", "x", "y", prompt], ["b", "x", "y", "plain"]])
    manifest = read(tmp_path, table.getvalue())
    assert [row.prompt for row in manifest.rows] == [prompt, "plain"]


def test_empty_lines_count_as_rows_and_are_left_out(tmp_path: Path) -> None:
    manifest = read(tmp_path, f"{HEADER}\na,x,y\n\n,,\nb,x,y\n")
    assert [(row.row, row.clip_id) for row in manifest.rows] == [(1, "a"), (4, "b")]


def test_unnamed_columns_of_a_spreadsheet_are_left_out(tmp_path: Path) -> None:
    manifest = read(tmp_path, f"{HEADER},,\na,x,y,,\nb,x,y,,,,\n")
    assert (len(manifest.rows), manifest.problems, manifest.carried_columns) == (2, (), ())


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("m.csv", "", "it is empty; write a header and a row per clip"),
        ("m.csv", "\ufeff\r\n", "it is empty"),
        ("m.csv", f"{HEADER}\n", "it has no rows; write a row per clip"),
        ("m.jsonl", "\n\n", "it is empty"),
        ("m.txt", "a", "its extension .txt is not known; name it with one of .csv, .jsonl, .ndjson, .parquet"),
        ("m", "a", "it has no extension"),
        ("m.csv", "clip_id,first_frame\na,x\n", "it lacks the required column last_frame; add last_frame"),
        ("m.csv", "a,b\n1,2\n", "lacks the required columns clip_id, first_frame, last_frame; add clip_id, add"),
        (
            "m.csv",
            "Clip-ID,first_frame,lastframe\na,x,y\n",
            "rename Clip-ID to clip_id, rename lastframe to last_frame",
        ),
        ("m.csv", f"{HEADER},prompt,prompt\na,x,y,p,q\n", "it has more than one column prompt; rename or remove one"),
        ("m.csv", '"clip_id,first_frame\na,x\n', "its header can't be read"),
        ("m.jsonl", '{"first_frame": "x", "last_frame": "y"}', "it lacks the required column clip_id"),
        ("m.parquet", "PAR1 and no more", "it is no Parquet file that can be read"),
    ],
)
def test_a_manifest_that_is_of_no_use_is_refused(tmp_path: Path, name: str, content: str, sentence: str) -> None:
    assert sentence in refusal(tmp_path, content, name)


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="there is no such file; correct the path"):
        read_manifest(str(tmp_path / "none.csv"))
    with pytest.raises(ManifestError, match="it is a folder"):
        read_manifest(str(tmp_path))


def test_text_that_is_not_utf_8_is_refused_at_its_line(tmp_path: Path) -> None:
    content = f"{HEADER},prompt\na,x,y,fine\nb,x,y,caf".encode() + b"\xe9\n"
    said = refusal(tmp_path, content)
    assert "not UTF-8 (byte 0xE9 at offset 58, line 3)" in said
    assert 'save it as UTF-8 (in Excel: "CSV UTF-8")' in said


def test_secrets_of_a_manifests_address_are_not_shown() -> None:
    with pytest.raises(ManifestError) as refused:
        read_manifest("http://user:secret@127.0.0.1:1/m.csv?sign=secret")
    assert "secret" not in str(refused.value)


def test_an_address_is_shown_without_secrets_and_kept_for_frames() -> None:
    fsspec.filesystem("memory").pipe_file("/manifests/m.csv", f"{HEADER}\na,x,y\n".encode())
    manifest = read_manifest("memory://manifests/m.csv")
    assert (manifest.url, manifest.base) == ("memory://manifests/m.csv", "memory://manifests/m.csv")
    assert "base=" not in repr(manifest)


def test_a_relative_path_counts_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(tmp_path, f"{HEADER}\na,x,y\n")
    monkeypatch.chdir(tmp_path)
    assert read_manifest("m.csv").base == str(tmp_path / "m.csv")
    assert read_manifest("file://./m.csv").base == str(tmp_path / "m.csv")


@pytest.mark.parametrize("clip_id", ["../x", "a/b", ".hidden", "-x", "a b", "clip\n", "é", "x" * 129, "a\\b"])
def test_a_clip_id_that_could_leave_its_folder_is_refused(tmp_path: Path, clip_id: str) -> None:
    manifest = read(tmp_path, f'{HEADER}\n"{clip_id}",x,y\ngood,x,y\n')
    problem = sole_problem(manifest)
    assert (problem.row, problem.clip_id, problem.column) == (1, clip_id, "clip_id")
    assert problem.fix == "use 1 to 128 letters, digits, '.', '_' or '-', beginning with a letter or digit"
    assert [row.clip_id for row in manifest.rows] == ["good"]


def test_every_later_row_of_the_same_clip_id_is_refused_and_names_the_first(tmp_path: Path) -> None:
    manifest = read(tmp_path, f"{HEADER}\na,x,y\nb,x,y\na,x,z\na,x,w\n")
    assert [(row.row, row.clip_id) for row in manifest.rows] == [(1, "a"), (2, "b")]
    assert [(problem.row, problem.what) for problem in manifest.problems] == [
        (3, "a is the name of row 1 too"),
        (4, "a is the name of row 1 too"),
    ]


@pytest.mark.parametrize(
    ("column", "cell", "what"),
    [
        ("seed", "-1", "'-1' can't be a seed"),
        ("seed", "2147483648", "'2147483648' can't be a seed"),
        ("seed", "1.5", "'1.5' can't be a seed"),
        ("seed", "1_000", "'1_000' can't be a seed"),
        ("seed", "٤٢", "'٤٢' can't be a seed"),
        ("seed", "9" * 5000, "can't be a seed"),
        ("duration", "0", "'0' can't be a length in seconds"),
        ("duration", "5s", "'5s' can't be a length in seconds"),
        ("duration", "2.5", "'2.5' can't be a length in seconds"),
        ("prompt_extend", "maybe", "'maybe' is neither true nor false"),
        ("watermark", "2", "'2' is neither true nor false"),
        ("clip_id", "", "it is empty"),
        ("first_frame", " ", "it is empty"),
        ("last_frame", "", "it is empty"),
    ],
)
def test_a_cell_without_meaning_is_refused(tmp_path: Path, column: str, cell: str, what: str) -> None:
    cells = {"clip_id": "bad", "first_frame": "x", "last_frame": "y", "seed": "", "prompt_extend": "", "watermark": ""}
    cells |= {"duration": "", column: cell}
    manifest = read(tmp_path, f"{','.join(cells)}\n{','.join(cells.values())}\ngood,x,y,0,,,\n")
    problem = sole_problem(manifest)
    assert (problem.row, problem.column, problem.blocking) == (1, column, True)
    assert what in problem.what
    assert problem.fix
    assert [row.clip_id for row in manifest.rows] == ["good"]


@pytest.mark.parametrize(("cell", "seed"), [("0", 0), (" 7 ", 7), ("2147483647", 2147483647), ("42.0", 42)])
def test_a_seed_may_be_anything_that_the_service_takes(tmp_path: Path, cell: str, seed: int) -> None:
    assert read(tmp_path, f"{HEADER},seed\na,x,y,{cell}\n").rows[0].seed == seed


@pytest.mark.parametrize(("cell", "duration_s"), [("5", 5), (" 15 ", 15), ("2.0", 2), ("", None)])
def test_a_length_is_in_whole_seconds(tmp_path: Path, cell: str, duration_s: int | None) -> None:
    assert read(tmp_path, f"{HEADER},duration\na,x,y,{cell}\n").rows[0].duration_s == duration_s


def test_a_signed_address_in_a_wrong_column_is_not_repeated(tmp_path: Path) -> None:
    signed = "https://host/a.png?Signature=s3cret"
    manifest = read(tmp_path, f"clip_id,first_frame,last_frame,seed\n{signed},x,y,{signed}\n")
    assert [problem.column for problem in manifest.problems] == ["clip_id", "seed"]
    assert "https://host/a.png" in str(manifest.problems[1])
    assert "s3cret" not in f"{manifest.problems}"


@pytest.mark.parametrize(
    ("cell", "flag"),
    [("true", True), ("TRUE", True), ("1", True), ("Yes", True), ("false", False), ("0", False), ("no", False)],
)
def test_true_and_false_may_be_written_as_people_do(tmp_path: Path, cell: str, flag: bool) -> None:
    assert read(tmp_path, f"{HEADER},watermark\na,x,y,{cell}\n").rows[0].watermark is flag


def test_a_row_with_a_template_needs_no_last_frame(tmp_path: Path) -> None:
    manifest = read(tmp_path, f"{HEADER},template\na,x,,hanfu-1\n")
    assert (manifest.rows[0].last_frame, manifest.rows[0].template) == (None, "hanfu-1")


def test_all_problems_of_a_row_are_told_at_once(tmp_path: Path) -> None:
    manifest = read(tmp_path, f"{HEADER},seed,watermark\n/etc,,y,-1,maybe\n")
    assert [problem.column for problem in manifest.problems] == ["clip_id", "first_frame", "seed", "watermark"]
    assert str(manifest.problems[2]) == (
        "Row 1 (/etc), column seed: '-1' can't be a seed; write a whole number from 0 to 2147483647, or leave it empty."
    )


@pytest.mark.parametrize(
    "line",
    ["bad,x", "bad,x,y,z", 'bad,"x"y,z', 'bad,"x,y', '"bad', '"bad,x,y'],
)
def test_a_line_that_is_not_a_row_stops_no_other(tmp_path: Path, line: str) -> None:
    good = "".join(f'"c{number}","x, y",z\n' for number in range(3))
    manifest = read(tmp_path, f"{HEADER}\nfirst,x,y\n{line}\n{good}")
    problem = sole_problem(manifest)
    assert (problem.row, problem.column) == (2, "(whole row)")
    assert [row.clip_id for row in manifest.rows] == ["first", "c0", "c1", "c2"]


def test_an_open_quote_before_more_text_than_a_cell_may_have_stops_no_other_row(tmp_path: Path) -> None:
    good = "".join(f"c{number},x,{'y' * 100}\n" for number in range(2000))
    manifest = read(tmp_path, f'{HEADER}\nbad,"x,y\n{good}')
    assert sole_problem(manifest).row == 1
    assert len(manifest.rows) == 2000


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


# Aspect and fit


def test_an_aspect_is_kept_in_its_lowest_terms(tmp_path: Path) -> None:
    manifest = read(tmp_path, f"{HEADER},aspect,fit\na,x,y,1080:1920,Blur\nb,x,y,First_Frame,\nc,x,y,,\n")
    assert [(row.aspect, row.fit) for row in manifest.rows] == [("9:16", "blur"), ("first_frame", None), (None, None)]


@pytest.mark.parametrize(
    ("aspect", "fit", "sentence"),
    [
        ("9x16", "", "aspect: '9x16' is no aspect; write it as W:H, such as 9:16, in whole numbers of at most 100"),
        ("0:1", "", "aspect: '0:1' is no aspect"),
        ("9:16", "stretch", "fit: 'stretch' is no fit; write crop, pad, blur, or leave it empty"),
    ],
)
def test_what_is_no_aspect_or_fit_sets_its_row_aside_alone(
    tmp_path: Path, aspect: str, fit: str, sentence: str
) -> None:
    manifest = read(tmp_path, f"{HEADER},aspect,fit\na,x,y,{aspect},{fit}\nb,x,y,,\n")
    assert [row.clip_id for row in manifest.rows] == ["b"]
    assert sentence in str(manifest.problems[0])


def test_a_misspelt_aspect_is_a_warning(tmp_path: Path) -> None:
    manifest = read(tmp_path, f"{HEADER},aspekt\na,x,y,9:16\n")
    assert len(manifest.rows) == 1
    assert "close to aspect" in str(manifest.problems[0])
