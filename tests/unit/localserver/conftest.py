"""What the tests over HTTP share: servers that stop after the test, and a client that asks them."""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from PIL import Image

from kf2v_pipeline.localserver.clock import Clock
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.scenario import Scenario

HEADERS = {"Authorization": "Bearer sk-x", "X-DashScope-Async": "enable"}


def data_uri(color: str) -> str:
    file = io.BytesIO()
    Image.new("RGB", (320, 240), color).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


class Asker:
    """Asks one server, as the bare HTTP."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.base_url, headers=HEADERS, trust_env=False, timeout=30)

    def create(self, prompt: str = "p", **changes: Any) -> httpx.Response:
        frames = {"first_frame_url": data_uri("red"), "last_frame_url": data_uri("blue")}
        body = {"model": "wan2.2-kf2v-flash", "input": {**frames, "prompt": prompt}, "parameters": {}, **changes}
        return self.http.post("/services/aigc/image2video/video-synthesis", json=body)

    def task(self, prompt: str = "p", **changes: Any) -> str:
        return str(self.create(prompt, **changes).json()["output"]["task_id"])

    def get(self, task_id: str) -> dict[str, Any]:
        output: dict[str, Any] = self.http.get(f"/tasks/{task_id}").json()["output"]
        return output

    def download(self, url: str, **options: Any) -> httpx.Response:
        return httpx.get(url, trust_env=False, timeout=30, **options)

    def own(self, name: str) -> httpx.Response:
        return httpx.get(self.server.base_url.replace("/api/v1", f"/_server/{name}"), trust_env=False)


class Serve(Protocol):
    """Starts a server and gives who asks it."""

    def __call__(self, scenario: Scenario | None = None, clock: Clock | None = None) -> Asker: ...


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts servers of the same directory, one after the other; each stops the one before."""
    with contextlib.ExitStack() as stack:

        def start(scenario: Scenario | None = None, clock: Clock | None = None) -> Asker:
            stack.close()
            chosen = scenario or Scenario(stand_in=True, stand_in_px=64, submit_rps=50)
            asker = Asker(stack.enter_context(LocalServer(tmp_path / "server", scenario=chosen, clock=clock)))
            stack.enter_context(asker.http)
            return asker

        yield start
