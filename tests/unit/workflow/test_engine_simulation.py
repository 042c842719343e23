"""The engine against a simulated service on a simulated clock: whole nights in milliseconds, with seeded faults.

The service, the clock and the collector are simulated; engine, lanes, policy and ledger are real. A failing seed
is part of the test's name and reproduces the night.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

import pytest

from kf2v_pipeline.domain.attempt import FactKind, State
from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.domain.reading import Created, ListedTask, Reading, TaskPage, TaskStatus, Usage
from kf2v_pipeline.errors import NotSent, ReplyLost, ServiceError, TransportError
from kf2v_pipeline.storage.ledger import Ledger
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.wan.catalog import load_catalog
from kf2v_pipeline.workflow.engine import Engine, new_driver
from kf2v_pipeline.workflow.outcome import DriveReport, Silence, Verdict

T = TypeVar("T")
MIDNIGHT = datetime(2026, 3, 1, tzinfo=timezone.utc)
SERVICE = load_catalog().service("beijing")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer whenever there is nothing to do."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0

    def time(self) -> float:
        return self._now_s

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]  # asyncio's own queues
            self._now_s = max(self._now_s, self._scheduled[0]._when)  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def run_virtually(work: Coroutine[Any, Any, T], loop: VirtualLoop) -> T:
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(work)
    finally:
        asyncio.set_event_loop(None)


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
    """The service's side: tasks, a quota, a queue or none, and faults drawn from a seed."""

    def __init__(self, loop: VirtualLoop, seed: int, *, faults: float, queues: bool = True, places: int = 2) -> None:
        self.tasks: list[SimTask] = []
        self.calls: Counter[str] = Counter()
        self.throttled = 0
        self.service = SERVICE
        self._loop = loop
        self._rng = random.Random(seed)
        self._faults = faults
        self._queues = queues
        self._places = places
        self._free_at = [MIDNIGHT] * places

    def now(self) -> datetime:
        return MIDNIGHT + timedelta(seconds=self._loop.time())

    def _hit(self) -> bool:
        return self._rng.random() < self._faults

    def _status(self, task: SimTask) -> TaskStatus:
        if task.started_at > self.now():
            return TaskStatus.PENDING
        if task.started_at + task.length > self.now():
            return TaskStatus.RUNNING
        return TaskStatus.FAILED if task.fails_with else TaskStatus.SUCCEEDED

    def _open_tasks(self) -> int:
        return sum(not self._status(task).ended for task in self.tasks)

    async def create(self, clip: Clip, *, first_frame_url: str, last_frame_url: str | None) -> Created:
        self.calls["create"] += 1
        await asyncio.sleep(self._rng.uniform(0.05, 0.4))
        fate = self._rng.choice(["not sent", "throttle", "lost before", "lost after"]) if self._hit() else "fine"
        if fate == "not sent":
            raise NotSent("create", "no connection")
        if fate == "throttle" or (not self._queues and self._open_tasks() >= self._places):
            self.throttled += fate != "throttle"
            raise ServiceError("Throttling.RateQuota", "Requests rate limit exceeded", http_status=429)
        if fate == "lost before":
            raise ReplyLost("create", "the connection was reset")
        task = SimTask(
            task_id=f"task-{len(self.tasks)}",
            prompt=clip.prompt or "",
            created_at=self.now(),
            listed_at=self.now() + timedelta(seconds=self._rng.uniform(0, 20) if self._hit() else 0),
            length=timedelta(seconds=min(300, max(60, self._rng.lognormvariate(4.8, 0.4)))),
            fails_with="InternalError" if self._hit() else None,
            started_at=max(self.now(), min(self._free_at)),
        )
        self._free_at.remove(min(self._free_at))
        self._free_at.append(task.started_at + task.length)
        self.tasks.append(task)
        if fate == "lost after":
            raise ReplyLost("create", "the read timed out")
        return Created(task_id=task.task_id, request_id=f"request-of-{task.task_id}")

    async def list(
        self,
        *,
        since: datetime | None,
        until: datetime | None,
        model: str | None = None,
        page: int = 1,
        page_size: int = 100,
    ) -> TaskPage:
        self.calls["list"] += 1
        await asyncio.sleep(0.1)
        if self._hit():
            raise TransportError("list", "the read timed out")
        since, until = since or self.now() - timedelta(hours=24), until or self.now()
        shown = [t for t in self.tasks if since <= t.created_at <= until and t.listed_at <= self.now()]
        rows = tuple(
            ListedTask(task_id=t.task_id, status=self._status(t), model=model, created_at=t.created_at)
            for t in shown[(page - 1) * page_size : page * page_size]
        )
        return TaskPage(tasks=rows, page=page, total=len(shown), total_pages=-(-len(shown) // page_size) or 1)

    async def get(self, task_id: str) -> Reading:
        self.calls["get"] += 1
        await asyncio.sleep(0.1)
        if self._hit():
            raise TransportError("get", "the connection was reset")
        task = next(t for t in self.tasks if t.task_id == task_id)
        status = self._status(task)
        ended = task.started_at + task.length if status.ended else None
        return Reading(
            task_id=task_id,
            status=status,
            read_at=self.now(),
            submitted_at=task.created_at,
            started_at=None if status is TaskStatus.PENDING else task.started_at,
            ended_at=ended,
            video_url=f"https://videos.example/{task_id}.mp4" if status is TaskStatus.SUCCEEDED else None,
            orig_prompt=task.prompt if status is TaskStatus.SUCCEEDED else None,
            usage=Usage(video_count=1, duration_s=5, resolution=720) if status is TaskStatus.SUCCEEDED else None,
            code=task.fails_with if status is TaskStatus.FAILED else None,
            message="inference internal error." if status is TaskStatus.FAILED else None,
        )


class SimCollector:
    """Stores at once, and keeps which task's video was stored for which clip."""

    def __init__(self) -> None:
        self.videos: dict[str, str] = {}

    async def collect(self, desk: Any, client: Any, clip: Clip, attempt: Any, video_url: str | None) -> None:
        await asyncio.sleep(1)
        self.videos[clip.clip_id] = attempt.task_id
        path = f"videos/{clip.clip_id}/{clip.fingerprint[:12]}.mp4"
        desk.decide(clip, desk.record(attempt, FactKind.VIDEO_STORED, stored_at=desk.clock(), video_path=path))


class Night:
    """One night: a service, a ledger, and as many drives as it takes."""

    def __init__(self, folder: Path, seed: int, *, clips: int, faults: float, **service: Any) -> None:
        self.loop = VirtualLoop()
        self.wan = SimWan(self.loop, seed, faults=faults, **service)
        self.collector = SimCollector()
        self.ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}")
        self.store = Store.open(str(folder / "out"))
        self.clips = [_clip(number) for number in range(clips)]
        self.ledger.want("manifest.csv", self.clips, at=self.wan.now())

    def drive(self, *, for_s: float | None = None) -> DriveReport:
        engine = Engine(
            ledger=self.ledger,
            store=self.store,
            connect=lambda _name: _opened(self.wan),
            collector=self.collector,  # type: ignore[arg-type]  # simulated
            clock=self.wan.now,
            listener=Silence(),
            driver=new_driver(),
        )
        until = None if for_s is None else self.wan.now() + timedelta(seconds=for_s)
        return run_virtually(engine.drive(self.clips, until=until), self.loop)

    def close(self) -> None:
        self.ledger.close()
        self.loop.close()

    def assert_nothing_was_paid_twice_or_lost(self) -> None:
        paid = Counter(task.prompt for task in self.wan.tasks if task.fails_with is None)
        assert {prompt: times for prompt, times in paid.items() if times > 1} == {}
        for clip in self.clips:
            task = next(t for t in self.wan.tasks if t.task_id == self.collector.videos[clip.clip_id])
            assert task.prompt == clip.prompt


@asynccontextmanager
async def _opened(wan: SimWan) -> Any:
    yield wan


def _clip(number: int) -> Clip:
    def frame(name: str) -> Frame:
        location = f"https://frames.example/{number}-{name}.png"
        return Frame(location=location, sha256=f"{number}{name}", width=1280, height=720, size_bytes=9, format="PNG")

    return Clip(
        clip_id=f"c{number:03}",
        row=number + 1,
        service="beijing",
        model="wan2.2-kf2v-flash",
        resolution="720P",
        first_frame=frame("first"),
        last_frame=frame("last"),
        prompt=f"Take {number}",
    )


@pytest.mark.parametrize("queues", [True, False], ids=["queueing", "rejecting"])
@pytest.mark.parametrize("seed", range(12))
def test_every_clip_is_stored_once_whatever_goes_wrong(seed: int, queues: bool, tmp_path: Path) -> None:
    night = Night(tmp_path, seed, clips=6, faults=0.15, queues=queues)

    report = night.drive()

    failed = {outcome.clip.clip_id for outcome in report.of(Verdict.FAILED)}
    night.clips = [clip for clip in night.clips if clip.clip_id not in failed]
    assert {outcome.clip.clip_id for outcome in report.of(Verdict.STORED)} == {clip.clip_id for clip in night.clips}
    night.assert_nothing_was_paid_twice_or_lost()
    assert {attempt.state for attempt in night.ledger.attempts()} <= {State.STORED, State.REFUSED, State.FAILED}
    night.close()


@pytest.mark.parametrize("seed", range(8))
def test_drives_that_are_cut_off_again_and_again_end_with_the_same_videos(seed: int, tmp_path: Path) -> None:
    night = Night(tmp_path, seed, clips=5, faults=0.1)
    rng = random.Random(seed)

    for _ in range(200):
        report = night.drive(for_s=rng.uniform(0.1, 60))
        if not report.of(Verdict.LEFT):
            break

    failed = {outcome.clip.clip_id for outcome in report.of(Verdict.FAILED)}
    night.clips = [clip for clip in night.clips if clip.clip_id not in failed]
    night.assert_nothing_was_paid_twice_or_lost()
    night.close()
