"""Two askers of one service, the vendor's SDK and our client: the same questions, the same plain answers.

Where the two differ by design, tests of their own tell (``test_sdk_*``, ``test_client_*``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

import httpx
from dashscope import VideoSynthesis
from dashscope.common.error import UploadFileException
from dashscope.utils.oss_utils import check_and_upload_local

from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.errors import ServiceError
from kf2v_pipeline.wan.catalog import Service
from kf2v_pipeline.wan.client import WanClient

T = TypeVar("T")
BEIJING = timezone(timedelta(hours=8))


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The service's error, in its own words."""

    http_status: int | None
    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Made:
    """An accepted create."""

    task_id: str
    request_id: str | None


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One look at one task.

    Attributes:
        times: When it was submitted, started and ended, as far as it tells.
        usage: Seconds, videos and lines that are billed; no lines where the model does not tell them.
    """

    task_id: str
    status: str
    video_url: str | None
    orig_prompt: str | None
    actual_prompt: str | None
    code: str | None
    message: str | None
    times: tuple[datetime, ...]
    usage: tuple[float, int, int | None] | None

    @property
    def url(self) -> str:
        """The film's address, which must be there."""
        assert self.video_url, self
        return self.video_url


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a list."""

    task_id: str
    request_id: str | None
    status: str
    model: str | None
    created_at: datetime | None


def refused(answer: object) -> Refusal:
    """The answer, which must be a refusal."""
    assert isinstance(answer, Refusal), answer
    return answer


class Asker:
    """What both askers can; a subclass does the asking, one call each time, and gives the answer or the refusal.

    Args:
        service: Which service; its address and its models.
        key: The API key.
        live: Whether it is the real service, which wants to be asked slowly.
    """

    def __init__(self, service: Service, key: str, *, live: bool = False) -> None:
        self.service, self.key, self.live = service, key, live

    def with_key(self, key: str) -> Asker:
        """The same with another key."""
        return type(self)(self.service, key, live=self.live)

    def create(self, *, model: str, first: str, last: str | None, **options: Any) -> Made | Refusal:
        """Asks for one task; ``options`` are named as the vendor names them."""
        raise NotImplementedError

    def get(self, task_id: str) -> Seen | Refusal:
        raise NotImplementedError

    def list(self, **query: Any) -> tuple[tuple[Row, ...], int] | Refusal:
        """The rows of a page, and how many tasks there are on all pages."""
        raise NotImplementedError

    def cancel(self, task_id: str) -> Refusal | None:
        raise NotImplementedError

    def upload(self, path: Path, model: str) -> str | Refusal:
        raise NotImplementedError

    def made(self, **asked: Any) -> Made:
        """The same where a task must come of it."""
        made = self.create(**asked)
        assert isinstance(made, Made), made
        return made

    def seen(self, task_id: str) -> Seen:
        """``get`` where the task must be shown."""
        seen = self.get(task_id)
        assert isinstance(seen, Seen), seen
        return seen

    def rows(self, **query: Any) -> tuple[tuple[Row, ...], int]:
        """``list`` where a page must come."""
        page = self.list(**query)
        assert isinstance(page, tuple), page
        return page

    def film(self, **asked: Any) -> Seen:
        """The end of a new task."""
        return self.end(self.made(**asked).task_id)

    def end(self, task_id: str) -> Seen:
        """The task once it has ended."""
        if self.live:
            VideoSynthesis.wait(task_id, api_key=self.key)
        while (seen := self.seen(task_id)).status in ("PENDING", "RUNNING"):
            pass
        return seen


class Sdk(Asker):
    """The vendor's Python SDK."""

    def create(self, *, model: str, first: str, last: str | None, **options: Any) -> Made | Refusal:
        if model.startswith("wan2.7"):
            urls = {"first_frame": first, "last_frame": last}
            asked: dict[str, Any] = {"media": [{"type": kind, "url": url} for kind, url in urls.items() if url]}
        else:
            asked = {"first_frame_url": first, "last_frame_url": last}
        reply = VideoSynthesis.async_call(model=model, api_key=self.key, **asked, **options)
        return _refusal(reply) or Made(task_id=reply.output.task_id, request_id=reply.request_id)

    def get(self, task_id: str) -> Seen | Refusal:
        reply = VideoSynthesis.fetch(task_id, api_key=self.key)
        refusal = _refusal(reply)
        if refusal:
            return refusal
        said = reply.output
        times = (said.get(name) for name in ("submit_time", "scheduled_time", "end_time"))
        return Seen(
            task_id=said["task_id"],
            status=said["task_status"],
            video_url=said.get("video_url") or None,
            orig_prompt=said.get("orig_prompt") or None,
            actual_prompt=said.get("actual_prompt"),
            code=said.get("code"),
            message=said.get("message"),
            times=tuple(datetime.fromisoformat(time).replace(tzinfo=BEIJING) for time in times if time),
            usage=_usage(reply.usage) if reply.usage else None,
        )

    def list(self, **query: Any) -> tuple[tuple[Row, ...], int] | Refusal:
        for name in ("start_time", "end_time"):
            if name in query:
                query[name] = query[name].astimezone(BEIJING).strftime("%Y%m%d%H%M%S")
        reply = VideoSynthesis.list(api_key=self.key, **query)  # type: ignore[attr-defined]  # inherited, and hidden there
        refusal = _refusal(reply)
        if refusal:
            return refusal
        rows = tuple(
            Row(
                task_id=row["task_id"],
                request_id=row["request_id"],
                status=row["status"],
                model=row["model_name"],
                created_at=datetime.fromtimestamp(row["gmt_create"] / 1000, timezone.utc),
            )
            for row in reply.output["data"]
        )
        return rows, reply.output["total"]

    def cancel(self, task_id: str) -> Refusal | None:
        return _refusal(VideoSynthesis.cancel(task_id, api_key=self.key))

    def upload(self, path: Path, model: str) -> str | Refusal:
        try:
            return str(check_and_upload_local(model, str(path), self.key)[1])
        except UploadFileException as error:  # it carries the service's words, and no status
            code, message = str(error).partition("code: ")[2].split(", message: ")
            return Refusal(http_status=None, code=code, message=message)


def _refusal(reply: Any) -> Refusal | None:
    if reply.status_code == 200:
        return None
    return Refusal(http_status=reply.status_code, code=reply.code, message=reply.message)


def _usage(usage: Any) -> tuple[float, int, int | None]:
    lines = usage.get("SR")
    return usage.get("video_duration") or usage["duration"], usage["video_count"], int(lines) if lines else None


class Ours(Asker):
    """Our client."""

    def create(self, *, model: str, first: str, last: str | None, **options: Any) -> Made | Refusal:
        service = self.service
        if model not in service.models:  # it would refuse it by itself
            unknown = replace(service.model(), name=model)
            service = service.evolve(models={**service.models, model: unknown})
        frame = Frame(location="/f.png", sha256="0" * 64, width=320, height=240, size_bytes=1000, format="PNG")
        clip = Clip(
            clip_id="c",
            row=1,
            service=service.name,
            model=model,
            resolution=options.pop("resolution", service.model(model).default_resolution),
            first_frame=frame,
            last_frame=frame if last else None,
            duration_s=options.pop("duration", 5),
            **options,
        )
        reply = self._ask(lambda client: client.create(clip, first_frame_url=first, last_frame_url=last), service)
        if isinstance(reply, Refusal):
            return reply
        return Made(task_id=reply.task_id, request_id=reply.request_id)

    def get(self, task_id: str) -> Seen | Refusal:
        reading = self._ask(lambda client: client.get(task_id))
        if isinstance(reading, Refusal):
            return reading
        usage = reading.usage
        return Seen(
            task_id=reading.task_id,
            status=reading.status.value,
            video_url=reading.video_url,
            orig_prompt=reading.orig_prompt,
            actual_prompt=reading.actual_prompt,
            code=reading.code,
            message=reading.message,
            times=tuple(at for at in (reading.submitted_at, reading.started_at, reading.ended_at) if at),
            usage=(usage.duration_s, usage.video_count, usage.resolution) if usage else None,
        )

    def list(self, **query: Any) -> tuple[tuple[Row, ...], int] | Refusal:
        names = {"start_time": "since", "end_time": "until", "model_name": "model", "page_no": "page"}
        asked = {names.get(name, name): value for name, value in query.items()}
        page = self._ask(lambda client: client.list(**asked))
        if isinstance(page, Refusal):
            return page
        rows = tuple(
            Row(
                task_id=task.task_id,
                request_id=task.request_id,
                status=task.status.value,
                model=task.model,
                created_at=task.created_at,
            )
            for task in page.tasks
        )
        return rows, page.total or 0

    def cancel(self, task_id: str) -> Refusal | None:
        return self._ask(lambda client: client.cancel(task_id))

    def upload(self, path: Path, model: str) -> str | Refusal:
        return self._ask(lambda client: client.upload(path.name, path.read_bytes(), model))

    def _ask(self, use: Callable[[WanClient], Awaitable[T]], service: Service | None = None) -> T | Refusal:
        # Nothing is encrypted on the way to ourselves, and making an SSL context takes 30 ms.
        transport = None if self.live else httpx.AsyncHTTPTransport(verify=False)

        async def main() -> T:
            async with WanClient(service or self.service, self.key, transport=transport, clock=_now) as client:
                return await use(client)

        try:
            return asyncio.run(main())
        except ServiceError as error:
            return Refusal(http_status=error.http_status, code=error.code, message=error.message)


def _now() -> datetime:
    return datetime.now(timezone.utc)
