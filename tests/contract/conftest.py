"""What the contract tests share: a local server whose films cost nothing, the vendor's SDK pointed at it, frames."""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import dashscope
import pytest
from PIL import Image

from kf2v_pipeline.localserver.clock import Clock
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.scenario import Scenario


def picture(color: str, size: tuple[int, int] = (320, 240)) -> bytes:
    """A PNG file of one color."""
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return file.getvalue()


def data_uri(color: str, size: tuple[int, int] = (320, 240)) -> str:
    """The same as a ``data:`` URI."""
    return "data:image/png;base64," + base64.b64encode(picture(color, size)).decode()


class Serve(Protocol):
    """Starts a server and points the SDK at it."""

    def __call__(self, scenario: Scenario, clock: Clock | None = None) -> LocalServer: ...


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts servers that stop after the test; the SDK's own settings point at the last one."""
    with contextlib.ExitStack() as stack:

        def start(scenario: Scenario, clock: Clock | None = None) -> LocalServer:
            server = stack.enter_context(LocalServer(tmp_path / "server", scenario=scenario, clock=clock))
            monkeypatch.setattr(dashscope, "base_http_api_url", server.base_url)
            monkeypatch.setattr(dashscope, "api_key", "sk-contract")
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            return server

        yield start


@pytest.fixture
def sdk(serve: Serve) -> LocalServer:
    """A server on which an hour passes in half a minute, so that quotas never wait."""
    return serve(Scenario(stand_in=True, speed=120))


@pytest.fixture
def frames() -> dict[str, str]:
    """First and last frame as the SDK's arguments, inside the request."""
    return {"first_frame_url": data_uri("red"), "last_frame_url": data_uri("blue")}


@pytest.fixture
def inline() -> Callable[[str, tuple[int, int]], str]:
    """Makes a frame of a color and a size as a ``data:`` URI."""
    return data_uri


@pytest.fixture
def frame_files(tmp_path: Path) -> tuple[Path, Path]:
    """First and last frame as files, in a folder whose name needs quoting in a URL."""
    folder = tmp_path / "two frames"
    folder.mkdir()
    paths = (folder / "first frame.png", folder / "last+frame.png")
    for path, color in zip(paths, ("red", "blue"), strict=True):
        path.write_bytes(picture(color))
    return paths
