"""Fixtures of all tests: frames, manifests, the local server."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from PIL import Image
from scenarios import QUICK

from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.scenario import Scenario

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")  # a test says what is right; how fast this machine is at the moment is no part of it

MEMORY = Path("/dev/shm")  # noqa: S108  pytest makes a folder in it that only its owner may enter
ROOM_BYTES = 2 * 1024**3
"""Several times what the folders of all tests take at once."""

WriteManifest = Callable[..., Path]


def pytest_configure(config: pytest.Config) -> None:
    """Lets the tests' folders lie in memory where it has room: else databases wait for the disk half of the time.

    ``--basetemp`` wins, and so does this variable of pytest's where it is set.
    """
    if config.option.basetemp is None and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def make_frame(path: Path, *, size: tuple[int, int] = (640, 360), shade: int = 90) -> Path:
    """Writes a picture with something to see in it: two ramps of colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = Image.linear_gradient("L").resize(size)
    Image.merge("RGB", (ramp, ramp.rotate(180), Image.new("L", size, shade))).save(path)
    return path


@pytest.fixture
def write_manifest(tmp_path: Path) -> WriteManifest:
    """Writes a manifest of good rows, with frames of their own: ``write_manifest("a", "b", prompt="...")``."""

    def write(*clip_ids: str, rows: Mapping[str, Mapping[str, Any]] | None = None, **options: Any) -> Path:
        lines = []
        for number, clip_id in enumerate(clip_ids):
            frames = tmp_path / "frames"
            make_frame(frames / f"{number}-first.png", shade=40 + number)
            make_frame(frames / f"{number}-last.png", shade=140 + number)
            line = {
                "clip_id": clip_id,
                "first_frame": f"frames/{number}-first.png",
                "last_frame": f"frames/{number}-last.png",
                "prompt": f"A slow pan, take {number}",
                "resolution": "480P",
            }
            lines.append({**line, **options, **(rows or {}).get(clip_id, {})})
        path = tmp_path / "manifest.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list({name: None for line in lines for name in line}))
            writer.writeheader()
            writer.writerows(lines)
        return path

    return write


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., LocalServer]]:
    """Starts local servers on free ports; they stop with the test. Quick unless the scenario says so."""
    started: list[LocalServer] = []

    def start(**scenario: Any) -> LocalServer:
        options = {**QUICK, **scenario}
        server = LocalServer(directory=tmp_path / f"server-{len(started)}", scenario=Scenario(**options))
        server.__enter__()
        started.append(server)
        return server

    yield start
    for server in started:
        server.__exit__(None, None, None)
