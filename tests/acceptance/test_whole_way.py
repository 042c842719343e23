"""From a manifest to videos, tables and a gallery, by the command that a person types, each in a process of its own.

What happens before the command that a test is about, and what only shows how it left things, happens in this process:
each start of Python and Dagster takes seconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pandas as pd
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it ships no types
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from waiting import wait_for

from kf2v_pipeline.cli import main
from kf2v_pipeline.domain.geometry import output_size
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.process import stop_server
from kf2v_pipeline.localserver.scenario import Duration

KF2V = Path(sys.executable).with_name("kf2v")
"""The console script, beside the interpreter that it was installed for."""

PATIENCE_S = 120

VIDEOS_TABLE = {
    "clip_id": "string",
    "status": "string",
    "video_path": "string",
    "file_name": "string",
    "task_id": "string",
    "request_id": "string",
    "service": "string",
    "model": "string",
    "resolution": "string",
    "seed": "int64",
    "prompt": "string",
    "negative_prompt": "string",
    "actual_prompt": "string",
    "first_frame_path": "string",
    "last_frame_path": "string",
    "fingerprint": "string",
    "attempt": "int64",
    "width": "int64",
    "height": "int64",
    "fps": "double",
    "frames": "int64",
    "duration_s": "double",
    "codec": "string",
    "size_bytes": "int64",
    "sha256": "string",
    "cost": "double",
    "currency": "string",
    "submitted_at": "timestamp[us, tz=UTC]",
    "started_at": "timestamp[us, tz=UTC]",
    "ended_at": "timestamp[us, tz=UTC]",
    "stored_at": "timestamp[us, tz=UTC]",
    "error_code": "string",
    "error_message": "string",
    "aspect": "string",
    "fit": "string",
    "cut_path": "string",
    "cut_width": "int64",
    "cut_height": "int64",
    "flaws": "string",
    "quality_first_frame_ssim": "double",
    "quality_last_frame_ssim": "double",
    "quality_swap_margin": "double",
    "quality_longest_freeze_s": "double",
    "quality_black_s": "double",
    "quality_flashes": "int64",
    "quality_cuts": "int64",
    "quality_flicker": "double",
    "quality_conformity_flaws": "int64",
}
"""What people build on, spelled a second time."""

StartServer = Callable[..., LocalServer]
WriteManifest = Callable[..., Path]


class Person:
    """Somebody with one home and one storage, who asks one service."""

    def __init__(self, folder: Path, service: str) -> None:
        self.home = folder / "home"
        self.storage = folder / "out"
        self._service = service

    def command(self, name: str, *arguments: str | Path) -> list[str]:
        places = ("--home", self.home, "--storage", self.storage, "--service", self._service)
        return [str(part) for part in (KF2V, name, *arguments, *places)]

    def does(self, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """What ``kf2v <name> ...`` ends with."""
        command = self.command(name, *arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def does_here(self, name: str, *arguments: str | Path) -> Result:
        """Runs ``kf2v <name> ...`` in this process, which must succeed; gives what it ended with."""
        done = CliRunner().invoke(main, self.command(name, *arguments)[1:])
        assert done.exit_code == 0, done.output
        return done

    def starts(self, name: str, *arguments: str | Path) -> subprocess.Popen[str]:
        """The same, while it goes on."""
        command = self.command(name, *arguments)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def table(self) -> pd.DataFrame:
        rows: pd.DataFrame = pd.read_parquet(self.storage / "tables" / "videos.parquet")
        rows.index = pd.Index(rows["clip_id"])
        return rows


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Callable[[str], Person]]:
    """Somebody who asks the service at an address; a local server that their commands start ends with the test."""
    yield lambda service: Person(tmp_path, service)
    if (tmp_path / "home" / "server").exists():
        stop_server(tmp_path / "home" / "server")


def report_of(done: subprocess.CompletedProcess[str] | Result) -> dict[str, Any]:
    """The one JSON object that a command printed."""
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def prompts_of(server: LocalServer) -> Counter[str]:
    """How many tasks the service made of each prompt."""
    return Counter(create["prompt"] for create in server.journal()["creates"] if create["task_id"])


def assert_is_a_film(path: Path, size: tuple[int, int]) -> None:
    """H.264, 30 fps, 5 s, silent, of that size: what the vendor's page promises."""
    with av.open(str(path)) as container:
        assert not container.streams.audio
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 30
        assert (stream.width, stream.height) == size
        assert sum(1 for _ in container.decode(stream)) == 150
        assert container.duration == 5 * av.time_base


def test_a_manifest_becomes_videos_tables_and_a_gallery_on_the_local_server(
    person: Callable[[str], Person], write_manifest: WriteManifest, tmp_path: Path
) -> None:
    for name in ("tall-1", "tall-2"):
        Image.linear_gradient("L").resize((750, 1000)).convert("RGB").save(tmp_path / f"{name}.png")
    tall = {"first_frame": "tall-1.png", "last_frame": "tall-2.png", "seed": 7, "title": "Up"}
    somebody = person("local")
    manifest = write_manifest(
        "wide", "tall", rows={"tall": tall, "wide": {"title": "Across"}}, negative_prompt="people"
    )

    done = somebody.does("run", manifest, "--json")

    assert done.returncode == 0, done.stderr
    report = report_of(done)
    flaws = report.pop("flaws")
    assert report == {
        "clips": 2,
        "stored": 2,
        "already_stored": 0,
        "failed": 0,
        "left": 0,
        "rejected": 0,
        "created_tasks": 2,
        "spend": {"CNY": 0.0},
        "storage": str(somebody.storage),
        "failures": [],
        "rejections": [],
        "notices": [],
    }
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr

    types = {field.name: str(field.type) for field in pq.read_schema(somebody.storage / "tables" / "videos.parquet")}
    assert list(types.items()) == [*VIDEOS_TABLE.items(), ("title", "string")]
    table = somebody.table()
    assert list(table.index) == ["wide", "tall"]
    assert list(table["status"]) == ["stored", "stored"]
    assert table["quality_conformity_flaws"].sum() == 0
    assert min(table["quality_first_frame_ssim"].min(), table["quality_last_frame_ssim"].min()) > 0.9
    assert {name: ",".join(names) for name, names in flaws.items()} == dict(table["flaws"][table["flaws"] != ""])
    assert list(table["service"]) == ["local", "local"]
    assert list(table["prompt"]) == ["A slow pan, take 0", "A slow pan, take 1"]
    assert list(table["negative_prompt"]) == ["people", "people"]
    assert list(table["seed"].astype("Int64")) == [pd.NA, 7]
    assert list(table["title"]) == ["Across", "Up"]
    assert list(table["first_frame_path"]) == [str(tmp_path / "frames/0-first.png"), str(tmp_path / "tall-1.png")]
    assert list(table["currency"]) == ["CNY", "CNY"]
    assert table["cost"].sum() == 0
    assert table["error_code"].isna().all()
    for name in ("submitted_at", "started_at", "ended_at", "stored_at"):
        assert str(table[name].dtype) == "datetime64[us, UTC]"
    assert (table["submitted_at"] <= table["started_at"]).all()
    assert (table["started_at"] < table["ended_at"]).all()
    assert (table["ended_at"] <= table["stored_at"]).all()
    for clip_id, size in {"wide": output_size(640, 360, "480P"), "tall": output_size(750, 1000, "480P")}.items():
        row = table.loc[clip_id]
        assert row["video_path"] == f"videos/{clip_id}/{row['fingerprint'][:12]}.mp4"
        assert row["file_name"] == f"{clip_id}/{row['fingerprint'][:12]}.mp4"
        assert (row["width"], row["height"]) == size
        assert (row["codec"], row["fps"], row["frames"], row["duration_s"]) == ("h264", 30, 150, 5)
        path = somebody.storage / row["video_path"]
        assert_is_a_film(path, size)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]
        assert path.stat().st_size == row["size_bytes"]

    lines = (somebody.storage / "videos" / "metadata.jsonl").read_text("utf-8").splitlines()
    listed = [json.loads(line) for line in lines]
    assert {line["clip_id"]: line["file_name"] for line in listed} == dict(table["file_name"])
    assert pd.read_parquet(somebody.storage / "tables" / "rejected.parquet").empty
    [clips] = (somebody.storage / "gallery" / "data").iterdir()
    assert clips.name in (somebody.storage / "gallery" / "index.html").read_text("utf-8")
    assert all(text in clips.read_text("utf-8") for text in ("wide", "tall", "Across", "A slow pan, take 1"))


def test_a_second_run_creates_no_task_and_a_changed_prompt_exactly_one(
    person: Callable[[str], Person], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    somebody = person(server.base_url)
    manifest = write_manifest("a", "b")
    somebody.does_here("run", manifest)

    again = somebody.does("run", manifest)

    assert (again.returncode, again.stderr) == (0, "")
    assert "All was stored already (2 clips); no task was created." in again.stdout
    assert len(server.journal()["creates"]) == 2

    changed = somebody.does("run", write_manifest("a", "b", rows={"b": {"prompt": "Another way"}}), "--json")

    assert report_of(changed)["created_tasks"] == 1
    assert prompts_of(server) == {"A slow pan, take 0": 1, "A slow pan, take 1": 1, "Another way": 1}
    assert len(list(somebody.storage.glob("videos/b/*.mp4"))) == 2, "the old video stays"


def test_a_plan_knows_the_price_of_a_real_service_without_its_key_and_leaves_no_trace(
    person: Callable[[str], Person], write_manifest: WriteManifest
) -> None:
    somebody = person("beijing")

    done = somebody.does("plan", write_manifest("a", "b", resolution="720P"), "--json")

    assert done.returncode == 0, done.stderr
    expected = {
        "clips": 2,
        "stored": 2,
        "already_stored": 0,
        "failed": 0,
        "rejected": 0,
        "created_tasks": 2,
        "spend": {"CNY": 2.0},
        "unpriced": [],
        "storage": str(somebody.storage),
        "failures": [],
        "rejections": [],
    }
    report = report_of(done)
    assert {name: report[name] for name in expected} == expected
    video = {"status": "planned", "width": 1280, "height": 720, "cost": 1.0, "currency": "CNY"}
    assert report["videos"] == [{"clip_id": clip_id, **video} for clip_id in ("a", "b")]
    assert not somebody.home.exists()
    assert not somebody.storage.exists()


def test_status_tells_each_clip_of_the_ledger_whatever_manifest_wants_it(
    person: Callable[[str], Person], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    somebody = person(server.base_url)
    somebody.does_here("run", write_manifest("a"))

    told = report_of(somebody.does("status", "--json"))

    (clip,) = told["clips"]
    counts = {"planned": 0, "in_flight": 0, "stored": 1, "failed": 0, "spend": {"CNY": 0.5}}
    assert {name: told[name] for name in counts} == counts
    assert (clip["clip_id"], clip["status"]) == ("a", "stored")
    assert clip["task_id"] == server.journal()["creates"][0]["task_id"]
    assert (somebody.storage / clip["video_path"]).is_file()


def test_a_killed_run_is_finished_by_the_next_one_with_one_task_per_clip(
    person: Callable[[str], Person], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server(pending_s=2)
    somebody = person(server.base_url)
    manifest = write_manifest(*"abcd")
    running = somebody.starts("run", manifest)
    wait_for("the service has a create", lambda: server.journal()["creates"], within_s=PATIENCE_S)
    running.kill()
    running.communicate()

    done = somebody.does_here("run", manifest, "--json")

    assert report_of(done)["stored"] == 4
    assert prompts_of(server) == {f"A slow pan, take {number}": 1 for number in range(4)}


def test_a_run_that_is_interrupted_says_so_and_the_next_one_goes_on(
    person: Callable[[str], Person], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server(durations=(Duration(median_s=10, match="take 2"),))
    somebody = person(server.base_url)
    manifest = write_manifest(*"abc")
    running = somebody.starts("run", manifest)
    assert running.stdout is not None
    first_line = running.stdout.readline()
    assert first_line.startswith("✓ 1/3"), "each clip is told as it is stored"
    assert server.journal()["tasks"] != {"SUCCEEDED": 3}
    running.send_signal(signal.SIGINT)

    _, stderr = running.communicate(timeout=PATIENCE_S)

    assert running.returncode == 130
    assert stderr == "Stopped. Tasks in flight go on at the service; run the same command again to collect them.\n"
    report = report_of(somebody.does_here("run", manifest, "--json"))
    assert report["stored"] + report["already_stored"] == report["clips"] == 3
    assert prompts_of(server) == {f"A slow pan, take {number}": 1 for number in range(3)}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_terminal_shows_a_bar_with_each_clip_and_what_was_spent(
    person: Callable[[str], Person], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    ours, theirs = os.openpty()
    command = person(start_server(pending_s=1).base_url).command("run", write_manifest("a", "b"))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    running = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)

    shown = b"".join(iter(lambda: _read(ours), b"")).decode()

    assert running.wait(PATIENCE_S) == 0
    assert "rendering" in shown
    assert "1/2" in shown
    assert "2/2" in shown
    assert "1.00 CNY" in shown
    assert "Traceback" not in shown


def _read(terminal: int) -> bytes:
    """What comes next; nothing once whoever wrote there has ended."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
