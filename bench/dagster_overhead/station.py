"""What runs in one measurement: a local server, Dagster's code server and its daemon, each a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

import dagster as dg
from dagster._core.scheduler.instigation import TickStatus

from bench.dagster_overhead.processes import cpu_s, tree
from kf2v_pipeline.orchestration.instance import prepare_dagster_home

T = TypeVar("T")
PATIENCE_S = 3600.0


def wait_for(what: str, condition: Callable[[], T | None], *, every_s: float = 0.2) -> T:
    """What the condition gives once it is true."""
    ends_at = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        if time.monotonic() > ends_at:
            raise TimeoutError(f"waited in vain until {what}")
        time.sleep(every_s)  # other processes are waited for, and looking more often would cost what is measured
    return found


@contextmanager
def serving(folder: Path, scenario: Mapping[str, object]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A local server's process and address."""
    folder.mkdir(parents=True)
    script = folder / "scenario.json"
    script.write_text(json.dumps(scenario), encoding="utf-8")
    command = [sys.executable, "-m", "kf2v_pipeline.localserver", "--dir", str(folder), "--scenario", str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.terminate()


@dataclass
class Station:
    """Dagster in its parts.

    Attributes:
        code: Root of the code server's processes, the workers of runs among them.
        daemon: The daemon's process.
        began: CPU seconds of both when the first tick was done: what starting up takes is not counted.
    """

    home: Path
    code: int
    daemon: int
    began: tuple[float, float] = (0.0, 0.0)

    @property
    def used_s(self) -> tuple[float, float]:
        """CPU seconds of code server with runs, and of the daemon, since the first tick."""
        return cpu_s(self.code) - self.began[0], cpu_s(self.daemon) - self.began[1]

    def workers(self) -> list[int]:
        """The processes of runs."""
        return [pid for pid in tree(self.code) if "spawn_main" in _command(pid)]

    def ticks_s(self) -> list[float]:
        """How long each tick of each sensor took."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            return [
                tick.end_timestamp - tick.timestamp
                for state in instance.all_instigator_state()
                for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id)
                if tick.status is not TickStatus.STARTED and tick.end_timestamp
            ]

    def runs(self, job: str) -> int:
        """How many runs of a job have ended."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
            return instance.get_runs_count(dg.RunsFilter(job_name=job, statuses=ended))


@contextmanager
def dagster(folder: Path, location: Path, environment: Mapping[str, str]) -> Iterator[Station]:
    """Code server and daemon on an instance of their own, as in production: ``dagster code-server start``."""
    home, port = prepare_dagster_home(folder / "dagster"), _free_port()
    workspace = folder / "workspace.yaml"
    workspace.write_text(f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {port}}}\n", encoding="utf-8")
    environment = {**os.environ, **environment, "DAGSTER_HOME": str(home), "PYTHONDONTWRITEBYTECODE": ""}
    with ExitStack() as stack:
        start = stack.enter_context(_processes(folder, environment))
        code = start("code-server", ["dagster", "code-server", "start", "-f", str(location), "-p", str(port)])
        wait_for("the code server listens", lambda: _listens(port))
        daemon = start("daemon", ["dagster._daemon", "run", "-w", str(workspace)])
        station = Station(home, code.pid, daemon.pid)
        wait_for("the first tick is done", station.ticks_s)
        station.began = cpu_s(code.pid), cpu_s(daemon.pid)
        yield station


@contextmanager
def _processes(
    folder: Path, environment: Mapping[str, str]
) -> Iterator[Callable[[str, list[str]], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with (folder / f"{name}.log").open("wb") as log:
            arguments = [sys.executable, "-m", *command]
            process = subprocess.Popen(arguments, env=environment, stdout=log, stderr=log, start_new_session=True)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in reversed(started):
            for pid in list(tree(process.pid)):
                os.kill(pid, signal.SIGKILL)
            process.wait()


def summary(ticks_s: list[float]) -> str:
    """Ticks in words."""
    return f"{len(ticks_s)} ticks, median {median(ticks_s):.2f} s, longest {max(ticks_s):.2f} s"


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
