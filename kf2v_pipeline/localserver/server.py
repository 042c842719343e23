"""The server as a process or a thread: socket, routes, journal, idle stop. What the API does belongs to the routes."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import body
from .clock import Clock
from .files import file_routes
from .lock import FileLock, LockTaken
from .openapi import describe
from .place import LIFE_LOCK, START_LOCK, ServerError, make_directory, read_record, write_record
from .refusal import NO_SUCH_PATH
from .routes import BASE, api_routes
from .scenario import Scenario
from .service import Service, open_service
from .wire import CuttableProtocol, CutWhenStopped

NOT_IMITATED = (
    "billing, free quota, arrears and access rights: every key that begins with sk- works, and nothing costs money",
    "moderation: no prompt or picture is ever refused, unless a scenario says so",
    "the model: films are rendered from the two frames by optical flow, not by a neural network",
    "effects (`template`): any name is taken, and the film starts and ends with the first frame",
    "wan2.7's audio and first clips: films are silent, and only first and last frames are taken",
    "regions, accounts and workspaces: all keys belong to one account, headers that choose a workspace are ignored",
    "the queue's length, EventBridge calls, gzip, TLS and the gateway's tracing headers",
)
"""What a person should not conclude from this server."""

KEEP_ALIVE_S = 75
"""Longer than clients keep idle connections: else a request may meet a closing connection, and its fate is unknown."""

WATCH_S = 0.5
"""How often it is looked whether the server is idle."""

SETTLE_S = 0.02


class _Uvicorn(uvicorn.Server):
    """uvicorn that tells when it listens."""

    def __init__(self, config: uvicorn.Config, *, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()


class Server:
    """One server of one directory.

    Attributes:
        grace_s: How long calls may go on once the server stops; then they are cut.
        takeover_s: How long to wait for a server that is just leaving; longer than its last replies may take.
        base_url: What clients of the API are given; empty until it is known.

    Args:
        directory: Where tasks, films and uploads are kept.
        port: 0 takes the port of this directory's last server if it is free, else any.
        idle_stop_s: Stop after so many real seconds without a call or a task in process; None for never.
        clock: None for real time, at the scenario's speed.
        on_ready: Called in the server's thread once calls are answered.
    """

    grace_s = 3
    takeover_s = 5.0

    def __init__(
        self,
        directory: Path,
        *,
        scenario: Scenario | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        idle_stop_s: float | None = None,
        clock: Clock | None = None,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self.directory = directory.resolve()
        self._scenario = scenario or Scenario()
        self._host, self._port = host, port
        self._idle_stop_s = idle_stop_s
        self._clock = clock
        self._on_ready = on_ready
        self._start_lock = FileLock(self.directory / START_LOCK)
        self._uvicorn: uvicorn.Server | None = None
        self._record: dict[str, Any] | None = None
        self.base_url = ""

    def run(self) -> None:
        """Serve until told to stop.

        Raises:
            ServerError: The directory is served already, or the address can't be used.
        """
        make_directory(self.directory)
        life_lock = FileLock(self.directory / LIFE_LOCK)
        try:
            life_lock.take(timeout_s=self.takeover_s)
        except LockTaken:
            raise ServerError(f"The directory {self.directory} is served by another local server already.") from None
        try:
            with self._bind() as listener:
                port = listener.getsockname()[1]
                shown = f"[{self._host}]" if ":" in self._host else self._host
                self.base_url = f"http://{shown}:{port}{BASE}"
                config = uvicorn.Config(
                    CutWhenStopped(self._app()),
                    http=CuttableProtocol,
                    ws="none",
                    lifespan="on",
                    log_config=None,
                    access_log=False,  # addresses are signed: they belong into no log
                    server_header=False,
                    timeout_keep_alive=KEEP_ALIVE_S,
                    timeout_graceful_shutdown=self.grace_s,
                )
                record = {"pid": os.getpid(), "host": self._host, "port": port, "base_url": self.base_url}
                self._uvicorn = _Uvicorn(config, on_started=lambda: self._tell(record))
                self._uvicorn.run(sockets=[listener])
        finally:
            life_lock.release()
            self._start_lock.release()

    def stop(self) -> None:
        """Ask it to stop; from any thread."""
        if self._uvicorn:
            self._uvicorn.should_exit = True

    def _tell(self, record: dict[str, Any]) -> None:
        write_record(self.directory, record)
        self._record = record
        self._on_ready()

    def _bind(self) -> socket.socket:
        last = read_record(self.directory)
        wanted = self._port or (last["port"] if last and last.get("host") == self._host else 0)
        try:
            return _listen(self._host, wanted)
        except OSError as error:
            if self._port:
                raise ServerError(f"The address {self._host}:{self._port} can't be used: {error.strerror}.") from error
        try:
            return _listen(self._host, 0)
        except OSError as error:
            raise ServerError(f"The address {self._host} can't be used: {error.strerror}.") from error

    def _app(self) -> Starlette:
        @contextlib.asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            async with open_service(
                self.directory, scenario=self._scenario, clock=self._clock, allow_private=_is_loopback(self._host)
            ) as service:
                app.router.routes.extend([*api_routes(service), *file_routes(service), *self._own_routes(service)])
                watching = asyncio.get_running_loop().create_task(self._watch(service))
                try:
                    yield
                finally:
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)

        app = Starlette(lifespan=lifespan, exception_handlers={HTTPException: _refuse_path})
        app.router.redirect_slashes = False
        return app

    async def _watch(self, service: Service) -> None:
        """Stop once nobody needs the server, or its directory was taken away under it."""
        while True:
            await asyncio.sleep(WATCH_S)
            if self._may_leave(service) or (self._record and read_record(self.directory) != self._record):
                self.stop()
                return

    def _may_leave(self, service: Service) -> bool:
        """Whether it is idle; then the lock of starters is held, so that nobody is told of a server that goes."""
        if self._idle_stop_s is None or service.idle_s < self._idle_stop_s:
            return False
        try:
            self._start_lock.take(timeout_s=0)
        except LockTaken:
            return False
        if service.idle_s >= self._idle_stop_s:
            return True
        self._start_lock.release()
        return False

    def _own_routes(self, service: Service) -> list[Route]:
        """Routes for tests and for whoever started the server; only this machine gets them."""

        async def health(request: Request) -> Response:
            _only_this_machine(request)
            service.asked_at = time.monotonic()
            return JSONResponse({"server": "kf2v local server", "directory": str(self.directory), "pid": os.getpid()})

        async def journal(request: Request) -> Response:
            _only_this_machine(request)
            service.asked_at = time.monotonic()
            return JSONResponse(service.journal.read(service.backend))

        async def openapi(request: Request) -> Response:
            _only_this_machine(request)
            return JSONResponse(describe(self.base_url))

        async def settled(request: Request) -> Response:
            """Answers once no task waits or runs."""
            _only_this_machine(request)
            while service.backend.busy and not await request.is_disconnected():  # noqa: ASYNC110  it knows no loop
                await asyncio.sleep(SETTLE_S)
            return JSONResponse({"settled": not service.backend.busy})

        async def stop(request: Request) -> Response:
            _only_this_machine(request)
            self.stop()
            return JSONResponse({"stopping": True})

        return [
            Route("/_server/health", health),
            Route("/_server/journal", journal),
            Route("/_server/openapi.json", openapi),
            Route("/_server/settled", settled),
            Route("/_server/stop", stop, methods=["POST"]),
        ]


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener


def _is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return all(ipaddress.ip_address(address[4][0]).is_loopback for address in found)


async def _refuse_path(_request: Request, _error: Exception) -> Response:
    refusal = NO_SUCH_PATH
    return JSONResponse(body.refused(refusal, body.new_request_id()), status_code=refusal.http_status)


def _only_this_machine(request: Request) -> None:
    if not request.client or not ipaddress.ip_address(request.client.host).is_loopback:
        raise HTTPException(404)
