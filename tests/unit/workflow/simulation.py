"""A simulated service, clock and loop around the real engine, lanes, policy and ledger: whole nights in milliseconds.

What a night tests belongs to the test files. Everything is drawn from a seed, so that a night that fails fails again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from blank_ledger import write_blank_ledger
from unit.workflow.simulated_service import SimWan
from unit.workflow.virtual_loop import Trip, VirtualLoop, run_virtually

from kf2v_pipeline.domain.attempt import FactKind
from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.storage.layout import video_path
from kf2v_pipeline.storage.ledger import Ledger
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.workflow.driver import new_driver
from kf2v_pipeline.workflow.engine import Engine
from kf2v_pipeline.workflow.outcome import DriveReport, Listener, Silence, Verdict
from kf2v_pipeline.workflow.tempo import Tempo


class SimCollector:
    """Stores at once, and keeps which task's video was stored for which clip."""

    def __init__(self, incoming: Path) -> None:
        self.incoming = incoming
        self.videos: dict[str, str] = {}

    def sweep(self, *_args: Any, **_options: Any) -> None:
        """Nothing lies anywhere."""

    async def collect(self, desk: Any, lane: Any, clip: Clip, attempt: Any, video_url: str | None) -> None:
        await asyncio.sleep(1)
        self.videos[clip.clip_id] = attempt.task_id
        path = video_path(clip.clip_id, clip.fingerprint)
        desk.store.write_bytes(path, attempt.task_id.encode())
        desk.decide(clip, desk.record(attempt, FactKind.VIDEO_STORED, stored_at=desk.clock(), video_path=path))


class Hearer(Silence):
    """Keeps what a person would read."""

    def __init__(self, notices: list[str]) -> None:
        self._notices = notices

    def noticed(self, sentence: str) -> None:
        self._notices.append(sentence)


class Night:
    """One night: a service, a ledger, and as many drives as it takes.

    Args:
        folder: Where ledger and videos lie.
        clips: How many clips are wanted, or which.
        service: Options of ``SimWan``.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        clips: int | list[Clip],
        faults: float = 0.0,
        trip: Trip = lambda _place: None,
        **service: Any,
    ) -> None:
        self.loop = VirtualLoop(trip)
        self.wan = SimWan(self.loop, seed, faults=faults, trip=trip, **service)
        self.collector: Any = SimCollector(folder / "incoming")
        self.tempo = Tempo()
        self.notices: list[str] = []
        self.listener: Listener = Hearer(self.notices)
        self.unusable: set[str] = set()
        self.ledger = Ledger.open(f"sqlite:///{write_blank_ledger(folder / 'ledger.db')}")
        self.store = Store.open(str(folder / "out"))
        self.clips = [make_clip(number) for number in range(clips)] if isinstance(clips, int) else clips
        self.ledger.want("manifest.csv", self.clips, at=self.wan.now())

    def _connect(self, service: str) -> Any:
        if service in self.unusable:
            raise SettingsError("DASHSCOPE_API_KEY", f"the service {service} needs an API key", "set it")
        return _opened(self.wan)

    def drive(self, *, for_s: float | None = None, asked: Collection[str] = ()) -> DriveReport:
        engine = Engine(
            ledger=self.ledger,
            store=self.store,
            connect=self._connect,  # type: ignore[arg-type]  # simulated
            collector=self.collector,
            clock=self.wan.now,
            listener=self.listener,
            driver=new_driver(),
            tempo=self.tempo,
            manifest="manifest.csv",
        )
        until = None if for_s is None else self.wan.now() + timedelta(seconds=for_s)
        return run_virtually(engine.drive(self.clips, asked=asked, until=until), self.loop)

    def drive_to_the_end(self) -> DriveReport:
        """As many drives as it takes until nothing is left for another one; each lasts a virtual hour at most."""
        for _ in range(48):
            report = self.drive(for_s=3600)
            if not report.of(Verdict.LEFT):
                return report
        raise AssertionError("clips are left after two days")

    def close(self) -> None:
        self.ledger.close()
        self.loop.close()

    def assert_nothing_was_paid_twice_or_lost(self) -> None:
        self.assert_nothing_was_paid_twice()
        for clip in self.clips:
            task = next(t for t in self.wan.tasks if t.task_id == self.collector.videos[clip.clip_id])
            assert task.prompt == clip.prompt

    def assert_nothing_was_paid_twice(self) -> None:
        paid = Counter(task.prompt for task in self.wan.tasks if task.fails_with is None)
        assert {prompt: times for prompt, times in paid.items() if times > 1} == {}


@asynccontextmanager
async def _opened(wan: SimWan) -> AsyncIterator[SimWan]:
    yield wan


def make_clip(number: int, *, prompt: str | None = None, frame: Frame | None = None) -> Clip:
    def make_frame(name: str) -> Frame:
        location = f"https://frames.example/{number}-{name}.png"
        return Frame(location=location, sha256=f"{number}{name}", width=1280, height=720, size_bytes=9, format="PNG")

    return Clip(
        clip_id=f"c{number:03}",
        row=number + 1,
        service="beijing",
        model="wan2.2-kf2v-flash",
        resolution="720P",
        first_frame=frame or make_frame("first"),
        last_frame=frame or make_frame("last"),
        prompt=prompt or f"Take {number}",
    )
