"""The server's API as an OpenAPI description, for tools that read or attack one. It describes; it decides nothing."""

from __future__ import annotations

from typing import Any

from .listing import LARGEST_PAGE
from .model import MODELS, Model
from .order import SEED_MOST
from .task import Status

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_KEY: list[dict[str, list[str]]] = [{"key": []}]
_ERROR: Schema = {
    "type": "object",
    "required": ["code", "message", "request_id"],
    "properties": {"code": _TEXT, "message": _TEXT, "request_id": _TEXT},
}


def describe(base_url: str) -> Schema:
    """The description, for a server at this address."""
    families = sorted({model.family for model in MODELS.values()})
    return {
        "openapi": "3.1.0",
        "info": {"title": "Wan first-and-last-frame-to-video, local server", "version": "1"},
        "servers": [{"url": base_url}],
        "paths": {
            **{f"/services/aigc/{family}/video-synthesis": {"post": _create(family)} for family in families},
            "/tasks": {"get": _list()},
            "/tasks/{task_id}": {"get": _about_task("Show a task", _shown())},
            "/tasks/{task_id}/cancel": {"post": _about_task("Cancel a task that waits", _object(request_id=_TEXT))},
            "/uploads": {"get": _policy()},
        },
        "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }


def _create(family: str) -> Schema:
    bodies = [_body(model) for model in MODELS.values() if model.family == family]
    header = {"name": "X-DashScope-Async", "in": "header", "required": True, "schema": {"const": "enable"}}
    output = _object(task_id=_TEXT, task_status={"const": Status.PENDING.value})
    return {
        "summary": "Make a task",
        "security": _KEY,
        "parameters": [header],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"oneOf": bodies}}}},
        "responses": _replies(_object(output=output, request_id=_TEXT), 400, 401, 403, 429),
    }


def _body(model: Model) -> Schema:
    media = _object(type={"enum": ["first_frame", "last_frame"]}, url=_TEXT)
    frames: Schema = {"first_frame_url": _TEXT, "last_frame_url": _TEXT, "template": _TEXT}
    if model.takes_media:
        frames = {"media": {"type": "array", "items": media}}
    properties = {"prompt": _TEXT, "negative_prompt": _TEXT, **frames}
    parameters = {
        "resolution": {"enum": list(model.resolutions), "default": model.default_resolution},
        "duration": {"type": "integer", "minimum": model.shortest_s, "maximum": model.longest_s},
        "prompt_extend": {"type": "boolean", "default": True},
        "watermark": {"type": "boolean", "default": False},
        "seed": {"type": "integer", "minimum": 0, "maximum": SEED_MOST},
    }
    return {
        "type": "object",
        "required": ["model", "input"],
        "properties": {
            "model": {"const": model.name},
            "input": {"type": "object", "minProperties": 1, "properties": properties},
            "parameters": {"type": "object", "properties": parameters},
        },
    }


def _list() -> Schema:
    instant = {"type": "string", "pattern": "^[0-9]{14}$"}
    number = {"type": "integer", "minimum": 1}
    query = {
        "task_id": _TEXT,
        "start_time": instant,
        "end_time": instant,
        "model_name": _TEXT,
        "api_key_id": _TEXT,
        "status": {"enum": [status.value for status in Status]},
        "page_no": number,
        "page_size": {**number, "maximum": LARGEST_PAGE},
    }
    page = _object(
        total={"type": "integer"},
        data={"type": "array", "items": {"type": "object"}},
        total_page={"type": "integer"},
        page_no=number,
        page_size=number,
        request_id=_TEXT,
    )
    parameters = [{"name": name, "in": "query", "schema": schema} for name, schema in query.items()]
    return {
        "summary": "Show the tasks of a day",
        "security": _KEY,
        "parameters": parameters,
        "responses": _replies(page, 400, 401, 429),
    }


def _shown() -> Schema:
    output = _object(task_id=_TEXT, task_status={"enum": [status.value for status in Status]})
    return _object(request_id=_TEXT, output=output)


def _about_task(summary: str, reply: Schema) -> Schema:
    task_id = {"name": "task_id", "in": "path", "required": True, "schema": {**_TEXT, "minLength": 1}}
    return {
        "summary": summary,
        "security": _KEY,
        "parameters": [task_id],
        "responses": _replies(reply, 400, 401, 404, 429),
    }


def _policy() -> Schema:
    query = {"action": {"const": "getPolicy"}, "model": {**_TEXT, "minLength": 1}}
    parameters = [{"name": name, "in": "query", "required": True, "schema": kind} for name, kind in query.items()]
    reply = _object(data={"type": "object"}, request_id=_TEXT)
    return {
        "summary": "Allow an upload",
        "security": _KEY,
        "parameters": parameters,
        "responses": _replies(reply, 400, 401, 429),
    }


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _replies(reply: Schema, *errors: int) -> Schema:
    said = {200: ("Done", reply), **dict.fromkeys(errors, ("Refused", _ERROR))}
    return {
        str(status): {"description": text, "content": {"application/json": {"schema": schema}}}
        for status, (text, schema) in said.items()
    }
