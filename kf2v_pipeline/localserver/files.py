"""Files in and out, as an object store serves them: films by signed address, uploads by form.

Source: vendor page ("the link is valid for 24 hours"), the page of temporary uploads, and the store's own errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from . import wire
from .call import Call, serve
from .form import FormError, parse_form
from .refusal import Refusal, Refused
from .service import Service
from .signature import refuse_url, signed_url
from .task import Status, Task
from .upload import MOST_MB, UploadRefused

FILMS_PATH = "/_files/"
CHUNK = 64 * 1024
UPLOAD_PATH = "/_upload"


def file_routes(service: Service) -> list[BaseRoute]:
    """The routes outside of the API's base."""

    async def download(request: Request) -> Response:
        return await serve(service, request, "download", _download)

    async def upload(request: Request) -> Response:
        return await serve(service, request, "upload", _upload)

    return [
        Route(FILMS_PATH + "{name}", download, methods=["GET", "HEAD"]),
        Route(UPLOAD_PATH, upload, methods=["POST"]),
        Route(UPLOAD_PATH + "/", upload, methods=["POST"]),
    ]


def film_url(call: Call, task: Task) -> str:
    """The signed address of a task's film, the same at each look."""
    service = call.service
    return signed_url(
        service.secret,
        host_url=wire.host_url(call.request),
        path=f"{FILMS_PATH}{task.task_id}.mp4",
        expires_at=service.backend.expires_at(task),
    )


async def _download(call: Call) -> Response:
    service, request = call.service, call.request
    call.task_id = request.path_params["name"].removesuffix(".mp4")
    call.meet_fault()
    if "authorization" in request.headers:
        raise Refused(_error(400, "InvalidArgument", "Only one auth mechanism allowed; the address is signed already."))
    query = request.query_params
    refused = refuse_url(
        service.secret,
        method=request.method,
        path=request.url.path,
        expires=query.get("Expires", ""),
        signature=query.get("Signature", ""),
        now=service.clock.now(),
    )
    if refused:
        raise Refused(_error(403, *refused))
    task = service.backend.find(call.task_id)
    path = await service.workshop.film_path(task) if task and task.status is Status.SUCCEEDED else None
    if task is None or path is None:
        raise Refused(_error(404, "NoSuchKey", "The specified key does not exist."))
    stat = await asyncio.to_thread(path.stat)
    if call.fault and call.fault.kind in ("cut", "slow"):
        return _broken_film(call, path, stat.st_size)
    service.backend.downloaded(task.task_id)
    return FileResponse(path, media_type="video/mp4", stat_result=stat)


def _broken_film(call: Call, path: Path, size: int) -> Response:
    """A film whose second half comes late or never."""

    async def chunks() -> AsyncIterator[bytes]:
        sent, half = 0, size // 2
        async with await anyio.open_file(path, "rb") as film:
            while chunk := await film.read(CHUNK if sent >= half else min(CHUNK, half - sent)):
                yield chunk
                sent += len(chunk)
                if sent == half and call.fault and call.fault.kind == "slow":
                    await asyncio.sleep(call.fault.delay_s)
                elif sent == half:
                    await wire.cut(call.request)
                    return

    return StreamingResponse(chunks(), media_type="video/mp4", headers={"content-length": str(size)})


async def _upload(call: Call) -> Response:
    call.meet_fault()
    data = await call.read_body(MOST_MB * 1024 * 1024 + 64 * 1024)
    try:
        fields, file = parse_form(call.request.headers.get("content-type", ""), data)
        call.service.uploads.accept(fields, file)
    except FormError as error:
        raise Refused(_error(400, "MalformedPOSTRequest", str(error))) from None
    except UploadRefused as refused:
        raise Refused(_error(refused.http_status, refused.code, refused.message)) from None
    return Response(status_code=200 if fields.get("success_action_status") == "200" else 204)


def _error(status: int, code: str, message: str) -> Refusal:
    return Refusal(http_status=status, code=code, message=message)
