"""How much the local server takes: 200 clients that poll and 20 that create, against a bare server of constant replies.

    python -m bench.localserver [--seconds 10] [--pollers 200] [--creators 20] [--pause-s 0.5]

Each server is a process of its own, with stand-in films; the clients are one asyncio process on bare sockets, and wait
a moment between a reply and the next request. Three runs: with the vendor's quotas (20 looks and 2 creates a second:
what is beyond them must be answered by 429, and quickly), with the quotas lifted, and the peer: Starlette on the same
uvicorn, whose every reply is one constant. CPU is the server's alone; RSS at start, middle and end of the load.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import io
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit

import uvicorn
from PIL import Image
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

MODEL = "wan2.2-kf2v-flash"
LIFTED = {"submit_rps": 1_000_000, "in_process": 1000, "query_qps": 1_000_000}
SERVERS = {
    "vendor's quotas": {"stand_in": True, "durations": 2},
    "quotas lifted": {"stand_in": True, "durations": 2, **LIFTED},
    "peer": None,
}
RNG = random.Random()  # noqa: S311  jitter, no secret
LIST_SHARE = 0.1
"""How many of the pollers look by ``list``."""

SETTLE_S = 1.0
"""What passes under load before anything is measured."""


# ---------------------------------------------------------------------------------------------------------- the load


@dataclass(kw_only=True)
class Load:
    """What the clients saw."""

    took_ms: dict[str, list[float]] = field(default_factory=lambda: {"create": [], "get": [], "list": []})
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: {n: Counter() for n in ("create", "get", "list")})
    task_ids: list[str] = field(default_factory=lambda: ["0385dc79-5ff8-4d82-bcb6-000000000000"])
    measuring: bool = False
    ended: bool = False


def frame(color: str) -> str:
    file = io.BytesIO()
    Image.new("RGB", (320, 240), color).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def request_of(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer sk-bench\r\nX-DashScope-Async: enable\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


CREATE = request_of(
    "POST",
    "/api/v1/services/aigc/image2video/video-synthesis",
    json.dumps(
        {"model": MODEL, "input": {"first_frame_url": frame("red"), "last_frame_url": frame("blue"), "prompt": "p"}}
    ).encode(),
)
LIST = request_of("GET", "/api/v1/tasks?page_no=1&page_size=100")


async def client(load: Load, operation: str, address: tuple[str, int], pause_s: float) -> None:
    """One client on one connection."""
    reader, writer = await asyncio.open_connection(*address)
    await asyncio.sleep(RNG.random() * pause_s)
    while not load.ended:
        request = {"create": CREATE, "list": LIST}.get(operation)
        begun = time.perf_counter()
        writer.write(request or request_of("GET", f"/api/v1/tasks/{RNG.choice(load.task_ids)}"))
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]))
        took_ms = (time.perf_counter() - begun) * 1000
        status = int(head[9:12])
        if operation == "create" and status == 200:
            load.task_ids.append(json.loads(body)["output"]["task_id"])
        if load.measuring:
            load.took_ms[operation].append(took_ms)
            load.statuses[operation][status] += 1
        await asyncio.sleep(pause_s * RNG.uniform(0.5, 1.5))
    writer.close()


# ------------------------------------------------------------------------------------------------------- the servers


@contextlib.contextmanager
def serving(name: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int]]]:
    """A server's process and address."""
    scenario = SERVERS[name]
    if scenario is None:
        command = ["-m", "bench.localserver", "--peer"]
    else:
        script = folder / "scenario.json"
        script.write_text(json.dumps(scenario), encoding="utf-8")
        command = ["-m", "kf2v_pipeline.localserver", "--dir", str(folder / "server"), "--scenario", str(script)]
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            parts = urlsplit(process.stdout.readline().split()[-1])
            yield process, (str(parts.hostname), int(parts.port or 80))
        finally:
            process.terminate()


def serve_constants() -> None:
    """The peer: what Starlette and uvicorn take for themselves."""
    output = {"task_id": "0385dc79-5ff8-4d82-bcb6-000000000000", "task_status": "RUNNING", "submit_time": "2026-01-01"}
    reply = {"request_id": "85c25460-6440-91a7-b14e-2978fe60bd0f", "output": output}

    async def answer(request: Request) -> JSONResponse:
        await request.body()
        return JSONResponse(reply)

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(f"Peer at http://127.0.0.1:{listener.getsockname()[1]}/api/v1", flush=True)
    uvicorn.Server(uvicorn.Config(app, http="h11", ws="none", log_config=None, access_log=False)).run([listener])


def rss_mb(pid: int) -> float:
    """Resident memory (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_s(pid: int) -> float:
    """CPU seconds since the process began (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --------------------------------------------------------------------------------------------------------- the table


@dataclass(frozen=True, kw_only=True)
class Figures:
    load: Load
    seconds: float
    rss_mb: tuple[float, float, float]
    cpu_s: float

    @property
    def requests(self) -> int:
        return sum(map(len, self.load.took_ms.values()))

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds a request."""
        return self.cpu_s * 1000 / max(self.requests, 1)


async def measure(process: subprocess.Popen[str], address: tuple[str, int], options: argparse.Namespace) -> Figures:
    load = Load()
    listers = round(options.pollers * LIST_SHARE)
    kinds = ["create"] * options.creators + ["list"] * listers + ["get"] * (options.pollers - listers)
    clients = [asyncio.ensure_future(client(load, kind, address, options.pause_s)) for kind in kinds]
    await asyncio.sleep(SETTLE_S)
    load.measuring, begun, before_s = True, time.perf_counter(), cpu_s(process.pid)
    memory = [rss_mb(process.pid)]
    for _ in range(2):
        await asyncio.sleep(options.seconds / 2)
        memory.append(rss_mb(process.pid))
    load.measuring, load.ended = False, True
    used_s, seconds = cpu_s(process.pid) - before_s, time.perf_counter() - begun
    await asyncio.gather(*clients)
    return Figures(load=load, seconds=seconds, rss_mb=(memory[0], memory[1], memory[2]), cpu_s=used_s)


def percentile(values: list[float], percent: int) -> float:
    return quantiles(values, n=100)[percent - 1] if len(values) > 1 else float("nan")


def add_rows(table: Table, name: str, figures: Figures) -> None:
    for operation, took_ms in figures.load.took_ms.items():
        statuses = figures.load.statuses[operation]
        other = sum(count for status, count in statuses.items() if status not in (200, 429))
        memory = [" → ".join(f"{mb:.0f}" for mb in figures.rss_mb), f"{figures.cpu_s:.2f}", f"{figures.cpu_ms:.2f}"]
        table.add_row(
            f"{name}: {operation}",
            str(len(took_ms)),
            f"{len(took_ms) / figures.seconds:.0f}",
            f"{statuses[200] / figures.seconds:.1f}",
            str(statuses[429]),
            str(other),
            f"{percentile(took_ms, 50):.1f}",
            f"{percentile(took_ms, 99):.1f}",
            *(memory if operation == "get" else ["", "", ""]),
        )
    table.add_section()


def add_ratios(table: Table, name: str, ours: Figures, peer: Figures) -> None:
    looks = [percentile(ours.load.took_ms["get"], p) / percentile(peer.load.took_ms["get"], p) for p in (50, 99)]
    cpu = f"x {ours.cpu_ms / peer.cpu_ms:.2f}"
    table.add_row(f"{name} / peer: get", "", "", "", "", "", *(f"x {ratio:.2f}" for ratio in looks), "", "", cpu)


def verdicts(figures: dict[str, Figures]) -> list[str]:
    """What must hold, as far as it does not."""
    ours = figures["vendor's quotas"]
    passed = {name: statuses[200] for name, statuses in ours.load.statuses.items()}
    windows = ours.seconds / 0.95 + 1  # its window of a second is 0.95 s long, and one more may begin
    wrong = [
        f"{count} {what} were let through in {ours.seconds:.1f} s, beyond {quota} a second"
        for what, count, quota in (("creates", passed["create"], 2), ("looks", passed["get"] + passed["list"], 20))
        if count > windows * quota
    ]
    for name, one in figures.items():
        others = sum((Counter(counts) for counts in one.load.statuses.values()), Counter())
        wrong += [f"{name}: status {status}, {others[status]} times" for status in others if status not in (200, 429)]
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="of load on each server")
    parser.add_argument("--pollers", type=int, default=200)
    parser.add_argument("--creators", type=int, default=20)
    parser.add_argument("--pause-s", type=float, default=0.5, help="mean time between a reply and the next request")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        serve_constants()
        return
    title = f"{options.pollers} clients poll, {options.creators} create, {options.seconds:g} s"
    columns = ("requests", "/s", "200 /s", "429", "other", "p50 ms", "p99 ms", "RSS MB", "CPU s", "CPU ms/request")
    table = Table("", title=title)
    for column in columns:
        table.add_column(column, justify="right")
    figures = {}
    for name in SERVERS:
        with tempfile.TemporaryDirectory() as folder, serving(name, Path(folder)) as (process, address):
            figures[name] = asyncio.run(measure(process, address, options))
        add_rows(table, name, figures[name])
    for name in SERVERS:
        if name != "peer":
            add_ratios(table, name, figures[name], figures["peer"])
    Console(width=150).print(table)
    wrong = verdicts(figures)
    if wrong:
        sys.exit("; ".join(wrong))


if __name__ == "__main__":
    main()
