"""What a person can get wrong, at the command line: one clear sentence each, no traceback, and nothing lost.

The commands run in this process, since each start of Python and Dagster takes seconds.
"""

from __future__ import annotations

import csv
import io
import json
import os
import socket
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from scenarios import QUICK

from kf2v_pipeline.cli import main
from kf2v_pipeline.command import INCOMPLETE, UNUSABLE
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.localserver.scenario import Scenario

GOOD_ROW = "clip_id,first_frame,last_frame\ngood,first.png,last.png\n"
QUOTED = 'She says "go",\nand the camera goes, naïvely'


def kf2v(*arguments: str | Path, **environment: str) -> Result:
    """What ``kf2v ...`` ends with; an error that got as far as Python's traceback fails the test."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert "Traceback" not in result.output
    return result


def draw(path: Path, size: tuple[int, int] = (640, 360), mode: str = "RGB") -> None:
    Image.linear_gradient("L").resize(size).convert(mode).save(path)


def write_huge_png(path: Path) -> None:
    """A PNG whose header tells of 20000x20000 pixels, in a hundred bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with frames, good and bad, and a good manifest."""
    folder = tmp_path_factory.mktemp("project")
    draw(folder / "first.png")
    draw(folder / "last.png", (641, 361))
    draw(folder / "speck.png", (1, 1))
    draw(folder / "glass.png", mode="RGBA")
    write_huge_png(folder / "huge.png")
    (folder / "text.png").write_text("I am no picture")
    whole = (folder / "first.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "good.csv").write_text(GOOD_ROW)
    return folder


# The manifest as a whole


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("nowhere.csv", None, "there is no such file; correct the path."),
        ("", None, "it is a folder; name a file in it."),
        ("empty.csv", b"", "it is empty; write a header and a row per clip."),
        ("blank.csv", b"\xef\xbb\xbf\r\n\r\n", "it is empty; write a header and a row per clip."),
        ("header.csv", b"clip_id,first_frame,last_frame\n", "it has no rows; write a row per clip."),
        (
            "columns.csv",
            b"clip_id,first_frame,Last Frame\na,first.png,last.png\n",
            "it lacks the required column last_frame; rename Last Frame to last_frame.",
        ),
        (
            "latin.csv",
            GOOD_ROW.replace("good", "süß").encode("latin-1"),
            'it is not UTF-8 (byte 0xFC at offset 32, line 2); save it as UTF-8 (in Excel: "CSV UTF-8").',
        ),
        ("table.xlsx", b"PK", "its extension .xlsx is not known; name it with one of .csv, .jsonl, .ndjson, .parquet."),
        ("broken.parquet", b"PAR1", "it is no Parquet file that can be read"),
    ],
    ids=["missing", "folder", "empty", "blank", "no-rows", "missing-column", "not-utf8", "extension", "parquet"],
)
def test_a_manifest_that_cant_be_used_is_named_with_what_mends_it(
    name: str, content: bytes | None, sentence: str, folder: Path
) -> None:
    manifest = folder / name
    if content is not None:
        manifest.write_bytes(content)

    result = kf2v("run", manifest, "--home", folder / "home-1", "--storage", folder / "out-1")

    assert result.exit_code == UNUSABLE
    assert result.output.startswith(f"Manifest {manifest}: {sentence}")
    assert result.output.count("\n") == 1
    assert not (folder / "out-1").exists()


def test_a_manifest_that_may_not_be_read_is_named_with_what_mends_it(folder: Path) -> None:
    manifest = folder / "secret.csv"
    manifest.write_text(GOOD_ROW)
    manifest.chmod(0)
    if os.access(manifest, os.R_OK):
        pytest.skip("whoever runs the tests may read everything")
    result = kf2v("run", manifest, "--home", folder / "home-1")
    assert result.exit_code == UNUSABLE
    assert result.output.startswith(f"Manifest {manifest}: it may not be read; ")


# Settings


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"--max-spend": "abc"}, "KF2V_MAX_SPEND: abc is no amount of money; write a number such as 12.50."),
        ({"--clip": "nobody"}, "--clip: no good row of the manifest has the clip_id nobody; check the name."),
        (
            {"--service": "nonsense"},
            "KF2V_SERVICE: no service is called 'nonsense'; use beijing, local, singapore, or a base URL.",
        ),
        (
            {"--service": "singapore"},
            "DASHSCOPE_API_KEY: the service singapore needs an API key; set DASHSCOPE_API_KEY, or use the local "
            "service.",
        ),
        (
            {"--ledger": "nonsense://"},
            "The ledger can't live in nonsense: use an address that begins with sqlite:/// or postgresql://.",
        ),
        (
            {"--ledger": "sqlite:///{file}/ledger.db"},
            "The ledger sqlite:///{file}/ledger.db can't be opened: File exists; it must be a file in a directory that "
            "can be written to.",
        ),
        (
            {"--storage": "{file}/out"},
            "Storage {file}/out: Not a directory; a file is where a folder is needed: move it away, or choose another "
            "place with --storage (KF2V_STORAGE).",
        ),
        (
            {"--storage": "nonsense://bucket"},
            "Storage nonsense://bucket: Protocol not known: nonsense; use a path or a URL that fsspec knows, such as "
            "s3://….",
        ),
        (
            {"--home": "{file}/home"},
            "KF2V_HOME: {file}/home/dagster/dagster.yaml can't be written (Not a directory); choose a folder that can "
            "be written to, with --home.",
        ),
    ],
    ids=[
        "no-amount",
        "unknown-clip",
        "unknown-service",
        "no-key",
        "unknown-ledger",
        "ledger-below-a-file",
        "storage-below-a-file",
        "unknown-storage",
        "home-below-a-file",
    ],
)
def test_a_setting_that_cant_be_used_is_named_with_what_mends_it(
    flags: dict[str, str], sentence: str, folder: Path
) -> None:
    file = folder / "good.csv"
    places = {"--home": str(folder / "home-2"), "--storage": str(folder / "out-2"), "--service": "http://127.0.0.1:9"}
    given = places | {name: value.format(file=file) for name, value in flags.items()}

    result = kf2v("run", file, *(part for pair in given.items() for part in pair))

    assert (result.exit_code, result.output) == (UNUSABLE, sentence.format(file=file) + "\n")


def test_an_unknown_setting_is_refused_with_the_nearest_one(folder: Path) -> None:
    result = kf2v("run", folder / "good.csv", KF2V_STORAG="somewhere")
    assert (result.exit_code, result.output) == (
        UNUSABLE,
        "KF2V_STORAG: there is no such setting; perhaps KF2V_STORAGE is meant.\n",
    )


def test_a_plan_refuses_an_unknown_clip_as_a_run_does(folder: Path) -> None:
    result = kf2v("plan", folder / "good.csv", "--clip", "nobody", "--home", folder / "home-2")
    assert result.exit_code == UNUSABLE
    assert result.output == "--clip: no good row of the manifest has the clip_id nobody; check the name.\n"


def test_a_local_server_that_cant_start_is_a_sentence(folder: Path) -> None:
    home = folder / "home-3"
    home.mkdir()
    (home / "server").write_text("in the way")

    result = kf2v("run", folder / "good.csv", "--home", home, "--storage", folder / "out-3")

    assert result.exit_code == UNUSABLE
    assert result.output == f"The directory {home / 'server'} can't be used: File exists.\n"


def test_a_service_that_nobody_answers_for_ends_the_run_and_leaves_the_clip_planned(folder: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, but it does not listen
        service = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        places = ("--home", folder / "home-4", "--storage", folder / "out-4")

        result = kf2v("run", folder / "good.csv", "--service", service, *places, "--json")

    assert result.exit_code == INCOMPLETE
    report = report_of(result)
    assert (report["left"], report["failed"], report["created_tasks"]) == (1, 0, 0)
    stopped = "no connection could be made for 10 s; check KF2V_SERVICE and the network, and run again."
    assert report["notices"][-1] == f"Lane {service}/wan2.2-kf2v-flash stopped: {stopped}"
    assert json.loads(kf2v("status", *places, "--json").output)["planned"] == 1


# Rows

BAD_ROWS: dict[str, tuple[dict[str, str], str]] = {
    "repeated-id": (
        {"clip_id": "good"},
        "column clip_id: good is the name of row 1 too; give each clip its own name.",
    ),
    "path-traversal": (
        {"clip_id": "../../escape"},
        "column clip_id: '../../escape' can't name a clip; use 1 to 128 letters, digits, '.', '_' or "
        "'-', beginning with a letter or digit.",
    ),
    "missing-frame": (
        {"first_frame": "none.png"},
        "column first_frame: {folder}/none.png: there is no such file; correct the path.",
    ),
    "text-as-png": (
        {"last_frame": "text.png"},
        "column last_frame: {folder}/text.png: it is text and no picture; save it as a JPEG, PNG, BMP or WEBP picture.",
    ),
    "truncated-png": (
        {"first_frame": "cut.png"},
        "column first_frame: {folder}/cut.png: the PNG is damaged or cut off",
    ),
    "one-pixel": (
        {"first_frame": "speck.png"},
        "column first_frame: {folder}/speck.png: it is 1x1 px, and each side must have 240 to 8000; use a larger "
        "picture.",
    ),
    "giant-header": (
        {"last_frame": "huge.png"},
        "column last_frame: {folder}/huge.png: it is 20000x20000 px, and each side must have 240 to 8000; scale it "
        "down.",
    ),
    "alpha": (
        {"first_frame": "glass.png"},
        "column first_frame: {folder}/glass.png: it has an alpha channel or transparent pixels, which the service "
        "refuses; flatten it on a background.",
    ),
    "long-prompt": (
        {"prompt": "x" * 801},
        "column prompt: it has 801 characters, and wan2.2-kf2v-flash cuts off all beyond 800 in silence; shorten it "
        "by 1.",
    ),
    "unknown-model": (
        {"model": "wan2.2-kf2v-flsh"},
        "column model: wan2.2-kf2v-flsh is not offered by {service}; use one of wan2.2-kf2v-flash, "
        "wanx2.1-kf2v-plus, wan2.7-i2v, wan2.7-i2v-2026-04-25 (nearest: wan2.2-kf2v-flash).",
    ),
    "resolution": (
        {"model": "wanx2.1-kf2v-plus", "resolution": "1080P"},
        "column resolution: wanx2.1-kf2v-plus has no 1080P; use 720P, or leave it empty.",
    ),
    "seed": (
        {"seed": "2147483648"},
        "column seed: '2147483648' can't be a seed; write a whole number from 0 to 2147483647, or leave it empty.",
    ),
    "no-key-for-a-real-service": (
        {"service": "singapore"},
        "column service: the service singapore needs an API key; set DASHSCOPE_API_KEY, or use the local service.",
    ),
}
"""Rows that can't be rendered, by what is wrong with them, with what is said of them behind row and clip_id."""


class Batch:
    """A manifest with good rows and bad ones, run once. It is CSV as Excel writes it: with a BOM and CRLF."""

    columns = ("clip_id", "first_frame", "last_frame", "prompt", "model", "resolution", "seed", "service")

    def __init__(self, folder: Path, server: LocalServer) -> None:
        self.folder = folder
        self.server = server
        self.manifest = folder / "batch.csv"
        self.places = ("--home", folder / "home", "--storage", folder / "out", "--service", server.base_url)
        good = {"first_frame": "first.png", "last_frame": "last.png", "resolution": "480P"}
        self.rows = [
            {**good, "clip_id": "good", "prompt": QUOTED},
            {**good, "clip_id": "refused", "prompt": "Something that is moderated"},
            *({**good, "clip_id": clip_id, "prompt": "Any", **row} for clip_id, (row, _) in BAD_ROWS.items()),
            {**good, "clip_id": "last", "prompt": "The last one"},
        ]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns, restval="", lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(self.rows)
        self.content = text.getvalue().encode("utf-8-sig")
        self.manifest.write_bytes(self.content)
        self.result = self.run()

    def run(self) -> Result:
        return kf2v("run", self.manifest, *self.places, "--json")

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "out" / "tables" / f"{name}.parquet")


@pytest.fixture(scope="module")
def batch(folder: Path) -> Iterator[Batch]:
    refusal = Fault(on="task", kind="fail", match="moderated", code="DataInspectionFailed", message="Not this one.")
    scenario = Scenario(**QUICK, faults=(refusal,))
    with LocalServer(folder / "server", scenario=scenario) as server:
        yield Batch(folder, server)


def report_of(result: Result) -> dict[str, Any]:
    """The JSON object, which comes last."""
    report: dict[str, Any] = json.loads(result.output.splitlines()[-1])
    return report


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_told_with_its_number_its_column_and_what_mends_it(case: str, batch: Batch) -> None:
    row = list(BAD_ROWS).index(case) + 3
    changes, said = BAD_ROWS[case]
    said = said.format(folder=batch.folder, service=batch.server.base_url)
    assert f"\nRow {row} ({changes.get('clip_id', case)}), {said}" in f"\n{batch.result.output}"
    (rejection,) = (rejection for rejection in report_of(batch.result)["rejections"] if rejection["row"] == row)
    (kept,) = batch.table("rejected").query(f"row == {row}").to_dict("records")
    assert {**rejection, "blocking": True} == kept


def test_good_rows_beside_bad_ones_are_stored_and_the_run_is_incomplete(batch: Batch) -> None:
    report = report_of(batch.result)
    assert batch.result.exit_code == INCOMPLETE
    assert (report["clips"], report["stored"], report["rejected"]) == (3, 2, len(BAD_ROWS))
    stored = batch.table("videos").set_index("clip_id")["video_path"].dropna()
    assert list(stored.index) == ["good", "last"]
    assert all((batch.folder / "out" / path).is_file() for path in stored)
    assert not (batch.folder.parent / "escape").exists()


def test_a_clip_that_failed_is_named_with_the_services_reason(batch: Batch) -> None:
    failure = {"clip_id": "refused", "code": "DataInspectionFailed", "message": "Not this one."}
    assert report_of(batch.result)["failures"] == [failure]
    assert "✗ refused: DataInspectionFailed: Not this one.\n" in batch.result.output


def test_quotes_and_line_breaks_of_a_prompt_reach_the_service_and_the_table(batch: Batch) -> None:
    assert batch.table("videos").set_index("clip_id").loc["good", "prompt"] == QUOTED
    assert QUOTED in [create["prompt"] for create in batch.server.journal()["creates"]]


def test_only_good_rows_became_tasks(batch: Batch) -> None:
    assert len(batch.server.journal()["creates"]) == 3


def test_a_manifest_that_is_broken_later_loses_nothing_and_once_mended_costs_nothing(batch: Batch) -> None:
    batch.manifest.write_bytes(batch.content.replace("ï".encode(), b"\xef"))
    table = batch.table("videos")

    assert batch.run().exit_code == UNUSABLE
    assert batch.table("videos").equals(table)

    batch.manifest.write_bytes(batch.content)
    report = report_of(batch.run())
    assert (report["already_stored"], report["created_tasks"]) == (2, 0)
