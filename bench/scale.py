"""What a clip costs by the size of its manifest, where all are stored already: forecast, planning, and a drive.

Run as ``python -m bench.scale [--sizes 1000 10000 100000]``. Nothing is created: rows, ledger, storage and frames are
made beforehand, as a first run would have left them (each frame is the last of one clip and the first of the next).
CPU seconds of this process; a cost per clip that grows with the size would show here. ``forecast`` is what
``kf2v plan`` does; ``plan`` is how a run, a sensor and the schedule take the manifest in; ``drive`` is what a run does
then. A second table is what the clip sensor asks of the ledger at each tick, where nothing is stored: it has to stay
well below a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert

from kf2v_pipeline.domain.attempt import Attempt, Remedy, State
from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.domain.policy import Standing
from kf2v_pipeline.media.frames import inspect_frame
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.storage import schema
from kf2v_pipeline.storage.attempt import _as_row
from kf2v_pipeline.storage.layout import video_path
from kf2v_pipeline.storage.source import token
from kf2v_pipeline.workflow.forecast import forecast
from kf2v_pipeline.workflow.intake import take_in_manifest
from kf2v_pipeline.workflow.look import read_frame
from kf2v_pipeline.workflow.outcome import Silence, Verdict
from kf2v_pipeline.workflow.project import Project, utc_now

COLORS = ("red", "blue")


@dataclass(frozen=True, kw_only=True)
class Figures:
    forecast_s: float
    plan_s: float
    drive_s: float
    backlog_s: float


def write_manifest(folder: Path, clips: int) -> Path:
    """A manifest whose clips follow each other, and their frames, which are one of two pictures by turns."""
    frames = folder / "frames"
    frames.mkdir()
    for color in COLORS:
        Image.new("RGB", (640, 360), color).save(folder / f"{color}.png")
    for number in range(clips + 1):
        (frames / f"{number}.png").hardlink_to(folder / f"{COLORS[number % 2]}.png")
    lines = (f"c{n},frames/{n}.png,frames/{n + 1}.png,Take {n},480P,{n}" for n in range(clips))
    manifest = folder / "manifest.csv"
    header = "clip_id,first_frame,last_frame,prompt,resolution,seed"
    manifest.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return manifest


def remember_frames(project: Project, folder: Path, clips: int) -> None:
    """Makes the frames known, as the first reading of the manifest does."""
    locations = [str(folder / "frames" / f"{number}.png") for number in range(clips + 1)]
    seen = [inspect_frame(read_frame(at), at) for at in locations[:2]]
    frames = {at: (str(token(at)), replace(seen[number % 2], location=at)) for number, at in enumerate(locations)}
    project.ledger.remember_frames(frames)


def store_all(project: Project, clips: tuple[Clip, ...]) -> None:
    """Leaves ledger and storage as a run does that stored every clip."""
    at = utc_now() - timedelta(days=2)
    attempts, records = [], []
    for number, clip in enumerate(clips):
        path = video_path(clip.clip_id, clip.fingerprint)
        file = Path(project.store.url) / path
        file.parent.mkdir(parents=True)
        file.touch()
        values = {"clip_id": clip.clip_id, "fingerprint": clip.fingerprint, "service": clip.service}
        attempt = Attempt(
            attempt_id=f"a{number}", number=1, model=clip.model, lane=clip.lane, owner="bench", prompt=clip.prompt,
            prepared_at=at, submitted_at=at, started_at=at, ended_at=at, stored_at=at, state=State.STORED,
            task_id=f"t{number}", video_path=path, sha256="0" * 64, size_bytes=0, **values,
        )  # fmt: skip
        attempts.append(_as_row(attempt))
        records.append({"attempt_id": attempt.attempt_id, "record": json.dumps(clip.to_record())})
    with project.ledger._write() as connection:  # noqa: SLF001 - a hundred thousand attempts one by one take minutes
        connection.execute(insert(schema.attempt), attempts)
        connection.execute(insert(schema.attempt_clip), records)


def cpu_s(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.process_time()
    result = work()
    return time.process_time() - begun, result


def measure(clips: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="kf2v-scale-") as name:
        folder = Path(name)
        settings = Settings(
            manifest=str(write_manifest(folder, clips)), storage=str(folder / "out"), home=folder / "home"
        )
        with Project(settings, local_address=str) as project:
            remember_frames(project, folder, clips)
            store_all(project, take_in_manifest(project).clips)
        with Project(settings, local_address=str) as project:
            forecast_s, told = cpu_s(lambda: forecast(project))
            plan_s, _ = cpu_s(lambda: take_in_manifest(project))
            backlog_s, _ = cpu_s(project.backlog)
            drive_s, report = cpu_s(lambda: drive(project))
        assert len(report.of(Verdict.ALREADY_STORED)) == clips
        assert told.count(Standing.STORED) == clips
        return Figures(forecast_s=forecast_s, plan_s=plan_s, drive_s=drive_s, backlog_s=backlog_s)


@dataclass(frozen=True, kw_only=True)
class Ticks:
    untried_s: float
    stopped_s: float
    failed_s: float


def measure_ticks(clips: int) -> Ticks:
    """What waits, told of clips of two lanes by turns: where one of the lanes stopped, and where all clips failed."""
    with tempfile.TemporaryDirectory(prefix="kf2v-scale-") as name:
        settings = Settings(manifest=f"{name}/manifest.csv", storage=f"{name}/out", home=Path(name) / "home")
        with Project(settings, local_address=str) as project:
            wanted = [made_clip(number) for number in range(clips)]
            project.ledger.want(project.manifest_name, wanted, at=utc_now())
            untried_s, waiting = cpu_s(project.waiting)
            stopped_s, able = cpu_s(lambda: project.waiting().without([wanted[0].lane]))
            assert (waiting.count, able.count) == (clips, clips // 2)
            fail_all(project, wanted)
            failed_s, waiting = cpu_s(project.waiting)
            assert waiting.count == 0
        return Ticks(untried_s=untried_s, stopped_s=stopped_s, failed_s=failed_s)


def made_clip(number: int) -> Clip:
    frame = Frame(location="/a.png", sha256="0" * 64, width=640, height=360, size_bytes=9, format="PNG")
    return Clip(
        clip_id=f"c{number}", row=number + 1, service="local", model=f"model-{number % 2}", resolution="480P",
        first_frame=frame, last_frame=frame, prompt=f"Take {number}",
    )  # fmt: skip


def fail_all(project: Project, clips: list[Clip]) -> None:
    """Leaves the ledger as runs do in which the service refused every film for its contents."""
    at = utc_now() - timedelta(days=2)
    attempts = [
        Attempt(
            attempt_id=f"a{number}", number=1, model=clip.model, lane=clip.lane, owner="bench", prompt=clip.prompt,
            prepared_at=at, submitted_at=at, ended_at=at, state=State.FAILED, task_id=f"t{number}",
            error_code="DataInspectionFailed", error_message="No.", remedy=Remedy.PERSON,
            clip_id=clip.clip_id, fingerprint=clip.fingerprint, service=clip.service,
        )
        for number, clip in enumerate(clips)
    ]  # fmt: skip
    with project.ledger._write() as connection:  # noqa: SLF001 - as in ``store_all``
        connection.execute(insert(schema.attempt), [_as_row(attempt) for attempt in attempts])


def drive(project: Project) -> Any:
    wanted = list(project.wanted())
    return asyncio.run(project.engine(wanted, Silence()).drive(wanted))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    sizes = parser.parse_args().sizes
    table = Table(title="All clips are stored already; CPU seconds, and in brackets milliseconds per clip")
    for column in ("clips", "forecast", "plan", "what is left to do", "drive"):
        table.add_column(column, justify="right")
    for clips in sizes:
        figures = measure(clips)
        costs = (figures.forecast_s, figures.plan_s, figures.backlog_s, figures.drive_s)
        table.add_row(f"{clips:,}", *(f"{cost:.2f} ({1000 * cost / clips:.3f})" for cost in costs))
    Console(width=120).print(table)
    ticks = Table(title="A tick of the clip sensor; CPU seconds")
    for column in ("clips", "all untried", "a lane stopped, half untried", "all failed for good"):
        ticks.add_column(column, justify="right")
    for size in sizes:
        tick = measure_ticks(size)
        ticks.add_row(f"{size:,}", *(f"{cost:.2f}" for cost in (tick.untried_s, tick.stopped_s, tick.failed_s)))
    Console(width=120).print(ticks)
    print(f"planning {clips:,} stored: {figures.forecast_s:.1f} s (kf2v plan), {figures.plan_s:.1f} s (a run's)")


if __name__ == "__main__":
    main()
