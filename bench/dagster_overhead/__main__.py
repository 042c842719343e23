"""What a clip costs Dagster: one run for all of them, as here, beside a run per clip; measuring of quality is off.

    python -m bench.dagster_overhead [--clips 2000] [--quota 200] [--runs 20] [--plain 200] [--folder FOLDER]

Real processes: the local server with films that are cuts of 64 pixels, so that looking at them costs next to nothing
here (a film of 720p takes 0.3 CPU seconds and more, whoever drives), and a clock that runs twenty times as fast,
Dagster's code server, its daemon with both sensors on, and the runs that they start; on SQLite. CPU is that of whole
trees of processes, from the first tick to the last stored clip; the local server's is told apart. The peer is an
asset with a run per clip, which creates its task, polls it every second and downloads the film, and neither checks it
nor keeps a ledger. Beside the batch: the same engine without Dagster, and what looking at one film takes (every
picture is decoded, and the gallery's pictures are made), since neither of them is Dagster's. Memory is the worker's,
with as many clips in flight as the quota allows, and with all of them.

What a file takes depends on the disk and its file system: ``--folder /dev/shm`` leaves both out, for the peer too.
"""

from __future__ import annotations

import argparse
import base64
import compileall
import csv
import os
import resource
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table

from bench.dagster_overhead.processes import cpu_s, rss_mb
from bench.dagster_overhead.station import dagster, serving, summary, wait_for
from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.media.preview import PreviewMaker, inline_strip
from kf2v_pipeline.media.probe import probe
from kf2v_pipeline.orchestration.instance import prepare_location
from kf2v_pipeline.settings import NAMES, Settings

HERE = Path(__file__).parent
LIFTED = {"stand_in": True, "stand_in_px": 64, "submit_rps": 1_000_000, "query_qps": 1_000_000}
TASK = {"median_s": 200.0, "sigma": 0.3}
SPEED = 20.0
CATALOG = """\
[services.local]
queries_per_second = 20

[services.local.models."wan2.2-kf2v-flash"]
creates_per_second = {quota}
tasks_in_process = {quota}
"""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one batch took, in CPU seconds and MB."""

    wall_s: float
    code_s: float
    daemon_s: float
    worker_s: float
    server_s: float
    most_in_flight: int
    held_mb: float
    peak_mb: float
    ticks: str

    @property
    def all_told_s(self) -> float:
        return self.code_s + self.daemon_s


def write_project(folder: Path, *, clips: int, quota: int) -> Settings:
    """A project whose rows differ by their prompts alone."""
    folder.mkdir(parents=True)
    for name, color in (("first", "navy"), ("last", "orange")):
        Image.new("RGB", (320, 240), color).save(folder / f"{name}.png")
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["clip_id", "first_frame", "last_frame", "prompt", "resolution"])
        rows.writerows([f"clip-{n:05}", "first.png", "last.png", f"Take {n}", "480P"] for n in range(clips))
    (folder / "catalog.toml").write_text(CATALOG.format(quota=quota), encoding="utf-8")
    switches = {"quality": False} if "KF2V_QUALITY" in NAMES else {}
    return Settings(
        manifest=str(folder / "manifest.csv"),
        storage=str(folder / "output"),
        home=folder / "home",
        catalog=folder / "catalog.toml",
        **switches,
    )


def drive(folder: Path, *, clips: int, quota: int, speed: float, to_the_end: bool = True) -> Batch:
    """Lets the sensors drive a batch; ``to_the_end`` or until the quota is in flight."""
    settings = write_project(folder, clips=clips, quota=quota)
    scenario = {**LIFTED, "speed": speed, "durations": [TASK], "in_process": quota}
    with serving(settings.server_directory, scenario) as (server, _):
        location = prepare_location(settings.home)
        with dagster(folder, location, settings.to_environment()) as station:
            server_began, began_at = cpu_s(server.pid), time.monotonic()
            held_mb = peak_mb = worker_s = 0.0
            most = 0

            def is_over() -> bool:
                nonlocal held_mb, peak_mb, worker_s, most
                worker = max(station.workers(), key=rss_mb, default=0)
                resident_mb = rss_mb(worker) if worker else 0.0
                peak_mb, worker_s = max(peak_mb, resident_mb), max(worker_s, cpu_s(worker) if worker else 0.0)
                attempts = count_attempts(settings.home / "ledger.db")
                in_flight = attempts.get(State.SUBMITTED.value, 0)
                if in_flight > most and resident_mb:
                    most, held_mb = in_flight, resident_mb
                if not to_the_end and most >= 0.95 * quota:
                    return True
                return attempts.get(State.STORED.value) == clips and station.runs("render_clips") > 0

            wait_for("the batch is over", is_over, every_s=1.0)
            code_s, daemon_s = station.used_s
            return Batch(
                wall_s=time.monotonic() - began_at,
                code_s=code_s,
                daemon_s=daemon_s,
                worker_s=worker_s,
                server_s=cpu_s(server.pid) - server_began,
                most_in_flight=most,
                held_mb=held_mb,
                peak_mb=peak_mb,
                ticks=summary(station.ticks_s()),
            )


def count_attempts(ledger: Path) -> dict[str, int]:
    """How many attempts are in which state: one query, since reading them all each second slows what is measured."""
    if not ledger.exists():
        return {}
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
        try:
            return dict(connection.execute("SELECT state, count(*) FROM kf2v_attempt GROUP BY state"))
        except sqlite3.OperationalError:  # its tables are being made
            return {}


def drive_peer(folder: Path, *, runs: int) -> float:
    """CPU seconds of a run per clip."""
    folder.mkdir(parents=True)
    Image.new("RGB", (320, 240), "navy").save(folder / "frame.png")
    frame = "data:image/png;base64," + base64.b64encode((folder / "frame.png").read_bytes()).decode()
    scenario = {**LIFTED, "speed": SPEED, "durations": [TASK], "in_process": runs}
    with serving(folder / "server", scenario) as (_, address):
        environment = {
            "BENCH_RUNS": str(runs),
            "BENCH_SERVICE": address,
            "BENCH_FRAME": frame,
            "BENCH_FILMS": str(folder),
        }
        with dagster(folder, HERE / "peer.py", environment) as station:
            wait_for("every run has ended", lambda: station.runs("each_clip") == runs, every_s=1.0)
            films = len(list(folder.glob("*.mp4")))
            assert films == runs, f"{films} of {runs} films came"
            return sum(station.used_s) / runs


def drive_plainly(folder: Path, *, clips: int, quota: int) -> float:
    """CPU seconds a clip of the engine alone."""
    settings = write_project(folder, clips=clips, quota=quota)
    scenario = {**LIFTED, "speed": SPEED, "durations": [TASK], "in_process": quota}
    with serving(settings.server_directory, scenario):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = {**os.environ, **settings.to_environment()}
        subprocess.run([sys.executable, "-m", "bench.dagster_overhead.plain"], env=environment, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / clips


def look_at_film(film: Path, *, times: int = 20) -> float:
    """CPU seconds that one film takes: every picture decoded, poster, strips and loop made."""
    began_s = time.process_time()
    for _ in range(times):
        maker = PreviewMaker()
        probe(film, maker.see)
        inline_strip(maker.made().strip)
    return (time.process_time() - began_s) / times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--quota", type=int, default=200, help="tasks in process, and creates a second")
    parser.add_argument("--runs", type=int, default=20, help="runs of the peer")
    parser.add_argument("--plain", type=int, default=200, help="clips of the engine alone")
    parser.add_argument("--folder", type=Path, default=tempfile.gettempdir(), help="where all files go (%(default)s)")
    options = parser.parse_args()
    compileall.compile_dir(sysconfig.get_path("purelib"), quiet=2, workers=0)  # else imports cost twice as much
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        peer_s = drive_peer(folder / "peer", runs=options.runs)
        plain_s = drive_plainly(folder / "plain", clips=options.plain, quota=options.quota)
        film_s = look_at_film(next((folder / "plain").glob("output/videos/*/*.mp4")))
        batch = drive(folder / "batch", clips=options.clips, quota=options.quota, speed=SPEED)
        wide = drive(folder / "wide", clips=options.clips, quota=options.clips, speed=1.0, to_the_end=False)
    show(options, batch, wide, peer_s=peer_s, plain_s=plain_s, film_s=film_s)


def show(
    options: argparse.Namespace, batch: Batch, wide: Batch, *, peer_s: float, plain_s: float, film_s: float
) -> None:
    clip_s = batch.all_told_s / options.clips
    adds_s = clip_s - plain_s
    table = Table(
        "CPU seconds a clip",
        title=f"{options.clips} clips, {options.quota} in process; small films, checked, their quality not measured",
    )
    table.add_column("s", justify="right")
    table.add_column("a run per clip takes", justify="right")
    for what, seconds in (
        (f"a run per clip, unchecked films ({options.runs} runs)", peer_s),
        ("one run for all, all told", clip_s),
        ("  of which the daemon", batch.daemon_s / options.clips),
        ("  of which the code server and short runs", (batch.code_s - batch.worker_s) / options.clips),
        ("  of which the run that drives", batch.worker_s / options.clips),
        ("the same engine without Dagster", plain_s),
        ("  of which decoding the film and making its pictures", film_s),
        ("what Dagster adds: all told, less the engine alone", adds_s),
        ("all told, less the film", clip_s - film_s),
    ):
        table.add_row(what, f"{seconds:.4f}", f"x {peer_s / seconds:.0f}")
    console = Console(width=130)
    console.print(table)
    console.print(f"Ticks: {batch.ticks}; the batch took {batch.wall_s:.0f} s.")
    console.print(f"All files were in {options.folder}.")
    console.print(f"The local server used {batch.server_s / options.clips:.4f} CPU seconds a clip, not counted above.")
    console.print(
        f"The run's worker held {batch.held_mb:.0f} MB with {batch.most_in_flight} clips in flight, "
        f"{wide.held_mb:.0f} MB with {wide.most_in_flight}; its peak over the whole batch was {batch.peak_mb:.0f} MB."
    )


if __name__ == "__main__":
    main()
