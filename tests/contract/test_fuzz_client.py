"""Replies that nobody should send: our client makes of each an answer, or an error of ours that tells no secret, soon.

A server on a bare socket answers every request with what hypothesis made. Timeouts are cut by the transport, the seam.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.domain.reading import Created, Reading, TaskPage
from kf2v_pipeline.errors import Kf2vError, NotSent, ReplyLost, ServiceError
from kf2v_pipeline.wan.catalog import load_catalog
from kf2v_pipeline.wan.client import WanClient

KEY = "sk-canary-0123456789abcdef"
PATIENCE_S = 0.1
"""How long the transport waits for the next bytes of a reply."""

HANGS_S = 10
"""A call that takes longer hangs: its test fails."""

FRAME = Frame(location="/f.png", sha256="0" * 64, width=320, height=240, size_bytes=1000, format="PNG")
CLIP = Clip(
    clip_id="c",
    row=1,
    service="local",
    model="wan2.2-kf2v-flash",
    resolution="480P",
    first_frame=FRAME,
    last_frame=FRAME,
)


class Hasty(httpx.AsyncHTTPTransport):
    """The network, without patience."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["timeout"] = {**request.extensions["timeout"], "read": PATIENCE_S}
        return await super().handle_async_request(request)


async def read_film(client: WanClient, base_url: str) -> bytes:
    async with client.download(f"{base_url}/v.mp4?Signature=canary", start_byte=5) as download:
        return b"".join([chunk async for chunk in download])


Use = Callable[[WanClient, str], Awaitable[Any]]
CALLS: dict[str, tuple[Use, tuple[type, ...]]] = {
    "create": (
        lambda client, _: client.create(CLIP, first_frame_url="oss://a", last_frame_url="oss://b"),
        (Created, ServiceError, ReplyLost),
    ),
    "get": (lambda client, _: client.get("t-1"), (Reading, ServiceError, ReplyLost)),
    "list": (lambda client, _: client.list(), (TaskPage, ServiceError, ReplyLost)),
    "cancel": (lambda client, _: client.cancel("t-1"), (type(None), ServiceError, ReplyLost)),
    "upload": (lambda client, _: client.upload("a.png", b"\x89PNG", "m"), (str, ServiceError, ReplyLost, NotSent)),
    "download": (read_film, (bytes, ServiceError, ReplyLost)),
}
"""Each call and what may come of it. Only an upload meets a second server, which may be out of reach."""

# ---------------------------------------------------------------------------------------------------------- replies

TASK = {"task_id": "t-1", "task_status": "SUCCEEDED", "video_url": "https://b.oss.com/v.mp4?Signature=canary"}
BODIES = [
    {"output": {"task_id": "t-1", "task_status": "PENDING"}, "request_id": "r"},
    {"output": TASK, "usage": {"video_duration": 5, "video_count": 1, "SR": "720"}, "request_id": "r"},
    {"output": {"task_id": "t-1", "task_status": "FAILED", "code": "E", "message": f"key {KEY}"}},
    {"total": 1, "data": [{"task_id": "t-1", "status": "RUNNING", "gmt_create": 1745568428109}], "page_no": 1},
    {"data": {"upload_host": "http://127.0.0.1:9/", "upload_dir": "d", "signature": "canary", "policy": "canary"}},
    {"code": "InvalidApiKey", "message": f"Incorrect API key provided: {KEY}.", "request_id": "r"},
    {"output": None},
    [],
    None,
]
STATUS = st.sampled_from(
    [b"200 OK", b"206 Partial", b"302 There", b"400 Bad", b"401 No", b"416 No", b"429 Slow", b"500 Oh", b"503 No"]
)
HEADER = st.sampled_from(
    [
        b"Content-Type: application/json",
        b"Content-Type: text/html",
        b"Content-Type: \xff\xfe",
        b"Content-Encoding: gzip",
        b"Content-Encoding: nonsense",
        b"Content-Range: bytes 5-9/10",
        b"Content-Range: bytes 99999999999999999999-/*",
        b"Content-Length: 0",
        b"Content-Length: 99999999999",
        b"Content-Length: -5",
        b"Transfer-Encoding: chunked",
        b"Location: http://[",
        b"Location: /again",
        b"Set-Cookie: a=\x00",
        b"Connection: close",
        b"X: " + b"a" * 70_000,
        b"no header at all",
    ]
)
BODY = (
    st.sampled_from(BODIES).map(lambda body: json.dumps(body).encode())
    | st.binary(max_size=64)
    | st.sampled_from([b"<html>502</html>", b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"[" * 50_000, b"\x1f\x8b\x08junk"])
)
END = st.sampled_from(["close", "reset", "silence"])


@st.composite
def replies(draw: st.DrawFn) -> tuple[bytes, str]:
    """Bytes of a reply, right or nearly, and what the server does then."""
    body = draw(BODY)
    headers = draw(st.lists(HEADER, max_size=4))
    if draw(st.booleans()):
        headers.append(b"Content-Length: %d" % len(body))
    reply = b"\r\n".join([b"HTTP/1.1 " + draw(STATUS), *headers, b"", body])
    cut = draw(st.none() | st.integers(0, len(reply)))
    return reply[:cut], draw(END)


RAW = st.tuples(st.binary(max_size=200), END)


class Nonsense:
    """A server that answers every request with the same bytes; counts the requests."""

    def __init__(self, reply: bytes, end: str) -> None:
        self._reply, self._end = reply, end
        self.asked = 0

    async def __aenter__(self) -> Nonsense:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/api/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            writer.write(self._reply)
            if self._end == "silence":
                await reader.read()  # until the client has had enough
            elif self._end == "reset":
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(1, 13, linger)
            writer.close()
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()


def outcome(call: str, reply: bytes, end: str) -> tuple[Any, int]:
    """What the client made of it: an answer or an error; and how often it asked."""
    use = CALLS[call][0]

    async def main() -> tuple[Any, int]:
        async with Nonsense(reply, end) as server:
            service = load_catalog().service("local").evolve(base_url=server.base_url)
            async with WanClient(service, KEY, transport=Hasty(verify=False), clock=now) as client:
                try:
                    return await asyncio.wait_for(use(client, server.base_url), HANGS_S), server.asked
                except Kf2vError as error:
                    return error, server.asked

    return asyncio.run(main())


def now() -> datetime:
    return datetime(2026, 5, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize("call", CALLS)
def test_any_reply_is_an_answer_or_an_error_of_ours(call: str) -> None:
    @settings(
        max_examples=40,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(replies() | RAW)
    def answer(reply: tuple[bytes, str]) -> None:
        got, asked = outcome(call, *reply)
        told = "" if isinstance(got, bytes) else f"{got} {got!r} {vars(got) if isinstance(got, Exception) else ''}"
        assert isinstance(got, CALLS[call][1])
        assert "canary" not in told
        assert "Traceback" not in told
        assert asked == 1 or call in ("upload", "download"), "a request is sent once"

    answer()
