"""One process with 1,000 tasks in flight: its memory, and what it uses of one core while nothing ends.

Run as ``python -m bench.flight [--tasks 1000] [--seconds 20]``. The real engine, ledger and HTTP client, in a process
of their own, against the local server, whose quotas are lifted; its tasks take hours. ``idle`` is a lane that knows
nothing of its tasks' lengths; ``due`` one that has learned that any of them may end at any time, so that it looks as
often as it ever does: a ``list`` of all pages every two seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from sqlalchemy import insert

from bench import figures_table
from kf2v_pipeline.domain.attempt import Attempt, State
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.scenario import Duration, Scenario
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.storage import schema
from kf2v_pipeline.wan.catalog import Quota, Service
from kf2v_pipeline.workflow.intake import take_in_manifest
from kf2v_pipeline.workflow.outcome import Silence
from kf2v_pipeline.workflow.project import Project, utc_now
from kf2v_pipeline.workflow.tempo import Tempo

MODEL = "wan2.2-kf2v-flash"
RATE = 200


class WideProject(Project):
    """A project whose account may do a lot at once."""

    tasks = 0

    def service(self, name: str | None = None) -> Service:
        service = super().service(name)
        quota = Quota(creates_per_second=RATE, tasks_in_process=self.tasks)
        return service.evolve(models={**service.models, MODEL: replace(service.models[MODEL], quota=quota)})


def remember_lengths(project: Project) -> None:
    """200 tasks that took anything up to an hour."""
    now, rows = utc_now(), []
    for number in range(200):
        began_at = now - timedelta(hours=6)
        attempt = Attempt(
            attempt_id=f"old-{number}", clip_id=f"old-{number}", fingerprint="f", number=1, model=MODEL, prompt=None,
            service=project.service().name, lane=f"{project.service().name}/{MODEL}", owner="bench",
            prepared_at=began_at, submitted_at=began_at, started_at=began_at, state=State.STORED,
            ended_at=began_at + timedelta(seconds=18 * number), task_id=f"old-{number}",
        )  # fmt: skip
        rows.append(vars(attempt))
    with project.ledger._write() as connection:  # noqa: SLF001 - the ledger has no way to take in a past at once
        connection.execute(insert(schema.attempt), rows)


def fly(url: str, folder: Path, tasks: int, seconds: float, *, learned: bool) -> dict[str, Any]:
    """Drives until all are in flight, waits, and tells what the process used meanwhile."""
    settings = Settings(manifest=str(folder / "m.csv"), storage=str(folder / "out"), home=folder / "home", service=url)
    with WideProject(settings, local_address=str, tempo=Tempo()) as project:
        project.tasks = tasks
        if learned:
            remember_lengths(project)
        clips = list(take_in_manifest(project).clips)
        return asyncio.run(measure(project, clips, seconds))


async def measure(project: Project, clips: list[Any], seconds: float) -> dict[str, Any]:
    driving = asyncio.ensure_future(project.engine(clips, Silence()).drive(clips))
    begun = time.process_time()
    while len(project.ledger.attempts(states=[State.SUBMITTED])) < len(clips):
        await asyncio.sleep(1)
        if driving.done():
            driving.result()
    submitted = time.process_time() - begun
    cpu, wall = time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    share = (time.process_time() - cpu) / (time.monotonic() - wall)
    rss = rss_bytes()
    driving.cancel()
    await asyncio.wait({driving})
    return {"rss_mb": rss / 1e6, "core": share, "submit_ms": 1000 * submitted / len(clips)}


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def write_manifest(folder: Path, tasks: int) -> None:
    for color in ("red", "blue"):
        Image.new("RGB", (640, 360), color).save(folder / f"{color}.png")
    lines = (f"c{number},red.png,blue.png,Take {number},480P" for number in range(tasks))
    header = "clip_id,first_frame,last_frame,prompt,resolution"
    (folder / "m.csv").write_text("\n".join([header, *lines, ""]), encoding="utf-8")


def in_a_process(tasks: int, seconds: float, *, learned: bool) -> dict[str, Any]:
    scenario = Scenario(
        stand_in=True, submit_rps=RATE, in_process=tasks, query_qps=1000, durations=(Duration(median_s=36_000),)
    )
    with tempfile.TemporaryDirectory() as name, LocalServer(Path(name) / "server", scenario=scenario) as server:
        write_manifest(Path(name), tasks)
        command = [sys.executable, "-m", "bench.flight", "--tasks", str(tasks), "--seconds", str(seconds)]
        command += ["--fly", server.base_url, "--folder", name, *(["--learned"] if learned else [])]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
        return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--fly", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--learned", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fly:
        print(json.dumps(fly(given.fly, given.folder, given.tasks, given.seconds, learned=given.learned)))
        return
    title = f"One process, {given.tasks:,} tasks in flight, nothing ends"
    table = figures_table(title, "", "RSS", "of one core", "CPU to submit a clip")
    for name, learned in (("idle", False), ("due", True)):
        figures = in_a_process(given.tasks, given.seconds, learned=learned)
        table.add_row(name, f"{figures['rss_mb']:.0f} MB", f"{figures['core']:.1%}", f"{figures['submit_ms']:.1f} ms")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
