"""Replies as they go out: JSON with the vendor's headers, an object store's XML, and connections that are cut."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

TRANSPORT = "transport"


class CuttableProtocol(H11Protocol):
    """HTTP/1.1 whose requests know their connection, so that a fault can cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Remember the connection in the state that each of its requests gets."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, TRANSPORT: transport}


class CutWhenStopped:
    """The application, whose calls that outlast the server end as by a crash: cut, without a reply or a traceback.

    uvicorn would answer them with a 500 of its own, which tells a client something about its task that is not so.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call, or the server's own life (``lifespan``)."""
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            await cut(Request(scope))


async def cut(request: Request) -> None:
    """End the connection at once; whatever is sent after that goes nowhere."""
    request.scope["state"][TRANSPORT].abort()
    await asyncio.sleep(0)  # the loop tells the protocol at its next turn


def json_reply(body: dict[str, Any], *, status: int, request_id: str, arrived: float, charset: bool) -> Response:
    """A reply of the API, with the headers that recorded ones carry.

    Args:
        body: What it says.
        status: Of the reply.
        request_id: Of the call.
        arrived: When the call came, in seconds since the epoch.
        charset: Whether the content type names its character set, as replies about tasks do.
    """
    now = time.time()
    headers = {
        "content-type": "application/json;charset=UTF-8" if charset else "application/json",
        "x-request-id": request_id,
        "req-cost-time": str(round((now - arrived) * 1000)),
        "req-arrive-time": str(round(arrived * 1000)),
        "resp-start-time": str(round(now * 1000)),
    }
    return JSONResponse(body, status_code=status, headers=headers)


def xml_error(status: int, code: str, message: str, request_id: str) -> Response:
    """An object store's error."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error>\n  <Code>{escape(code)}</Code>\n  <Message>{escape(message)}</Message>\n"
        f"  <RequestId>{escape(request_id)}</RequestId>\n</Error>\n"
    )
    return Response(body, status_code=status, media_type="application/xml")


def html_page(status: int) -> Response:
    """What a proxy says when the service behind it is out of reach."""
    title = {502: "502 Bad Gateway", 503: "503 Service Temporarily Unavailable"}.get(status, str(status))
    body = f"<html>\r\n<head><title>{title}</title></head>\r\n<body><h1>{title}</h1></body>\r\n</html>\r\n"
    return Response(body, status_code=status, media_type="text/html")


def host_url(request: Request) -> str:
    """Scheme and host as the caller wrote them, so that addresses we hand out lead back the same way."""
    host = request.headers.get("host")
    if not host:
        name, port = request.scope["server"]
        host = f"{name}:{port}"
    return f"{request.scope['scheme']}://{host}"
