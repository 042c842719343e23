"""The service's wire format: bodies that we send, bodies that we read. Pure; what an error calls for is ``fault``'s.

Shapes are those of the vendor's pages (first-and-last-frame API, 2.2; asynchronous tasks; wan2.7 image-to-video) and of
recorded replies. Only what is certain is read as such: a status that we don't know is a task still under way, a field
that can't be read is None, and a body without its task or its list is a reply lost, never "nothing there".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.reading import Created, ListedTask, Reading, TaskPage, TaskStatus, Usage
from kf2v_pipeline.errors import ReplyLost, ServiceError
from kf2v_pipeline.wan.json_value import (
    SERVICE_ZONE,
    hide_secrets,
    parse_time,
    read_count,
    read_number,
    read_object,
    read_text,
)
from kf2v_pipeline.wan.service import Model

__all__ = [
    "UploadPolicy",
    "create_body",
    "create_path",
    "describe_create",
    "list_parameters",
    "parse_time",
    "read_created",
    "read_error",
    "read_list",
    "read_policy",
    "read_task",
    "read_upload_error",
]

_PATHS = {
    "kf2v": "/services/aigc/image2video/video-synthesis",
    "media": "/services/aigc/video-generation/video-synthesis",
}

_POLICY_FIELDS = {
    "OSSAccessKeyId": "oss_access_key_id",
    "Signature": "signature",
    "policy": "policy",
    "x-oss-object-acl": "x_oss_object_acl",
    "x-oss-forbid-overwrite": "x_oss_forbid_overwrite",
}
"""Fields of an upload's form, in the order in which the vendor's SDK sends them, and their names in the policy."""

_STORAGE_ERROR = re.compile(r"<Code>(?P<code>[^<]{1,100})</Code>\s*<Message>(?P<message>[^<]*)</Message>")


def create_path(model: Model) -> str:
    """Where that model's tasks are created, below the base URL. Another family's path is answered with "url error"."""
    return _PATHS[model.protocol]


def create_body(clip: Clip, model: Model, first_frame_url: str, last_frame_url: str | None) -> dict[str, Any]:
    """The create's body.

    Every parameter that has a value is written out, so that a changed default of the service changes no video.

    Args:
        clip: What is wanted.
        model: The clip's model, in the service's own spelling.
        first_frame_url: http(s) URL, ``data:`` URI or ``oss://`` address.
        last_frame_url: The same; None where a template stands for it.
    """
    asked: dict[str, Any] = {}
    if model.protocol == "kf2v":
        asked["first_frame_url"] = first_frame_url
        asked["last_frame_url"] = last_frame_url
        asked["template"] = clip.template
    else:
        urls = {"first_frame": first_frame_url, "last_frame": last_frame_url}
        asked["media"] = [{"type": kind, "url": url} for kind, url in urls.items() if url is not None]
    asked["prompt"] = clip.prompt
    asked["negative_prompt"] = clip.negative_prompt
    parameters = {
        "resolution": clip.resolution,
        "duration": clip.duration_s if len(model.durations_s) > 1 else None,  # elsewhere it can't be chosen
        "prompt_extend": clip.prompt_extend,
        "watermark": clip.watermark,
        "seed": clip.seed,
    }
    return {"model": model.name, "input": _without_none(asked), "parameters": _without_none(parameters)}


def describe_create(clip: Clip, model: Model) -> dict[str, Any]:
    """The create as it is sent, for records: each frame is named by its digest, wherever it was sent from."""
    first = f"sha256:{clip.first_frame.sha256}"
    last = f"sha256:{clip.last_frame.sha256}" if clip.last_frame else None
    return {"path": create_path(model), **create_body(clip, model, first, last)}


def list_parameters(
    *, since: datetime | None, until: datetime | None, model: str | None, page: int, page_size: int
) -> dict[str, str]:
    """The query of ``list``. Seconds are rounded outwards.

    A window spans at most 24 hours, which is also how long tasks live: a longer one loses its oldest part.
    """
    query = {"page_no": str(page), "page_size": str(page_size)}
    if model is not None:
        query["model_name"] = model
    if until is not None:
        until += timedelta(microseconds=-until.microsecond % 1_000_000)
        query["end_time"] = _stamp(until)
    if since is not None:
        query["start_time"] = _stamp(since if until is None else max(since, until - timedelta(hours=24)))
    return query


def read_created(body: bytes) -> Created:
    """The reply of a create that was answered with success.

    Raises:
        ReplyLost: There is no task id in it, so a task may exist that we know nothing of.
    """
    document = _object(body, "create")
    output = document.get("output")
    task_id = read_text(output.get("task_id")) if isinstance(output, dict) else None
    if task_id is None:
        raise ReplyLost("create", "the reply names no task")
    return Created(task_id=task_id, request_id=read_text(document.get("request_id")))


def read_task(body: bytes, *, read_at: datetime) -> Reading:
    """The reply of a ``get``.

    A SUCCEEDED task may come without ``video_url``: it is paid for, and has to be asked again.

    Raises:
        ReplyLost: It is no description of a task.
    """
    document = _object(body, "get")
    output = document.get("output")
    if not isinstance(output, dict):
        raise ReplyLost("get", "the reply has no output")
    task_id, status = read_text(output.get("task_id")), _status(output.get("task_status"))
    if task_id is None or status is None:
        raise ReplyLost("get", "the reply names no task, or not its status")
    failed = status is TaskStatus.FAILED
    code = read_text(output.get("code")) or read_text(document.get("code"))
    message = read_text(output.get("message")) or read_text(document.get("message"))
    return Reading(
        task_id=task_id,
        status=status,
        read_at=read_at,
        request_id=read_text(document.get("request_id")),
        submitted_at=parse_time(output.get("submit_time")),
        started_at=parse_time(output.get("scheduled_time")),
        ended_at=parse_time(output.get("end_time")),
        video_url=read_text(output.get("video_url")),
        orig_prompt=read_text(output.get("orig_prompt")),
        actual_prompt=read_text(output.get("actual_prompt")),
        usage=_usage(document.get("usage")),
        code=hide_secrets(code) if failed and code else None,
        message=hide_secrets(message) if failed and message else None,
    )


def read_list(body: bytes) -> TaskPage:
    """The reply of a ``list``.

    Raises:
        ReplyLost: There is no list in it. That must never be taken for an empty one: it would pay for a clip again.
    """
    document = _object(body, "list")
    rows, total = document.get("data"), read_count(document.get("total"))
    if rows is None and total == 0:
        rows = []
    if not isinstance(rows, list):
        raise ReplyLost("list", "the reply has no list")
    tasks = [task for task in map(_listed, rows) if task is not None]
    return TaskPage(
        tasks=tuple(tasks),
        page=read_count(document.get("page_no")) or 1,
        total=total,
        total_pages=read_count(document.get("total_page")),
        unreadable=len(rows) - len(tasks),
    )


def read_error(http_status: int, body: bytes, content_type: str) -> ServiceError | None:
    """The service's own error; None where the body does not have its shape, so somebody else may have answered.

    The shape is ``{"code": …, "message": …, "request_id": …}``, or ``{"error": {"code": …, "message": …}}`` as the
    vendor's OpenAI-style gateways write it.

    Args:
        http_status: Status of the reply.
        body: The reply's bytes.
        content_type: The header, empty where there is none.
    """
    if content_type and "json" not in content_type.lower():
        return None
    document = read_object(body)
    if document is None:
        return None
    nested = document.get("error")
    described = nested if isinstance(nested, dict) else document
    code = read_text(described.get("code"))
    if code is None:
        return None
    message = read_text(described.get("message")) or ""
    request_id = read_text(document.get("request_id"))
    return ServiceError(hide_secrets(code), hide_secrets(message), http_status=http_status, request_id=request_id)


@dataclass(frozen=True, kw_only=True)
class UploadPolicy:
    """Leave to put files into the vendor's temporary storage (vendor page on temporary URLs).

    Attributes:
        upload_url: Where the form is posted.
        directory: What the file's key begins with, without trailing slash.
        fields: The form's signed fields; secrets, so they are left out of ``repr``.
    """

    upload_url: str
    directory: str
    fields: Mapping[str, str] = field(repr=False)


def read_policy(body: bytes) -> UploadPolicy:
    """The reply of ``getPolicy``.

    Raises:
        ReplyLost: There is no policy in it.
    """
    data = _object(body, "upload").get("data")
    given = data if isinstance(data, dict) else {}
    upload_url, directory = read_text(given.get("upload_host")), read_text(given.get("upload_dir"))
    signed = {name: text for name, key in _POLICY_FIELDS.items() if (text := read_text(given.get(key))) is not None}
    if upload_url is None or directory is None or "Signature" not in signed:
        raise ReplyLost("upload", "the reply holds no upload policy")
    return UploadPolicy(upload_url=upload_url, directory=directory.rstrip("/"), fields=signed)


def read_upload_error(http_status: int, body: bytes) -> ServiceError:
    """The refusal of the temporary storage, which speaks XML, under a code of its own."""
    found = _STORAGE_ERROR.search(body.decode("utf-8", "replace"))
    said = hide_secrets(f"{found['code']}: {found['message']}") if found else "the storage gave no reason"
    return ServiceError("UploadRefused", f"HTTP {http_status}, {said}", http_status=http_status)


def _object(body: bytes, doing: str) -> dict[str, Any]:
    document = read_object(body)
    if document is None:
        raise ReplyLost(doing, "the reply is no JSON object")
    return document


def _status(value: object) -> TaskStatus | None:
    """The status; None where there is none. Only a known end may end a task, so an unknown word means "under way"."""
    word = read_text(value)
    if word is None:
        return None
    try:
        return TaskStatus(word.upper())
    except ValueError:
        return TaskStatus.RUNNING


def _usage(value: object) -> Usage | None:
    """What is billed; None where it can't be told. ``SR`` comes as 720, "720" or not at all."""
    if not isinstance(value, dict):
        return None
    durations = (value.get(key) for key in ("video_duration", "duration", "output_video_duration"))
    duration_s = next((number for number in map(read_number, durations) if number is not None and number >= 0), None)
    if duration_s is None:
        return None
    lines = value.get("SR")
    return Usage(
        video_count=1 if (count := read_count(value.get("video_count"))) is None else count,
        duration_s=duration_s,
        resolution=read_count(lines.rstrip("pP") if isinstance(lines, str) else lines) or None,
    )


def _listed(row: object) -> ListedTask | None:
    if not isinstance(row, dict):
        return None
    task_id, status = read_text(row.get("task_id")), _status(row.get("status"))
    if task_id is None or status is None:
        return None
    return ListedTask(
        task_id=task_id,
        status=status,
        model=read_text(row.get("model_name")),
        created_at=parse_time(row.get("gmt_create")),
        started_at=parse_time(row.get("start_time")),
        ended_at=parse_time(row.get("end_time")),
        request_id=read_text(row.get("request_id")),
    )


def _stamp(at: datetime) -> str:
    return at.astimezone(SERVICE_ZONE).strftime("%Y%m%d%H%M%S")


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
