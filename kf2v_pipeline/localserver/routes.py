"""The paths of the service's API: create, get, list, cancel. Files, uploads and the journal have their own module.

Source: the vendor's kf2v page (create, get) and "manage asynchronous tasks" (list, cancel). Every path of a task
exists with and without a slash at its end: the asynchronous classes of the vendor's Python SDK append one.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from . import body
from .call import Call, Handler, serve
from .files import UPLOAD_PATH, film_url
from .frame import is_remote
from .listing import select
from .order import Order, clean_text, read_envelope, read_order
from .refusal import NO_MODEL, NOT_ASYNC, WRONG_URL, Refused, bad_parameter, method_unsupported
from .service import Service
from .task import Status, Task
from .wire import host_url
from .workshop import Looked

BASE = "/api/v1"


def api_routes(service: Service) -> list[BaseRoute]:
    """The routes under ``BASE``; what is no route of the API gets the API's own errors."""

    def at(path: str, operation: str, method: str, handler: Handler) -> list[BaseRoute]:
        async def endpoint(request: Request) -> Response:
            wrong_method = request.method != method
            return await serve(service, request, operation, _refuse_method if wrong_method else handler)

        return [Route(BASE + path + slash, endpoint, methods=_ANY_METHOD) for slash in ("", "/")]

    create = "/services/aigc/{family}/video-synthesis"
    return [
        *at(create, "create", "POST", _create),
        *at("/services/{rest:path}", "create", "POST", _refuse_path),
        *at("/tasks", "list", "GET", _list),
        *at("/uploads", "policy", "GET", _policy),
        *at("/tasks/{task_id}", "get", "GET", _get),
        *at("/tasks/{task_id}/cancel", "cancel", "POST", _cancel),
    ]


_ANY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


async def _refuse_method(call: Call) -> Response:
    call.authorize()
    raise Refused(method_unsupported(call.request.method))


async def _refuse_path(call: Call) -> Response:
    call.authorize()
    raise Refused(WRONG_URL)


async def _create(call: Call) -> Response:
    call.authorize()
    if call.request.headers.get("x-dashscope-async", "").lower() != "enable":
        raise Refused(NOT_ASYNC)
    model, raw = read_envelope(await call.read_body(), call.request.path_params["family"])
    call.model, call.prompt = model.name, _text(raw["input"].get("prompt"))
    call.meet_fault()
    service = call.service
    service.backend.advance()
    service.backend.admit_create(model.name)
    order = read_order(model, raw)
    resolve_oss = call.request.headers.get("x-dashscope-ossresourceresolve", "").lower() == "enable"
    wait = service.scenario.values_at_create
    looked = await service.workshop.look_at(order, resolve_oss=resolve_oss, fetch=wait)
    if looked.problem and wait:
        raise Refused(looked.problem)
    task = _task_of(call, order, looked)
    call.task = service.backend.create(task)
    if task.checked_at is None:
        service.workshop.fetch(task)
    return call.answer(body.created(task, call.request_id))


def _task_of(call: Call, order: Order, looked: Looked) -> Task:
    """The new task; its remote frames are still addresses."""
    service = call.service
    first_url = order.first_url if order.first_url and is_remote(order.first_url) and not looked.first else None
    last_url = order.last_url if order.last_url and is_remote(order.last_url) and not looked.last else None
    now = service.clock.now()
    to_fetch = not looked.problem and (first_url or last_url)
    return Task(
        task_id=body.new_task_id(),
        request_id=call.request_id,
        api_key_id=call.api_key_id,
        model=order.model.name,
        created_at=now,
        prompt=order.prompt,
        negative_prompt=order.negative_prompt,
        resolution=order.resolution,
        film_s=order.film_s,
        seed=order.seed if order.seed is not None else service.rng.getrandbits(31),
        prompt_extend=order.prompt_extend,
        watermark=order.watermark,
        first_url=first_url if to_fetch else None,
        last_url=last_url if to_fetch else None,
        first_frame=looked.first.digest if looked.first else None,
        last_frame=looked.last.digest if looked.last else None,
        first_size=looked.first.size if looked.first else None,
        checked_at=None if to_fetch else now,
        problem=looked.problem,
    )


async def _get(call: Call) -> Response:
    call.authorize()
    call.task_id = call.request.path_params["task_id"]
    call.meet_fault()
    call.service.backend.admit_query()
    task = call.service.backend.get(call.task_id)
    if task is None:
        return call.answer(body.unknown(call.task_id, call.request_id))
    video_url = film_url(call, task) if task.status is Status.SUCCEEDED else None
    return call.answer(body.shown(task, call.request_id, video_url=video_url))


async def _list(call: Call) -> Response:
    call.authorize()
    call.meet_fault()
    backend = call.service.backend
    backend.admit_query()
    page = select(backend.listed(), call.request.query_params, call.service.clock.now())
    return call.answer(
        body.listed(
            page.tasks,
            total=page.total,
            page_no=page.page_no,
            page_size=page.page_size,
            request_id=call.request_id,
        )
    )


async def _cancel(call: Call) -> Response:
    call.authorize()
    call.task_id = call.request.path_params["task_id"]
    call.meet_fault()
    call.service.backend.admit_query()
    call.service.backend.cancel(call.task_id)
    return call.answer({"request_id": call.request_id})


async def _policy(call: Call) -> Response:
    call.authorize()
    call.meet_fault()
    query = call.request.query_params
    if query.get("action") != "getPolicy":
        raise Refused(bad_parameter("action"))
    model = query.get("model")
    if not model:
        raise Refused(NO_MODEL)
    call.service.backend.admit_policy(model)
    data = call.service.uploads.policy(
        model=model, request_id=call.request_id, upload_url=host_url(call.request) + UPLOAD_PATH
    )
    return call.answer({"data": data, "request_id": call.request_id})


def _text(value: object) -> str | None:
    return clean_text(value) if isinstance(value, str) else None
