"""Reading a manifest's file: its text, its address, and what is of no use."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path

import fsspec
import pytest
from unit.storage.written_manifest import HEADER, read, refusal, sole_problem

from kf2v_pipeline.errors import ManifestError
from kf2v_pipeline.storage.manifest import Row, read_manifest


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
