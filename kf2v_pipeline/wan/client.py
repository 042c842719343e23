"""The client of one service: one method per operation, one request per call. When to call, and again, is policy's."""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.reading import Created, Reading, TaskPage
from kf2v_pipeline.errors import ReplyLost, ServiceError, SettingsError
from kf2v_pipeline.wan import fault, wire
from kf2v_pipeline.wan.catalog import PLACEHOLDER_KEY
from kf2v_pipeline.wan.download import Download, read_extent
from kf2v_pipeline.wan.exchange import SLOW_TIMEOUT, Reply, exchange, open_http, start
from kf2v_pipeline.wan.service import Service

_NEVER_HANDLED = frozenset({404, 405, 407, 413, 414, 431})
"""Statuses that say that nobody handled a create, also without the service's error body: no task was made."""

_VIDEO_GONE = frozenset({400, 401, 403, 404, 410})
_HEADER_VALUE = re.compile(r"[\x21-\x7e]+")


class WanClient:
    """One account's way to one service. Enter it to open its connections, leave it to close them.

    The API key goes to the service's own address and nowhere else. Every method sends each of its requests once.

    Attributes:
        service: The service that is spoken to.
    """

    def __init__(
        self,
        service: Service,
        api_key: str | None,
        *,
        workspace: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], datetime],
    ) -> None:
        """Opens nothing yet.

        Args:
            service: With its base URL filled in.
            api_key: None only for a service that needs none.
            workspace: Sub-workspace that the calls belong to; None for the key's own.
            transport: What carries requests in a test, closed with the client; None for the network.
            clock: Gives the instant at which a task was read.

        Raises:
            SettingsError: The key is missing, or it or the workspace can't be sent in a header.
        """
        if service.base_url is None:
            raise ValueError(f"the service {service.name} has no base URL yet")
        if not api_key and service.needs_key:
            raise SettingsError("DASHSCOPE_API_KEY", "it is not set", f"set it to a key of {service.name}")
        self.service = service
        self._base_url = service.base_url
        self._key = _header_value("DASHSCOPE_API_KEY", api_key or PLACEHOLDER_KEY)
        self._headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}
        if workspace:
            self._headers["X-DashScope-WorkSpace"] = _header_value("KF2V_WORKSPACE", workspace)
        self._transport = transport
        self._clock = clock
        self._opened: httpx.AsyncClient | None = None

    async def __aenter__(self) -> WanClient:
        if self._opened is not None:
            raise RuntimeError("this client is open already")
        self._opened = open_http(self._base_url, self._transport)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        opened, self._opened = self._http, None
        await opened.aclose()

    async def create(self, clip: Clip, *, first_frame_url: str, last_frame_url: str | None) -> Created:
        """Asks for one task, with exactly one POST.

        Args:
            clip: What is wanted; its model is looked up in the service.
            first_frame_url: http(s) URL, ``data:`` URI, or an ``oss://`` address that ``upload`` returned.
            last_frame_url: The same; None where the clip has a template.

        Raises:
            NotSent: Nothing reached the service; sending again is safe.
            ServiceError: The service refused; no task was made, and nothing is billed.
            ReplyLost: A task may have been made, and billed; look for it before sending again.
            SettingsError: The service has no such model.
        """
        model = self.service.model(clip.model)
        body = wire.create_body(clip, model, first_frame_url, last_frame_url)
        headers = {"X-DashScope-Async": "enable", "Content-Type": "application/json"}
        if first_frame_url.startswith("oss://") or (last_frame_url or "").startswith("oss://"):
            headers["X-DashScope-OssResourceResolve"] = "enable"
        content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        path = wire.create_path(model)
        reply = await self._call("create", "POST", path, headers=headers, content=content, timeout=SLOW_TIMEOUT)
        if reply.ok:
            return wire.read_created(reply.body)
        error = self._failure("create", reply)
        status = reply.http_status
        if isinstance(error, ServiceError) and fault.judge(error.code, error.message, status).may_have_acted:
            raise ReplyLost("create", f"HTTP {status}, {error}")
        if isinstance(error, ReplyLost) and status in _NEVER_HANDLED:
            raise ServiceError(f"HttpStatus{status}", "nobody there takes such a request", http_status=status)
        raise error

    async def get(self, task_id: str) -> Reading:
        """Looks at one task.

        Raises:
            TransportError: No answer that can be read; it says nothing about the task.
            ServiceError: The service refuses to tell.
        """
        reply = await self._call("get", "GET", f"/tasks/{quote(task_id, safe='')}")
        if not reply.ok:
            raise self._failure("get", reply)
        reading = wire.read_task(reply.body, read_at=self._clock())
        if reading.task_id != task_id:
            raise ReplyLost("get", "the reply is about another task")
        return replace(reading, message=self._without_key(reading.message)) if reading.message else reading

    async def list(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        model: str | None = None,
        page: int = 1,
        page_size: int = 100,
    ) -> TaskPage:
        """Lists the account's tasks, a page at a time; the service may put fewer on a page than it was asked for.

        In which zone the service reads the window is not documented; it is written in UTC+8. Where a missed task costs
        money, leave the window out and compare ``created_at``, which is certain.

        Args:
            since: Created from then on; 24 hours before ``until`` if that is later. None leaves it to the service.
            until: Created until then; None leaves it to the service. Without both it lists the last 24 hours.
            model: Only tasks of that model; None for all.
            page: Counted from 1.
            page_size: Tasks on a page; the largest is not documented.

        Raises:
            TransportError: No answer that can be read; it says nothing about which tasks there are.
            ServiceError: The service refuses to tell.
        """
        params = wire.list_parameters(since=since, until=until, model=model, page=page, page_size=page_size)
        reply = await self._call("list", "GET", "/tasks", params=params)
        if not reply.ok:
            raise self._failure("list", reply)
        return wire.read_list(reply.body)

    async def cancel(self, task_id: str) -> None:
        """Cancels a task that still waits in the queue.

        Raises:
            TransportError: It may have been canceled, or not; look at the task.
            ServiceError: ``UnsupportedOperation``: it waits no more, and is billed if it succeeds.
        """
        reply = await self._call("cancel", "POST", f"/tasks/{quote(task_id, safe='')}/cancel")
        if not reply.ok:
            raise self._failure("cancel", reply)

    async def upload(self, name: str, content: bytes, model: str) -> str:
        """Puts a file into the vendor's temporary storage, for 48 hours and for that model only.

        Args:
            name: The file's last name, with the suffix of what the content is.
            content: The file's bytes.
            model: As the service spells it.

        Returns:
            Its ``oss://`` address, which only a create of the same account can use.

        Raises:
            TransportError: It did not arrive; upload it again.
            ServiceError: The service gives no policy, or its storage refuses the file (``UploadRefused``).
        """
        reply = await self._call("upload", "GET", "/uploads", params={"action": "getPolicy", "model": model})
        if not reply.ok:
            raise self._failure("upload", reply)
        policy = wire.read_policy(reply.body)
        key = f"{policy.directory}/{name}"
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        form = {**policy.fields, "key": key, "success_action_status": "200", "x-oss-content-type": kind}
        file = {"file": (name, content, kind)}  # httpx writes files after all fields, as the storage demands
        request = self._build("POST", policy.upload_url, data=form, files=file, timeout=SLOW_TIMEOUT)
        if request is None:
            raise ReplyLost("upload", "the policy's address is no http(s) URL")
        stored = await exchange(self._http, "upload", request)
        if not stored.ok:
            raise wire.read_upload_error(stored.http_status, stored.body)
        return f"oss://{key}"

    @asynccontextmanager
    async def download(self, video_url: str, *, start_byte: int = 0) -> AsyncIterator[Download]:
        """Opens a video for reading, without the key.

        Args:
            video_url: As a reading gave it. It is signed, and appears in no error or log line of ours.
            start_byte: How many of the video's bytes are here already.

        Raises:
            ServiceError: ``VideoUrlRefused``: it has expired, or is no URL of a video; ask the task for a new one.
            TransportError: The video can't be read now.
        """
        response = await self._open_video(video_url, start_byte)
        try:
            extent = read_extent(response, start_byte)
            if extent is None and response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                await response.aclose()  # what is here can't be the beginning of that video
                response = await self._open_video(video_url, 0)
                extent = read_extent(response, 0)
            if extent is None:
                raise ReplyLost("download", f"HTTP {response.status_code} without the video")
            yield Download(response, start_byte=extent[0], total_bytes=extent[1])
        finally:
            await response.aclose()

    async def _open_video(self, video_url: str, start_byte: int) -> httpx.Response:
        headers = {"Accept-Encoding": "identity"}
        if start_byte:
            headers["Range"] = f"bytes={start_byte}-"
        request = self._build("GET", video_url, headers=headers)
        if request is None:
            raise ServiceError("VideoUrlRefused", "the video's URL is no http(s) URL")
        response = await start(self._http, "download", request, follow_redirects=True)
        if response.status_code in _VIDEO_GONE:
            await response.aclose()
            status = response.status_code
            raise ServiceError("VideoUrlRefused", f"HTTP {status}; it may have expired", http_status=status)
        return response

    def _build(self, method: str, url: str, **parts: Any) -> httpx.Request | None:
        """A request to an address that the service gave; None where that is no http(s) URL. It carries no key."""
        try:
            request = self._http.build_request(method, url, **parts)
        except (httpx.InvalidURL, ValueError):
            return None
        return request if request.url.scheme in ("http", "https") and request.url.host else None

    async def _call(self, doing: str, method: str, path: str, **parts: Any) -> Reply:
        """One exchange with the service itself, the only one that carries the key."""
        parts["headers"] = {**self._headers, **parts.get("headers", {})}
        return await exchange(self._http, doing, self._http.build_request(method, self._base_url + path, **parts))

    def _failure(self, doing: str, reply: Reply) -> ServiceError | ReplyLost:
        error = wire.read_error(reply.http_status, reply.body, reply.content_type)
        if error is None:
            return ReplyLost(doing, f"HTTP {reply.http_status} without the service's error body")
        code, message = self._without_key(error.code), self._without_key(error.message)
        return ServiceError(code, message, http_status=error.http_status, request_id=error.request_id)

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "…")

    @property
    def _http(self) -> httpx.AsyncClient:
        if self._opened is None:
            raise RuntimeError("this client is not open; use it in `async with`")
        return self._opened


def _header_value(setting: str, value: str) -> str:
    if not _HEADER_VALUE.fullmatch(value):
        raise SettingsError(setting, "it has a space, a line break or a letter beyond ASCII", "write it anew")
    return value
