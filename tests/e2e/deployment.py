"""A project as a person has it: manifest, local server, and the command that opens Dagster's web UI on both."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, ImageOps
from waiting import wait_for

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.scenario import Scenario
from kf2v_pipeline.settings import API_KEY_NAME, PREFIX, Settings
from kf2v_pipeline.storage.ledger import Ledger
from kf2v_pipeline.workflow.driver import living_drivers

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "data" / "manifest.csv"
QUICK = {"stand_in": True, "stand_in_px": 320, "submit_rps": 1000, "in_process": 6}
"""A service without the vendor's waits, whose films are cuts, and large enough to be photographed in the UI."""

CATALOG = """\
[services."{service}"]
needs_key = false

[services."{service}".models."wan2.2-kf2v-flash"]
creates_per_second = 20
tasks_in_process = 6
"""
"""An account that may do more at once than the vendor's own."""


class LaggingClock:
    """A service whose clock is behind ours: what ends, ended long ago, so that failed tasks are tried again at once."""

    def __init__(self, lag: timedelta) -> None:
        self._lag = lag

    def now(self) -> datetime:
        """The present instant as the service sees it, aware UTC."""
        return datetime.now(timezone.utc) - self._lag


def write_batch(folder: Path, *, clips: int) -> None:
    """Writes a manifest of small photographs: the pairs of the examples, again and again."""
    frames = folder / "frames"
    frames.mkdir(parents=True)
    for path in EXAMPLES.parent.glob("frames/*.jpg"):
        with Image.open(path) as image:
            ImageOps.cover(image, (260, 260)).save(frames / path.name)
    with EXAMPLES.open(encoding="utf-8", newline="") as file:
        examples = list(csv.DictReader(file))
    rows = []
    for number, row in enumerate(islice(cycle(examples), clips)):
        take = 1 + number // len(examples)
        rows.append(
            {
                "clip_id": f"{row['clip_id']}-{take}",
                "first_frame": row["first_frame"],
                "last_frame": row["last_frame"],
                "prompt": f"{row['prompt']} Take {take}.",
                "resolution": "480P",
                "seed": take,
            }
        )
    write_rows(folder / "manifest.csv", rows)


def read_rows(manifest: Path) -> list[dict[str, Any]]:
    """The rows of a manifest."""
    with manifest.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(manifest: Path, rows: list[dict[str, Any]]) -> None:
    """Writes a manifest."""
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@dataclass
class Deployment:
    """One project in a folder of its own.

    Attributes:
        service: What ``KF2V_SERVICE`` is: ``local``, or ``url`` for the local server by its address.
        lag: How far the service's clock is behind.
    """

    folder: Path
    port: int
    service: str = "local"
    lag: timedelta = timedelta(0)
    server: LocalServer | None = None
    ui: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where the web UI is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def manifest(self) -> Path:
        """The manifest, to be edited."""
        return self.folder / "manifest.csv"

    @property
    def settings(self) -> Settings:
        """The settings that the web UI is started with."""
        assert self.server
        return Settings(
            manifest=str(self.manifest),
            storage=str(self.folder / "output"),
            home=self.folder / "home",
            service=self._service_name,
            catalog=self.folder / "catalog.toml",
        )

    @property
    def _service_name(self) -> str:
        assert self.server
        return self.server.base_url if self.service == "url" else self.service

    def prompts(self) -> dict[str, str]:
        """What the manifest asks for, by clip."""
        return {row["clip_id"]: row["prompt"] for row in read_rows(self.manifest)}

    def change_prompt(self, clip_id: str, prompt: str) -> None:
        """What a person does to the manifest in an editor."""
        write_rows(
            self.manifest,
            [row | {"prompt": prompt} if row["clip_id"] == clip_id else row for row in read_rows(self.manifest)],
        )

    # The service.

    def serve(self, **scenario: Any) -> None:
        """Starts the project's local server with a scenario; a server that runs already gives way, its tasks stay."""
        if self.server:
            self.server.__exit__(None, None, None)
        clock = LaggingClock(self.lag) if self.lag else None
        options = {**QUICK, **scenario}
        self.server = LocalServer(self.folder / "home" / "server", scenario=Scenario(**options), clock=clock)
        self.server.__enter__()
        (self.folder / "catalog.toml").write_text(CATALOG.format(service=self._service_name), encoding="utf-8")

    def billed_tasks(self) -> Counter[str]:
        """Tasks that the service bills, by prompt."""
        assert self.server
        return Counter(create["prompt"] for create in self.server.journal()["creates"] if create["billed"])

    def created_tasks(self) -> Counter[str]:
        """Tasks that the service made, by prompt."""
        assert self.server
        return Counter(create["prompt"] for create in self.server.journal()["creates"] if create["task_id"])

    def wait_for_stored(self, count: int) -> None:
        """Waits until at least so many videos are stored; the ledger is made by whoever needs it first."""
        wait_for("there is a ledger", (self.folder / "home" / "ledger.db").exists)
        with Ledger.open(self.settings.ledger_url) as ledger:
            wait_for(f"{count} videos are stored", lambda: len(ledger.attempts(states={State.STORED})) >= count)

    # The web UI.

    def open_ui(self) -> None:
        """Starts ``kf2v ui``, and waits until it answers and has loaded the project."""
        inherited = {n: v for n, v in os.environ.items() if not n.startswith(PREFIX) and n != API_KEY_NAME}
        environment = {
            **inherited,
            **self.settings.to_environment(),
            "NO_PROXY": "127.0.0.1",
            "PYTHONUNBUFFERED": "1",
        }
        log = (self.folder / "ui.log").open("ab")
        with log:
            self.ui = subprocess.Popen(
                [str(Path(sys.executable).with_name("kf2v")), "ui", "--port", str(self.port)],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for("the web UI has loaded the project", self._is_loaded)

    def close_ui(self) -> None:
        """Stops it as Ctrl-C in its terminal does."""
        if self.ui and self.ui.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.ui.pid, signal.SIGINT)
            self._wait_until_gone()

    def kill_daemon(self) -> None:
        """Kills Dagster's daemon at once; the command ends, since it watches over it."""
        assert self.ui
        daemon = next(pid for pid in children(self.ui.pid) if "dagster._daemon" in command_of(pid))
        os.kill(daemon, signal.SIGKILL)
        self._wait_until_gone()

    def kill_run_worker(self) -> str:
        """Kills the process that drives the clips at once; gives the id of the run that it worked for."""
        with Ledger.open(self.settings.ledger_url) as ledger:
            drivers = living_drivers(ledger, at=datetime.now(timezone.utc), stale_after=timedelta(seconds=60))
        (driver,) = drivers
        os.kill(driver.pid, signal.SIGKILL)
        assert driver.run_id
        return driver.run_id

    def close(self) -> None:
        """Stops everything."""
        self.close_ui()
        if self.server:
            self.server.__exit__(None, None, None)

    def _wait_until_gone(self) -> None:
        assert self.ui
        try:
            self.ui.wait(60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.ui.pid, signal.SIGKILL)

    def _is_loaded(self) -> bool:
        assert self.ui
        assert self.ui.poll() is None, (self.folder / "ui.log").read_text(encoding="utf-8")
        query = "{workspaceOrError{...on Workspace{locationEntries{locationOrLoadError{__typename}}}}}"
        try:
            reply = httpx.post(f"{self.address}/graphql", json={"query": query}, timeout=10, trust_env=False)
        except httpx.HTTPError:
            return False
        return "RepositoryLocation" in reply.text


def children(pid: int) -> list[int]:
    """Processes that a process started (Linux)."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def command_of(pid: int) -> str:
    """A process's command line (Linux)."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
