"""The makespan with nothing simulated but time: the real engine and the vendor's SDK against the real local server.

Run as ``python -m bench.realtime [--clips 200] [--speed 60] [--places 2 5]``. The server is a process of its own; tasks
take lognormal 60 to 300 s of its clock, C at a time, which goes ``speed`` times as fast as the real one. Ours is
the real engine with the tempo of the real service, on an event loop whose time goes as fast (all waits of ours become
shorter, and no schedule changes). The peer is ``VideoSynthesis.call`` of dashscope in C threads, whose pauses between
polls are shortened likewise. The bound is that of ``bench.makespan``, and so is ``no delay at all``: where a schedule
ends that can't foresee lengths, and notices every end at once.

What a fast clock distorts: processors, disks and the network on this machine do not go faster. A create that takes
20 ms of them counts as 1.2 s at ``--speed 60``, and so do a look, a commit of the ledger, a download. So makespans and
delays are worse than in real time, the more so the faster the clock and the busier the machine; ``then real time``
says how much of a delay is such work. Calls a clip are a little too few: a look that takes long is followed later.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import dashscope
import dashscope.client.base_api
import httpx
from dashscope.aigc.video_synthesis import VideoSynthesis
from PIL import Image
from rich.console import Console

from bench import figures_table
from bench.duplicates import data_uri
from bench.makespan import lower_bound_s, no_delay_s
from kf2v_pipeline.domain.attempt import FactKind
from kf2v_pipeline.localserver.clock import RunningClock
from kf2v_pipeline.localserver.scenario import Duration, Scenario
from kf2v_pipeline.localserver.server import Server
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.wan.catalog import Quota, Service
from kf2v_pipeline.wan.client import WanClient
from kf2v_pipeline.workflow.intake import take_in_manifest
from kf2v_pipeline.workflow.outcome import Silence, Verdict
from kf2v_pipeline.workflow.project import LOCAL_KEY, Project
from kf2v_pipeline.workflow.tempo import Tempo

MODEL = "wan2.2-kf2v-flash"
LENGTHS = Duration(median_s=121.5, sigma=0.4)
"""Nineteen of twenty between 55 and 270 s, as in ``bench.makespan``."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """``seen_s`` is from a task's end to our knowing of it, by the fast clock; ``work_s`` from there to the stored
    video, in real seconds, download and checks among them."""

    makespan_s: float
    bound_s: float
    no_delay_s: float
    calls_per_clip: float
    throttled: int
    seen_s: float
    work_s: float


class FastClock:
    """Follows the server's clock from one instant that both know."""

    def __init__(self, server_at: datetime, real_at: datetime, speed: float) -> None:
        self._server_at, self._real_at, self.speed = server_at, real_at, speed

    def __call__(self) -> datetime:
        return self._server_at + (datetime.now(timezone.utc) - self._real_at) * self.speed


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop whose time goes faster: who sleeps for a minute wakes after a second."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        super().__init__(_FastSelector(speed))

    def time(self) -> float:
        return super().time() * self._speed


class _FastSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]  # which one depends on the system
    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout and timeout / self._speed)


class PatientTransport(httpx.AsyncHTTPTransport):
    """Gives calls as much real time as they have in real life: the network does not go faster."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        timeouts = request.extensions["timeout"]
        request.extensions["timeout"] = {name: value and value * self._speed for name, value in timeouts.items()}
        return await super().handle_async_request(request)


class FastProject(Project):
    """A project whose account has ``places`` places, and whose clients are patient."""

    places = 0
    speed = 1.0

    def service(self, name: str | None = None) -> Service:
        service = super().service(name)
        quota = Quota(creates_per_second=self.places, tasks_in_process=self.places)
        return service.evolve(models={**service.models, MODEL: replace(service.models[MODEL], quota=quota)})

    def connect(self, name: str) -> WanClient:
        return WanClient(self.service(name), LOCAL_KEY, transport=PatientTransport(self.speed), clock=self.clock)


@contextmanager
def local_server(folder: Path, scenario: dict[str, Any]) -> Iterator[tuple[str, FastClock]]:
    """A server process; its base URL, and its clock."""
    command = [sys.executable, "-m", "bench.realtime", "--serve", str(folder), "--scenario", json.dumps(scenario)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as process:
        try:
            assert process.stdout is not None
            base_url, server_at, real_at = json.loads(process.stdout.readline())
            instants = (datetime.fromisoformat(at) for at in (server_at, real_at))
            yield base_url, FastClock(*instants, speed=scenario["speed"])
        finally:
            process.terminate()


def serve(folder: Path, scenario: Scenario) -> None:
    clock = RunningClock(speed=scenario.speed)

    def tell() -> None:
        line = [server.base_url, clock.now().isoformat(), datetime.now(timezone.utc).isoformat()]
        print(json.dumps(line), flush=True)

    server = Server(folder, scenario=scenario, clock=clock, on_ready=tell)
    server.run()


def ours(base_url: str, clock: FastClock, folder: Path, *, clips: int, places: int) -> tuple[list[float], list[float]]:
    """Drives the clips; from each task's end to our knowing of it, and from there to the stored video."""
    rows = (f"c{number},red.png,blue.png,Take {number},480P" for number in range(clips))
    header = "clip_id,first_frame,last_frame,prompt,resolution"
    (folder / "m.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    settings = Settings(
        manifest=str(folder / "m.csv"), storage=str(folder / "out"), home=folder / "home", service=base_url
    )
    with FastProject(settings, local_address=str, clock=clock, tempo=Tempo()) as project:
        project.places, project.speed = places, clock.speed
        wanted = list(take_in_manifest(project).clips)
        loop = FastLoop(clock.speed)
        try:
            report = loop.run_until_complete(project.engine(wanted, Silence()).drive(wanted))
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
        assert len(report.of(Verdict.STORED)) == clips, {o.code: o.message for o in report.outcomes.values()}
        seen_s, work_s = [], []
        for attempt in project.ledger.attempts():
            at = {fact.kind: fact.at for fact in project.ledger.facts(attempt.attempt_id)}
            assert attempt.ended_at is not None
            seen_s.append((at[FactKind.TASK_SUCCEEDED] - attempt.ended_at).total_seconds())
            work = at[FactKind.VIDEO_STORED] - at[FactKind.TASK_SUCCEEDED]
            work_s.append(work.total_seconds() / clock.speed)
    return seen_s, work_s


def sdk_in_threads(
    base_url: str, clock: FastClock, folder: Path, *, clips: int, places: int
) -> tuple[list[float], list[float]]:
    """The same for a pool of threads, each: call, download, take the next clip. A 429 is tried again a second later."""
    dashscope.base_http_api_url = base_url
    # The SDK waits by the clock of its module and takes none: it is given the fast one, whose seconds are shorter.
    pause = SimpleNamespace(sleep=lambda length_s: time.sleep(length_s / clock.speed), time=time.time)
    dashscope.client.base_api.time = pause
    frames = {
        f"{end}_frame_url": data_uri(folder / f"{color}.png") for end, color in (("first", "red"), ("last", "blue"))
    }

    def make(number: int) -> tuple[datetime, datetime, float]:
        while True:
            reply = VideoSynthesis.call(
                api_key=LOCAL_KEY, model=MODEL, prompt=f"Take {number}", resolution="480P", **frames
            )
            if reply.status_code != 429:
                break
            pause.sleep(1)
        seen_at, begun = clock(), time.monotonic()
        (folder / f"{number}.mp4").write_bytes(httpx.get(reply.output.video_url, trust_env=False).content)
        ended_at = datetime.fromisoformat(f"{reply.output['end_time']}+08:00")
        return seen_at, ended_at, time.monotonic() - begun

    with ThreadPoolExecutor(places) as pool:
        made = list(pool.map(make, range(clips)))
    return [(seen_at - ended_at).total_seconds() for seen_at, ended_at, _ in made], [work_s for *_, work_s in made]


def measure(way: Any, *, clips: int, places: int, surplus: str, speed: float, seed: int) -> Figures:
    scenario = {
        "seed": seed,
        "speed": speed,
        "stand_in": True,
        "stand_in_px": 64,
        "surplus": surplus,
        "submit_rps": places,
        "in_process": places,
        "durations": [{"median_s": LENGTHS.median_s, "sigma": LENGTHS.sigma}],
    }
    with tempfile.TemporaryDirectory(prefix="kf2v-realtime-") as name:
        folder = Path(name)
        for color in ("red", "blue"):
            Image.new("RGB", (640, 360), color).save(folder / f"{color}.png")
        with local_server(folder / "server", scenario) as (base_url, clock):
            begun_at = clock()
            seen_s, work_s = way(base_url, clock, folder, clips=clips, places=places)
            makespan_s = (clock() - begun_at).total_seconds()
            address = base_url.replace("/api/v1", "/_server/journal")
            journal = httpx.get(address, trust_env=False, timeout=60).json()
    tasks = [create for create in journal["creates"] if create["task_id"]]
    assert len(tasks) == clips
    instants = ((create["scheduled_at"], create["ended_at"]) for create in tasks)
    lengths_s = tuple(
        (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds() for begin, end in instants
    )
    calls = sum(sum(journal["counts"].get(kind, {}).values()) for kind in ("create", "list", "get"))
    return Figures(
        makespan_s=makespan_s,
        bound_s=lower_bound_s(lengths_s, places),
        no_delay_s=no_delay_s(lengths_s, places),
        calls_per_clip=calls / clips,
        throttled=sum(count for code, count in journal["counts"]["create"].items() if code == "429"),
        seen_s=median(seen_s),
        work_s=median(work_s),
    )


def main() -> None:
    os.environ["NO_PROXY"] = "127.0.0.1"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--speed", type=float, default=60)
    parser.add_argument("--places", type=int, nargs="+", default=[2, 5])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--scenario", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, Scenario.from_mapping(given.scenario))
        return
    table = figures_table(
        f"{given.clips} clips, lognormal 60 to 300 s, real local server {given.speed:g} times as fast",
        "",
        "makespan",
        "x lower bound",
        "no delay at all",
        "429",
        "calls a clip",
        "end to seen, median",
        "then real time",
    )
    for places in given.places:
        for surplus in ("queue", "reject"):
            for name, way in (("ours", ours), ("SDK in C threads", sdk_in_threads)):
                figures = measure(
                    way, clips=given.clips, places=places, surplus=surplus, speed=given.speed, seed=given.seed
                )
                table.add_row(
                    f"C={places}, {surplus}s: {name}",
                    f"{figures.makespan_s:.0f} s",
                    f"{figures.makespan_s / figures.bound_s:.3f}",
                    f"{figures.no_delay_s / figures.bound_s:.3f}",
                    str(figures.throttled),
                    f"{figures.calls_per_clip:.1f}",
                    f"{figures.seen_s:.1f} s",
                    f"{figures.work_s:.2f} s",
                )
        table.add_section()
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
