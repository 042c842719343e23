"""Requests that nobody should send: the server answers each with an error of the service's, or hangs up; never a 5xx.

From its own description (schemathesis), from right requests that are spoiled byte by byte (hypothesis, over a socket),
and from a list of what HTTP forbids.
"""

from __future__ import annotations

import json
import logging
import re
import select
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.scenario import Scenario

KEY = {"Authorization": "Bearer sk-x"}
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]
BRIEF = settings(
    max_examples=12,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # what fails is short already; to shrink it takes minutes
    suppress_health_check=list(HealthCheck),
)
HANGS_S = 10
"""After so many seconds on a connection that the client has ended, the server hangs: the test fails by a timeout."""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server that, after all, has answered no call with a 5xx and answers the next one."""
    scenario = Scenario(stand_in=True, submit_rps=100_000, query_qps=100_000)
    with LocalServer(tmp_path_factory.mktemp("target"), scenario=scenario) as server:
        yield server
        assert httpx.get(f"{server.base_url}/tasks/a", headers=KEY, trust_env=False).status_code == 200
        counts = server.journal()["counts"]
        assert [(name, outcome) for name in counts for outcome in counts[name] if outcome.startswith("5")] == []


@pytest.fixture(autouse=True)
def quiet_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The server logs nothing in any test: it runs in a thread of this process, so its records come here."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("mode", schemathesis.GenerationMode)
def test_requests_of_its_own_description_get_the_answers_that_it_describes(
    target: LocalServer, mode: schemathesis.GenerationMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    schema: Any = schemathesis.openapi.from_url(target.base_url.replace("/api/v1", "/_server/openapi.json"))
    for operation in schema.get_all_operations():
        check_all(operation.ok().as_strategy(generation_mode=mode))


def check_all(cases: st.SearchStrategy[Any]) -> None:
    @BRIEF
    @given(case=cases)
    def send(case: Any) -> None:
        case.validate_response(case.call(headers=KEY), checks=CHECKS)

    send()


# ------------------------------------------------------------------------------------------------- over a bare socket


def address_of(server: LocalServer) -> tuple[str, int]:
    parts = urlsplit(server.base_url)
    return str(parts.hostname), int(parts.port or 80)


def exchange(server: LocalServer, request: bytes, *, answered_s: float = 0.05) -> bytes:
    """Everything that comes back until the server hangs up, after the client has ended its own side.

    Args:
        server: Which one.
        request: Written as it is.
        answered_s: How long a reply is waited for before that; the server may wait for the rest of the request.
    """
    reply = bytearray()
    with socket.create_connection(address_of(server), timeout=HANGS_S) as connection:
        try:
            connection.sendall(request)
            if select.select([connection], [], [], answered_s)[0]:
                reply += connection.recv(65536)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                reply += chunk
        except TimeoutError:
            pytest.fail("the server hangs")
        except OSError:
            pass  # it hung up on us
    return bytes(reply)


def statuses(reply: bytes) -> list[int]:
    """The statuses of all replies on one connection."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", reply)]


def request_of(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: h", "Authorization: Bearer sk-x", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


CREATE = "/api/v1/services/aigc/image2video/video-synthesis"
FRAME = "data:image/png;base64,iVBORw0KGgo="
BODY = {"model": "wan2.2-kf2v-flash", "input": {"first_frame_url": FRAME, "last_frame_url": FRAME, "prompt": "p"}}


@pytest.fixture(scope="module")
def right_requests(target: LocalServer) -> dict[str, bytes]:
    """One request for each operation; the upload's policy is real."""
    query = {"action": "getPolicy", "model": "wan2.2-kf2v-flash"}
    policy = httpx.get(f"{target.base_url}/uploads", params=query, headers=KEY, trust_env=False).json()["data"]
    form = {
        "OSSAccessKeyId": policy["oss_access_key_id"],
        "Signature": policy["signature"],
        "policy": policy["policy"],
        "key": f"{policy['upload_dir']}/a.png",
        "x-oss-object-acl": "private",
        "x-oss-forbid-overwrite": "true",
        "success_action_status": "200",
    }
    parts = [f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in form.items()]
    file = '--B\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n\x00\x01\r\n--B--\r\n'
    upload = "".join([*parts, file]).encode()
    return {
        "create": request_of("POST", CREATE, json.dumps(BODY).encode(), "X-DashScope-Async: enable"),
        "chunked create": request_of("POST", CREATE, b"", "X-DashScope-Async: enable", "Transfer-Encoding: chunked")
        .replace(b"Content-Length: 0\r\n", b"")
        .replace(b"\r\n\r\n", b'\r\n\r\n5\r\n{"mod\r\n5\r\nel":1\r\n1\r\n}\r\n0\r\n\r\n'),
        "get": request_of("GET", "/api/v1/tasks/0385dc79-5ff8-4d82-bcb6-000000000000"),
        "list": request_of("GET", "/api/v1/tasks?status=FAILED&start_time=20260101000000&page_no=1&page_size=10"),
        "cancel": request_of("POST", "/api/v1/tasks/0385dc79/cancel/", b'{"input": ""}'),
        "policy": request_of("GET", "/api/v1/uploads?action=getPolicy&model=m"),
        "upload": request_of("POST", "/_upload", upload, "Content-Type: multipart/form-data; boundary=B"),
        "film": request_of("GET", "/_files/a.mp4?Expires=1&OSSAccessKeyId=LOCAL&Signature=x", b"", "Range: bytes=0-"),
    }


@st.composite
def spoilings(draw: st.DrawFn) -> list[tuple[str, float, bytes]]:
    """What is done to a request, where in it (0 to 1), and with which bytes."""
    junk = st.binary(max_size=12) | st.sampled_from(
        [
            b"\r\n",
            b"\r\n\r\n",
            b"\x00",
            b"\xff\xfe",
            b"%ff",
            b"%00",
            b"--B",
            b"--B--\r\n",
            b'name*="',
            b"99999999999999999999",
        ]
    )
    kinds = st.sampled_from(["insert", "overwrite", "delete", "cut", "repeat"])
    return draw(st.lists(st.tuples(kinds, st.floats(0, 1), junk), min_size=1, max_size=3))


def spoil(request: bytes, spoilings: list[tuple[str, float, bytes]]) -> bytes:
    for kind, where, junk in spoilings:
        at = int(where * len(request))
        before, after = request[:at], request[at:]
        if kind == "insert":
            request = before + junk + after
        elif kind == "overwrite":
            request = before + junk + after[len(junk) :]
        elif kind == "delete":
            request = before + after[len(junk) + 1 :]
        elif kind == "cut":
            request = before
        else:
            request = before + after[:40] + after
    return request


@pytest.mark.parametrize("name", ["create", "chunked create", "get", "list", "cancel", "policy", "upload", "film"])
def test_a_right_request_may_be_spoiled_anywhere(
    target: LocalServer, right_requests: dict[str, bytes], name: str
) -> None:
    @BRIEF
    @given(spoilings())
    def attack(how: list[tuple[str, float, bytes]]) -> None:
        reply = exchange(target, spoil(right_requests[name], how))
        assert [status for status in statuses(reply) if status >= 500] == []

    assert statuses(exchange(target, right_requests[name], answered_s=HANGS_S)), "else nothing is tested"
    attack()


@BRIEF
@given(st.binary(max_size=400))
def test_any_bytes_are_no_request(target: LocalServer, junk: bytes) -> None:
    assert set(statuses(exchange(target, junk))) <= {400}


LINE = f"POST {CREATE} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer sk-x\r\nX-DashScope-Async: enable\r\n".encode()


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(LINE + b"Content-Length: -1\r\n\r\n{}", id="negative length"),
        pytest.param(LINE + b"Content-Length: ten\r\n\r\n{}", id="length in words"),
        pytest.param(LINE + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", id="two lengths"),
        pytest.param(LINE + b"Content-Length: 99999999999999999999\r\n\r\n{}", id="endless length"),
        pytest.param(LINE + b"Content-Length: 2\r\n\r\n{}{}{}{}", id="more than its length"),
        pytest.param(LINE + b"Content-Length: 200\r\n\r\n{}", id="less than its length"),
        pytest.param(LINE + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}", id="two framings"),
        pytest.param(LINE + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", id="no chunk"),
        pytest.param(LINE + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}", id="endless chunk"),
        pytest.param(LINE + b"Transfer-Encoding: gzip\r\n\r\n\x1f\x8b\x08", id="another framing"),
        pytest.param(LINE + b"X-Large: " + b"a" * 200_000 + b"\r\n\r\n", id="huge header"),
        pytest.param(LINE + b"A: b\r\n" * 20_000 + b"\r\n", id="many headers"),
        pytest.param(LINE + b"X-\x00: \xff\x00\r\n\r\n", id="binary header"),
        pytest.param(LINE + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n", id="waits for leave to go on"),
        pytest.param(LINE + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", id="upgrade"),
        pytest.param(LINE.replace(b"HTTP/1.1", b"HTTP/9.9") + b"\r\n", id="a version to come"),
        pytest.param(LINE.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Content-Length: 2\r\n\r\n{}", id="an old version"),
        pytest.param(LINE.replace(b"\r\n", b"\n") + b"\n", id="bare line feeds"),
        pytest.param(b"GET /api/v1/tasks/" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", id="huge path"),
        pytest.param(b"GET http://elsewhere/api/v1/tasks/a HTTP/1.1\r\nHost: h\r\n\r\n", id="another host"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", id="asterisk"),
        pytest.param(b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", id="tunnel"),
        pytest.param(b"GET /api/v1/tasks/\xff HTTP/1.1\r\nHost: h\r\n\r\n", id="path beyond ASCII"),
        pytest.param(b"GET /api/v1/tasks/a HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
        pytest.param(b"GET /\r\n", id="HTTP/0.9"),
    ],
)
def test_what_http_forbids_gets_an_error_or_nothing(target: LocalServer, request_bytes: bytes) -> None:
    assert all(status < 500 for status in statuses(exchange(target, request_bytes)))


def test_a_client_that_waits_in_the_middle_keeps_nobody_else_waiting(target: LocalServer) -> None:
    with socket.create_connection(address_of(target)) as slow:
        slow.sendall(LINE + b"Content-Length: 200\r\n\r\n{")
        assert httpx.get(f"{target.base_url}/tasks/a", headers=KEY, trust_env=False).status_code == 200
