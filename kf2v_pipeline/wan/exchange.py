"""One HTTP exchange: a request sent once, and its reply or the reason why there is none. It knows nothing of the API.

What went wrong is told apart by whether the request may have been carried out. httpx (0.28 over httpcore 1.0) raises
the errors of ``_NOT_SENT`` only before a request's first byte is written: while it waits for its pool, connects, shakes
hands or sets up a tunnel. By itself httpcore starts a request anew only where the connection that it was given turned
out to be taken, again before anything was written.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from urllib.parse import urlsplit

import httpx

from kf2v_pipeline.errors import NotSent, ReplyLost, TransportError
from kf2v_pipeline.wan.host import is_loopback

TIMEOUT = httpx.Timeout(connect=10, read=30, write=60, pool=30)
"""Seconds for what can be asked again at will."""

SLOW_TIMEOUT = httpx.Timeout(connect=10, read=120, write=300, pool=30)
"""Seconds for creates and uploads: the write covers a whole body, and giving a create up may leave a task behind."""

_LIMITS = httpx.Limits(
    max_connections=20,
    max_keepalive_connections=20,
    keepalive_expiry=4,  # below what servers keep (uvicorn: 5 s), so that a create hardly meets a closing connection
)
_REPLY_MAX_BYTES = 8 * 1024 * 1024
_REPLY_MAX_S = 300.0
"""A body that is longer, or drips for longer, is given up; a page of ``list`` has some 60 kB."""

_HEAD_MAX_S = 900.0
"""A request whose reply has not begun by then is given up, however it drips; 21 MB at 25 kB a second take as long."""

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
_HAPPENED: Mapping[type[Exception], str] = {
    socket.gaierror: "the host's name can't be resolved",
    ssl.SSLCertVerificationError: "the host's certificate is not trusted",
    httpx.ConnectError: "no connection could be made",
    httpx.ConnectTimeout: "no connection came about in time",
    httpx.PoolTimeout: "no connection of the pool became free in time",
    httpx.ProxyError: "the proxy refused to connect",
    httpx.ReadTimeout: "no reply came in time",
    asyncio.TimeoutError: "no reply came in time",
    httpx.WriteTimeout: "the request could not be written in time",
    httpx.NetworkError: "the connection broke",
    httpx.RemoteProtocolError: "the connection was closed, or no HTTP was spoken",
    httpx.DecodingError: "the reply can't be decompressed",
}


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A whole reply.

    Attributes:
        content_type: The header, empty where there is none.
        body: May hold signed URLs and policies, so it is left out of ``repr``.
    """

    http_status: int
    content_type: str
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status says success."""
        return 200 <= self.http_status < 300


def open_http(base_url: str, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    """The connections to one service and to where it keeps files; whoever opens them closes them.

    Proxies of the environment are used, except to this machine: none leads there. Redirects are off.

    Args:
        base_url: The service's.
        transport: What carries the requests in a test, closed with the client; None for the network.
    """
    return _Http(
        transport=transport,
        limits=_LIMITS,
        timeout=TIMEOUT,
        max_redirects=5,
        headers={"User-Agent": f"kf2v-pipeline/{version('kf2v-pipeline')}"},
        event_hooks={"request": [_hide_query]},
        trust_env=not is_loopback(urlsplit(base_url).hostname or ""),
    )


async def start(
    http: httpx.AsyncClient,
    doing: str,
    request: httpx.Request,
    *,
    follow_redirects: bool = False,
    give_up_s: float = _HEAD_MAX_S,
) -> httpx.Response:
    """Sends the request, once, and returns the reply before its body is read; the caller closes it.

    Args:
        http: Open connections.
        doing: How errors name the operation.
        request: Built by ``http``.
        follow_redirects: Only for requests that may be repeated and carry no key.
        give_up_s: How long the request may take until the reply's head is there; httpx bounds each step, not the sum.

    Raises:
        NotSent: Nothing was written.
        ReplyLost: The request may have been carried out; or its reply leads to where nothing could be sent.
    """
    try:
        return await asyncio.wait_for(http.send(request, stream=True, follow_redirects=follow_redirects), give_up_s)
    except Exception as error:  # noqa: BLE001 - whatever it was, once bytes may have left, the outcome is open
        trouble = as_transport_error(doing, error)
        if isinstance(trouble, NotSent) and not _is_about(error, request):
            trouble = ReplyLost(doing, f"it leads elsewhere, and {trouble.what}")
    raise trouble  # outside of `except`: a cause would carry URLs and headers along


async def exchange(
    http: httpx.AsyncClient, doing: str, request: httpx.Request, *, give_up_s: float = _HEAD_MAX_S
) -> Reply:
    """Sends the request, once, and reads the whole reply.

    Args:
        http: Open connections.
        doing: How errors name the operation.
        request: Built by ``http``.
        give_up_s: As in ``start``.

    Raises:
        NotSent: Nothing was written.
        ReplyLost: The request may have been carried out, and the reply is missing, broken, endless or too slow.
    """
    response = await start(http, doing, request, give_up_s=give_up_s)
    try:
        try:
            body = await _read_body(response)
        finally:
            await response.aclose()
    except Exception as error:  # noqa: BLE001 - the request was carried out, whatever broke
        trouble = as_transport_error(doing, error)
    else:
        if body is not None:
            content_type = response.headers.get("content-type", "")
            return Reply(http_status=response.status_code, content_type=content_type, body=body)
        trouble = ReplyLost(doing, "the reply has no end")
    raise trouble


def as_transport_error(doing: str, error: Exception) -> TransportError:
    """What an error of the layers below means, in words of ours, without addresses."""
    kind = NotSent if isinstance(error, _NOT_SENT) else ReplyLost
    cause = error.__cause__.__context__ if error.__cause__ else None  # the socket's error, below httpx and httpcore
    for known, said in _HAPPENED.items():
        if isinstance(cause, known) or isinstance(error, known):
            return kind(doing, said)
    return kind(doing, f"an unexpected {type(error).__name__}")


def _is_about(error: Exception, request: httpx.Request) -> bool:
    """Whether the error is about this request, and not about one to which its reply has led."""
    try:
        return not isinstance(error, httpx.RequestError) or error.request is request
    except RuntimeError:  # it does not say
        return True


async def _read_body(response: httpx.Response) -> bytes | None:
    """The whole body; None where it has no end in sight."""
    now = asyncio.get_running_loop().time
    give_up_at = now() + _REPLY_MAX_S
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _REPLY_MAX_BYTES or now() > give_up_at:
            return None
    return bytes(body)


class _NoCookies(httpx.Cookies):
    """Keeps none: no call may depend on what another one was given, and httpx takes long to look for them."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Leaves them where they are."""


_NO_COOKIES = _NoCookies()


class _Http(httpx.AsyncClient):
    """A client without cookies."""

    @property
    def cookies(self) -> httpx.Cookies:
        """Always empty."""
        return _NO_COOKIES

    @cookies.setter
    def cookies(self, _: object) -> None:
        raise TypeError("this client keeps no cookies")


class _ShownUrl(httpx.URL):
    """A URL that is shown without its query: httpx logs every URL that it requests, and a video's query signs it."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc.decode()}{self.raw_path.partition(b'?')[0].decode()}"

    def __repr__(self) -> str:
        return f"URL({str(self)!r})"


async def _hide_query(request: httpx.Request) -> None:
    request.url = _ShownUrl(request.url)
