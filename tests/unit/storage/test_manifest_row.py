"""Rows of a manifest: what their cells mean, and what sets one aside."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.storage.written_manifest import HEADER, read, sole_problem


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
