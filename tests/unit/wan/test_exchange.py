"""What only a real connection can show: cut, refused, silent, garbled; and that a request is written once or never.

Each test has its own server, a few lines on a socket of this machine, which keeps every request that it read whole.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from typing import Any, TypeVar

import pytest
from ports import kept_port

from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.reading import Created
from kf2v_pipeline.errors import NotSent, ReplyLost
from kf2v_pipeline.wan.catalog import load_catalog
from kf2v_pipeline.wan.client import WanClient
from kf2v_pipeline.wan.exchange import exchange, open_http

T = TypeVar("T")
Reply = Callable[[asyncio.StreamWriter, int], Awaitable[None] | None]
ACCEPTED = b'{"output": {"task_status": "PENDING", "task_id": "t-1"}, "request_id": "r-1"}'


def http(status: str, body: bytes, *, length: int | None = None, kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body) if length is None else length}"
    return head.encode() + b"\r\n\r\n" + body


def sends(*pieces: bytes) -> Reply:
    """A reply that is written and then cut off."""

    def reply(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(b"".join(pieces))
        writer.close()

    return reply


class SocketServer:
    """Reads requests whole, keeps them, and hands each to ``reply`` with the count of those before."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.requests: list[bytes] = []
        self.port = 0

    async def __aenter__(self) -> "SocketServer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                body = await reader.readexactly(int(lengths[0][15:]) if lengths else 0)
                self.requests.append(head + body)
                replied = self._reply(writer, len(self.requests) - 1)
                if replied is not None:
                    await replied
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            writer.close()


def clock() -> datetime:
    return datetime(2026, 5, 1, 12, 0, tzinfo=timezone.utc)


def talk(reply: Reply, use: Callable[[WanClient, SocketServer], Awaitable[T]]) -> tuple[T, SocketServer]:
    """Runs the coroutine with a client of a server that replies so."""

    async def main() -> tuple[T, SocketServer]:
        async with SocketServer(reply) as server:
            service = load_catalog().service(f"http://127.0.0.1:{server.port}/api/v1")
            async with WanClient(service, "sk-canary", clock=clock) as client:
                return await use(client, server), server

    return asyncio.run(main())


@pytest.fixture
def creates(make_clip: Callable[..., Clip]) -> Callable[..., Awaitable[Any]]:
    async def run(client: WanClient, *_: object) -> Any:
        try:
            return await client.create(make_clip(), first_frame_url="oss://d/1", last_frame_url="oss://d/2")
        except (NotSent, ReplyLost) as error:
            return error

    return run


Creates = Callable[..., Awaitable[Any]]


def reset(writer: asyncio.StreamWriter, _: int) -> None:
    writer.transport.abort()


def test_a_create_over_a_real_connection_names_its_task(creates: Creates) -> None:
    created, server = talk(sends(http("200 OK", ACCEPTED)), creates)
    assert created == Created(task_id="t-1", request_id="r-1")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(sends(), id="closed without a reply"),
        pytest.param(reset, id="reset without a reply"),
        pytest.param(sends(b"HTTP/1.1 200 OK\r\nContent-Le"), id="cut in the headers"),
        pytest.param(sends(http("200 OK", ACCEPTED[:20], length=len(ACCEPTED))), id="cut in the body"),
        pytest.param(sends(http("200 OK", ACCEPTED[:20])), id="truncated JSON"),
        pytest.param(sends(http("502 Bad Gateway", b"<html>502</html>", kind="text/html")), id="HTML of a gateway"),
        pytest.param(sends(http("200 OK", b"<html>hello</html>", kind="text/html")), id="HTML with success"),
        pytest.param(sends(b"\x15\x03\x01\x00\x02\x02\x16"), id="no HTTP at all"),
        pytest.param(sends(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot gzip"), id="broken compression"),
        pytest.param(sends(http("200 OK", b" " * 9_000_000 + ACCEPTED)), id="endless"),
        pytest.param(sends(b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"), id="redirect"),
        pytest.param(
            sends(b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n"), id="bad redirect"
        ),
    ],
)
def test_a_create_that_was_written_and_not_answered_is_lost_and_was_written_once(
    creates: Creates, reply: Reply
) -> None:
    error, server = talk(reply, creates)
    assert isinstance(error, ReplyLost)
    assert "canary" not in f"{error!r}"
    assert len(server.requests) == 1


def test_a_refused_connection_means_that_nothing_was_sent(creates: Creates) -> None:
    async def main() -> Any:
        service = load_catalog().service(f"http://127.0.0.1:{port}/api/v1")
        async with WanClient(service, None, clock=clock) as client:
            return await creates(client)

    with kept_port() as port:
        error = asyncio.run(main())
    assert isinstance(error, NotSent)
    assert str(error) == "create: no connection could be made"


def test_a_host_that_speaks_no_tls_was_sent_nothing(creates: Creates) -> None:
    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ready\r\n")
        writer.close()

    async def main() -> Any:
        async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            service = load_catalog().service(f"https://127.0.0.1:{port}/api/v1")
            async with WanClient(service, None, clock=clock) as client:
                return await creates(client)

    assert isinstance(asyncio.run(main()), NotSent)


def test_a_connection_that_was_closed_while_idle_costs_nothing(creates: Creates) -> None:
    async def twice(client: WanClient, _: SocketServer) -> tuple[Any, Any]:
        return await creates(client), await creates(client)

    outcomes, server = talk(sends(http("200 OK", ACCEPTED)), twice)
    assert [type(outcome) for outcome in outcomes] == [Created, Created]
    assert len(server.requests) == 2


def test_a_connection_that_dies_under_the_second_create_is_not_sent_a_third(creates: Creates) -> None:
    """The pool keeps the connection; its end comes after the second request was written."""

    def reply(writer: asyncio.StreamWriter, count: int) -> None:
        if count == 0:
            writer.write(http("200 OK", ACCEPTED))
        else:
            writer.close()

    async def twice(client: WanClient, _: SocketServer) -> tuple[Any, Any]:
        return await creates(client), await creates(client)

    outcomes, server = talk(reply, twice)
    assert [type(outcome) for outcome in outcomes] == [Created, ReplyLost]
    assert len(server.requests) == 2


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"], ids=["silent", "stuck"])
def test_a_reply_that_does_not_come_in_time_is_lost(sent: bytes) -> None:
    async def hang(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(sent)
        await asyncio.Event().wait()

    async def main() -> None:
        async with SocketServer(hang) as server:
            url = f"http://127.0.0.1:{server.port}/"
            async with open_http(url, None) as connections:
                await exchange(connections, "create", connections.build_request("POST", url, timeout=0.1))

    with pytest.raises(ReplyLost, match="create: no reply came in time"):
        asyncio.run(main())


def test_a_head_that_drips_without_end_is_given_up() -> None:
    """Each byte comes in time, so no timeout of the library ever ends it."""

    async def drip(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not writer.is_closing():
            writer.write(b"a")
            await asyncio.sleep(0.01)

    async def main() -> None:
        async with SocketServer(drip) as server:
            url = f"http://127.0.0.1:{server.port}/"
            async with open_http(url, None) as connections:
                request = connections.build_request("POST", url, timeout=5)
                await exchange(connections, "create", request, give_up_s=0.2)

    with pytest.raises(ReplyLost, match="create: no reply came in time"):
        asyncio.run(main())


def test_a_cookie_that_one_reply_sets_goes_along_with_no_later_request() -> None:
    def reply(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: route=one; Path=/\r\n\r\n{}")

    async def main() -> list[bytes]:
        async with SocketServer(reply) as server:
            url = f"http://127.0.0.1:{server.port}/"
            async with open_http(url, None) as connections:
                for _ in range(2):
                    await exchange(connections, "get", connections.build_request("GET", url))
            return server.requests

    requests = asyncio.run(main())

    assert len(requests) == 2
    assert not [request for request in requests if b"cookie" in request.lower()]


def test_a_cancelled_create_ends_at_once_and_is_not_sent_again(creates: Creates) -> None:
    async def main() -> int:
        arrived = asyncio.Event()

        async def hang(_: asyncio.StreamWriter, __: int) -> None:
            arrived.set()
            await asyncio.Event().wait()

        async with SocketServer(hang) as server:
            service = load_catalog().service(f"http://127.0.0.1:{server.port}")
            async with WanClient(service, None, clock=clock) as client:
                task = asyncio.ensure_future(creates(client))
                await arrived.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            return len(server.requests)

    assert asyncio.run(main()) == 1


def test_a_download_that_is_cut_goes_on_where_it_ended() -> None:
    film = bytes(range(256)) * 40

    def reply(writer: asyncio.StreamWriter, count: int) -> None:
        if count == 0:
            writer.write(http("200 OK", film[:5000], length=len(film), kind="video/mp4"))
        else:
            extent = f"Content-Range: bytes 5000-{len(film) - 1}/{len(film)}\r\nContent-Length: {len(film) - 5000}"
            writer.write(f"HTTP/1.1 206 Partial Content\r\n{extent}\r\n\r\n".encode() + film[5000:])
        writer.close()

    async def use(client: WanClient, server: SocketServer) -> tuple[bytes, str]:
        url, got, said = f"http://127.0.0.1:{server.port}/v.mp4?Signature=canary", b"", ""
        while len(got) < len(film):
            try:
                async with client.download(url, start_byte=len(got)) as download:
                    async for chunk in download:
                        got += chunk
            except ReplyLost as error:
                said += str(error)
        return got, said

    (got, said), server = talk(reply, use)
    assert said == "download: the connection was closed, or no HTTP was spoken"
    assert got == film
    assert b"\r\nrange: bytes=5000-\r\n" in server.requests[1].lower()
    assert not any(b"authorization" in request.lower() for request in server.requests)


class TestProxy:
    @pytest.fixture(autouse=True)
    def no_proxy_of_this_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)

    def test_a_service_on_this_machine_is_not_asked_through_a_proxy(
        self, creates: Creates, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with kept_port() as port:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
            created, _ = talk(sends(http("200 OK", ACCEPTED)), creates)
        assert created == Created(task_id="t-1", request_id="r-1")

    def test_a_proxy_that_refuses_the_tunnel_was_sent_no_request_and_no_key(
        self, creates: Creates, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def main() -> tuple[Any, list[bytes]]:
            async with SocketServer(sends(http("403 Forbidden", b""))) as proxy:
                monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
                service = load_catalog().service("https://gateway.example.com/api/v1")
                async with WanClient(service, "sk-canary", clock=clock) as client:
                    return await creates(client), proxy.requests

        error, requests = asyncio.run(main())
        assert isinstance(error, NotSent)
        assert str(error) == "create: the proxy refused to connect"
        assert len(requests) == 1
        assert requests[0].startswith(b"CONNECT gateway.example.com:443")
        assert b"canary" not in requests[0]
