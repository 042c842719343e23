"""The service's side of a simulated night: tasks, a quota, and faults that are drawn from a seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from unit.workflow.virtual_loop import Trip, VirtualLoop

from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.domain.reading import Created, ListedTask, Reading, TaskPage, TaskStatus, Usage
from kf2v_pipeline.errors import NotSent, ReplyLost, ServiceError, TransportError
from kf2v_pipeline.wan.catalog import load_catalog

MIDNIGHT = datetime(2026, 3, 1, tzinfo=timezone.utc)
SERVICE = load_catalog().service("beijing")
DAY = timedelta(hours=24)


@dataclass
class SimTask:
    task_id: str
    prompt: str
    created_at: datetime
    listed_at: datetime
    length: timedelta
    fails_with: str | None
    started_at: datetime


class SimWan:
    """The service's side: tasks, a quota, a queue or none, and faults drawn from a seed.

    Attributes:
        tasks: All that it ever made.
        script: What becomes of the next creates, by prompt: ``lost before`` or ``lost after`` it was carried out,
            ``fails`` once its task has run.
        unreadable: Tasks, by id, of which nothing that can be read is told.
        refused_videos: Tasks, by id, whose videos nobody gets.
        gone_from: From when on nobody can connect to it; None for never.
        windows: Of each list, whether it was asked for the tasks of a window.
        lagging_gets: How many of the next gets know nothing of a task that has ended.

    Args:
        faults: Share of the calls that go wrong, and of the tasks that fail or are listed late.
        queues: Whether it queues the surplus; else it answers 429.
        get_takes: How long a get takes.
        reply_takes: How long after its task was made a create is answered.
        task_takes: How long each task runs; None for what is drawn.
        list_lags: How long after it was made the list shows a task.
        window_off: How much later than it was meant the service takes the window of a list to be.
        film: The film that every task makes; its copies tell which task made them.
        trip: Told of each call.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        seed: int,
        *,
        faults: float,
        queues: bool = True,
        places: int = 2,
        get_takes: timedelta = timedelta(seconds=0.1),
        reply_takes: timedelta = timedelta(seconds=0.1),
        task_takes: timedelta | None = None,
        list_lags: timedelta = timedelta(0),
        window_off: timedelta = timedelta(0),
        film: bytes = b"",
        trip: Trip = lambda _place: None,
    ) -> None:
        self.tasks: list[SimTask] = []
        self.calls: Counter[str] = Counter()
        self.windows: list[bool] = []
        self.throttled = 0
        self.service = SERVICE
        self.script: dict[str, list[str]] = {}
        self.unreadable: set[str] = set()
        self.refused_videos: set[str] = set()
        self.lagging_gets = 0
        self.gone_from: datetime | None = None
        self._loop = loop
        self._rng = random.Random(seed)
        self._faults = faults
        self._queues = queues
        self._places = places
        self._get_takes_s = get_takes.total_seconds()
        self._reply_takes_s = reply_takes.total_seconds()
        self._task_takes = task_takes
        self._list_lags = list_lags
        self._window_off = window_off
        self._film = film
        self._trip = trip
        self._free_at = [MIDNIGHT] * places

    def now(self) -> datetime:
        return MIDNIGHT + timedelta(seconds=self._loop.time())

    def _take_call(self, name: str) -> None:
        self.calls[name] += 1
        if self.gone_from and self.gone_from <= self.now():
            raise NotSent(name, "no connection could be made")

    def _hit(self) -> bool:
        return self._rng.random() < self._faults

    def _fate_of(self, prompt: str | None) -> str:
        """What becomes of a create: by script, or drawn."""
        scripted = self.script.get(prompt or "")
        if scripted:
            return scripted.pop(0)
        return self._rng.choice(["not sent", "throttle", "lost before", "lost after"]) if self._hit() else "fine"

    def _status(self, task: SimTask) -> TaskStatus:
        if task.started_at > self.now():
            return TaskStatus.PENDING
        if task.started_at + task.length > self.now():
            return TaskStatus.RUNNING
        if task.created_at + DAY <= self.now():
            return TaskStatus.UNKNOWN
        return TaskStatus.FAILED if task.fails_with else TaskStatus.SUCCEEDED

    def _open_tasks(self) -> int:
        return sum(not self._status(task).ended for task in self.tasks)

    def make_task(self, prompt: str | None) -> SimTask:
        """Takes a task in, whoever asks for it."""
        task = SimTask(
            task_id=f"task-{len(self.tasks)}",
            prompt=prompt or "",
            created_at=self.now(),
            listed_at=self.now() + self._list_lags + timedelta(seconds=self._rng.uniform(0, 20) if self._hit() else 0),
            length=self._task_takes or timedelta(seconds=min(300, max(60, self._rng.lognormvariate(4.8, 0.4)))),
            fails_with="InternalError" if self._hit() else None,
            started_at=max(self.now(), min(self._free_at)),
        )
        self._free_at.remove(min(self._free_at))
        self._free_at.append(task.started_at + task.length)
        self.tasks.append(task)
        return task

    async def create(self, clip: Clip, *, first_frame_url: str, last_frame_url: str | None) -> Created:
        self._take_call("create")
        self._trip("create")
        await asyncio.sleep(self._rng.uniform(0.05, 0.4))
        fate = self._fate_of(clip.prompt)
        if fate == "not sent":
            raise NotSent("create", "no connection")
        if fate == "throttle" or (not self._queues and self._open_tasks() >= self._places):
            self.throttled += fate != "throttle"
            raise ServiceError("Throttling.RateQuota", "Requests rate limit exceeded", http_status=429)
        if fate == "lost before":
            raise ReplyLost("create", "the connection was reset")
        task = self.make_task(clip.prompt)
        if fate == "fails":
            task.fails_with = "InternalError"
        self._trip("create, carried out")
        await asyncio.sleep(self._reply_takes_s)
        if fate == "lost after":
            raise ReplyLost("create", "the read timed out")
        return Created(task_id=task.task_id, request_id=f"request-of-{task.task_id}")

    async def upload(self, name: str, content: bytes, model: str) -> str:
        self._trip("upload")
        await asyncio.sleep(0.1)
        return f"oss://dashscope-instant/{name}"

    async def list(
        self,
        *,
        since: datetime | None,
        until: datetime | None,
        model: str | None = None,
        page: int = 1,
        page_size: int = 100,
    ) -> TaskPage:
        self._take_call("list")
        self.windows.append(since is not None)
        self._trip("list")
        await asyncio.sleep(0.1)
        if self._hit():
            raise TransportError("list", "the read timed out")
        since = max(since + self._window_off if since else MIDNIGHT, self.now() - DAY)
        until = until + self._window_off if until else self.now()
        shown = [t for t in self.tasks if since <= t.created_at <= until and t.listed_at <= self.now()]
        rows = tuple(
            ListedTask(task_id=t.task_id, status=self._status(t), model=model, created_at=t.created_at)
            for t in shown[(page - 1) * page_size : page * page_size]
        )
        await asyncio.sleep(0.1)
        return TaskPage(tasks=rows, page=page, total=len(shown), total_pages=-(-len(shown) // page_size) or 1)

    async def get(self, task_id: str) -> Reading:
        self._take_call("get")
        self._trip("get")
        await asyncio.sleep(self._get_takes_s)
        if self._hit() or task_id in self.unreadable:
            raise ReplyLost("get", "the reply has another form than promised")
        task = next(t for t in self.tasks if t.task_id == task_id)
        status = self._status(task)
        if status.ended and self.lagging_gets:
            self.lagging_gets -= 1
            status = TaskStatus.UNKNOWN
        if status is TaskStatus.UNKNOWN:
            return Reading(task_id=task_id, status=status, read_at=self.now())
        return Reading(
            task_id=task_id,
            status=status,
            read_at=self.now(),
            submitted_at=task.created_at,
            started_at=None if status is TaskStatus.PENDING else task.started_at,
            ended_at=task.started_at + task.length if status.ended else None,
            video_url=f"https://videos.example/{task_id}.mp4" if status is TaskStatus.SUCCEEDED else None,
            orig_prompt=task.prompt if status is TaskStatus.SUCCEEDED else None,
            usage=Usage(video_count=1, duration_s=5, resolution=720) if status is TaskStatus.SUCCEEDED else None,
            code=task.fails_with if status is TaskStatus.FAILED else None,
            message="inference internal error." if status is TaskStatus.FAILED else None,
        )

    @asynccontextmanager
    async def download(self, video_url: str, *, start_byte: int = 0) -> AsyncIterator[SimDownload]:
        self._take_call("download")
        self._trip("download")
        await asyncio.sleep(0.1)
        if video_url.rpartition("/")[2].removesuffix(".mp4") in self.refused_videos:
            raise ServiceError("VideoUrlRefused", "HTTP 403; it may have expired", http_status=403)
        yield SimDownload(self.video_of(video_url.rpartition("/")[2].removesuffix(".mp4")), start_byte, self._trip)

    def video_of(self, task_id: str) -> bytes:
        """The task's film: the same for all, but for a box at its end that players skip (ISO/IEC 14496-12, 8.1.2)."""
        mark = task_id.encode()
        return self._film + (8 + len(mark)).to_bytes(4, "big") + b"free" + mark


class SimDownload:
    """A video's bytes in two halves."""

    def __init__(self, video: bytes, start_byte: int, trip: Trip) -> None:
        self.start_byte = start_byte
        self.total_bytes = len(video)
        self._rest = video[start_byte:]
        self._trip = trip

    async def __aiter__(self) -> AsyncIterator[bytes]:
        half = len(self._rest) // 2
        yield self._rest[:half]
        self._trip("download, half of it here")
        await asyncio.sleep(0.1)
        yield self._rest[half:]
