"""Clips, services and clients of a test; each factory's defaults make something that is valid."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from typing import Any, TypeVar

import httpx
import pytest

from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.wan.catalog import Service, load_catalog
from kf2v_pipeline.wan.client import WanClient

T = TypeVar("T")
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=timezone.utc)
KEY = "sk-canary-0123456789abcdef"
Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def make_frame() -> Callable[..., Frame]:
    def make(**changes: Any) -> Frame:
        fields = {
            "location": "/frames/first.png",
            "sha256": "0" * 64,
            "width": 640,
            "height": 480,
            "size_bytes": 1000,
            "format": "PNG",
        }
        return Frame(**{**fields, **changes})

    return make


@pytest.fixture
def make_clip(make_frame: Callable[..., Frame]) -> Callable[..., Clip]:
    def make(**changes: Any) -> Clip:
        fields = {
            "clip_id": "cat",
            "row": 1,
            "service": "beijing",
            "model": "wan2.2-kf2v-flash",
            "resolution": "480P",
            "first_frame": make_frame(),
            "last_frame": make_frame(location="/frames/last.png"),
        }
        return Clip(**{**fields, **changes})

    return make


@pytest.fixture
def beijing() -> Service:
    return load_catalog().service("beijing")


@pytest.fixture
def ask(beijing: Service) -> Callable[..., Any]:
    """Runs one coroutine with an open client over a handler of requests: ``ask(handler, lambda client: …)``."""

    def run(
        handler: Handler, use: Callable[[WanClient], Awaitable[T]], service: Service = beijing, **options: Any
    ) -> T:
        async def main() -> T:
            transport = httpx.MockTransport(handler)
            async with WanClient(service, KEY, transport=transport, clock=lambda: NOW, **options) as client:
                return await use(client)

        return asyncio.run(main())

    return run


@pytest.fixture
def create(ask: Callable[..., Any], make_clip: Callable[..., Clip]) -> Callable[..., Any]:
    """Sends one create of a plain clip over a handler of requests."""

    def run(handler: Handler, **options: Any) -> Any:
        urls = {
            "first_frame_url": options.pop("first_frame_url", "https://e.com/1.png"),
            "last_frame_url": options.pop("last_frame_url", "https://e.com/2.png"),
        }
        clip = options.pop("clip", None) or make_clip()
        return ask(handler, lambda client: client.create(clip, **urls), **options)

    return run


class Answers:
    """A handler that gives every request the same reply, and keeps the requests."""

    def __init__(self, status: int = 200, body: object = None, *, headers: dict[str, str] | None = None) -> None:
        self.seen: list[httpx.Request] = []
        self._status = status
        self._content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._headers = headers or {"content-type": "application/json"}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        return httpx.Response(self._status, content=self._content, headers=self._headers)


@pytest.fixture
def answer() -> type[Answers]:
    """Makes a handler: ``answer(200, {"output": …})``."""
    return Answers
