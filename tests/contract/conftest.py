"""What the contract tests share: frames, local servers, and who asks them; what ``--live`` means."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import dashscope
import pytest
from contract.asker import Asker, Ours, Sdk
from PIL import Image

from kf2v_pipeline.localserver.clock import Clock
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.scenario import Scenario
from kf2v_pipeline.wan.catalog import load_catalog

KEY = "sk-contract"
FAST = Scenario(stand_in=True, speed=120)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--live", action="store_true", help="also ask the real service, what costs nothing (tests/contract)"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The real service is asked only by who says so."""
    if not config.getoption("--live", False):
        live = [item for item in items if item.get_closest_marker("live")]
        if live:
            config.hook.pytest_deselected(items=live)
            items[:] = [item for item in items if item not in live]


# ---------------------------------------------------------------------------------------------------------- frames


def picture(color: str, size: tuple[int, int] = (320, 240), kind: str = "PNG", mode: str = "RGB") -> bytes:
    """A picture of one color."""
    file = io.BytesIO()
    Image.new(mode, size, color).save(file, kind)
    return file.getvalue()


def data_uri(color: str, size: tuple[int, int] = (320, 240), kind: str = "PNG", mode: str = "RGB") -> str:
    """The same as a ``data:`` URI."""
    return f"data:image/{kind.lower()};base64," + base64.b64encode(picture(color, size, kind, mode)).decode()


@pytest.fixture
def frames() -> dict[str, str]:
    """First and last frame as the SDK's arguments, inside the request."""
    return {"first_frame_url": data_uri("red"), "last_frame_url": data_uri("blue")}


@pytest.fixture
def pair() -> dict[str, str]:
    """The same as an asker takes them."""
    return {"first": data_uri("red"), "last": data_uri("blue")}


@pytest.fixture
def inline() -> Callable[..., str]:
    """Makes a frame as a ``data:`` URI: ``inline("red", (320, 240), "PNG", "RGB")``."""
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


# --------------------------------------------------------------------------------------------------------- servers


class Serve(Protocol):
    """Starts a server and points the SDK at it."""

    def __call__(self, scenario: Scenario, clock: Clock | None = None) -> LocalServer: ...


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts servers that stop after the test; the SDK's own settings point at the last one."""
    with contextlib.ExitStack() as stack:

        def start(scenario: Scenario, clock: Clock | None = None) -> LocalServer:
            server = stack.enter_context(LocalServer(tmp_path / "server", scenario=scenario, clock=clock))
            point_sdk_at(server.base_url, KEY, monkeypatch)
            return server

        yield start


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server for all tests that look only at tasks of their own; its clock runs so fast that quotas never wait."""
    with LocalServer(tmp_path_factory.mktemp("shared"), scenario=FAST) as server:
        yield server


@pytest.fixture
def sdk(shared: LocalServer, monkeypatch: pytest.MonkeyPatch) -> LocalServer:
    """The shared server, and the SDK pointed at it."""
    point_sdk_at(shared.base_url, KEY, monkeypatch)
    return shared


def point_sdk_at(base_url: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK reads these at every call."""
    monkeypatch.setattr(dashscope, "base_http_api_url", base_url)
    monkeypatch.setattr(dashscope, "api_key", key)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


# ---------------------------------------------------------------------------------------------------------- askers


@pytest.fixture(params=[Sdk, Ours], ids=["sdk", "ours"])
def ask_at(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[LocalServer], Asker]:
    """Makes an asker of a local server."""

    def at(server: LocalServer) -> Asker:
        point_sdk_at(server.base_url, KEY, monkeypatch)
        asker: Asker = request.param(load_catalog().service("local").evolve(base_url=server.base_url), KEY)
        return asker

    return at


@pytest.fixture
def ask(ask_at: Callable[[LocalServer], Asker], shared: LocalServer) -> Asker:
    """An asker of the shared server."""
    return ask_at(shared)


@pytest.fixture(params=["local", pytest.param("live", marks=pytest.mark.live)])
def ask_free(
    request: pytest.FixtureRequest,
    ask_at: Callable[[LocalServer], Asker],
    shared: LocalServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Asker:
    """An asker of the shared server, and by ``--live`` of the real service: only for what can't make a video."""
    local = ask_at(shared)
    if request.param == "local":
        return local
    key, named = os.environ.get("DASHSCOPE_API_KEY"), os.environ.get("KF2V_SERVICE", "singapore")
    if not key:
        pytest.skip("DASHSCOPE_API_KEY is not set")
    service = load_catalog().service(named)
    if service.base_url is None:
        pytest.skip("KF2V_SERVICE names no real service")
    point_sdk_at(service.base_url, key, monkeypatch)
    time.sleep(1)  # the real quota is one create a second, and no clock of ours moves it
    return type(local)(service, key, live=True)
