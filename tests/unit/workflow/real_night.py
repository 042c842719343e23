"""A simulated night whose storage is real, and may fail."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from unit.workflow.simulated_service import MIDNIGHT
from unit.workflow.simulation import Night

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.errors import StorageError
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.workflow.collect import Collector


def no_room() -> StorageError:
    return StorageError("/videos", "No space left on device", "make room there")


class Outage:
    """Makes one place fail until an instant."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.ends_at = MIDNIGHT
        self.clock: Callable[[], datetime] = lambda: MIDNIGHT

    def __call__(self, place: str) -> None:
        if place == self.place and self.clock() < self.ends_at:
            raise no_room()


class SnaredStore(Store):
    """A storage on this machine that may fail."""

    snare: Callable[[str], None]

    def put_file(self, local: Path, path: str, *, beside: str | None = None) -> None:
        self.snare("put_file")
        super().put_file(local, path, beside=beside)
        self.snare("put_file, put")

    def write_bytes(self, path: str, data: bytes, *, lasting: bool = True) -> None:
        self.snare("write_bytes")
        super().write_bytes(path, data, lasting=lasting)


class RealNight(Night):
    """A night whose videos are really downloaded, looked at and stored."""

    def __init__(self, folder: Path, clips: list[Clip], film: Path, *snares: Callable[[str], None]) -> None:
        def snare(place: str) -> None:
            for one in snares:
                one(place)

        folder.mkdir()
        super().__init__(folder, 0, clips=clips, trip=snare, film=film.read_bytes())
        store = SnaredStore.open(str(folder / "out"))
        assert isinstance(store, SnaredStore)
        store.snare = snare
        self.store = store
        self.collector = Collector(store, folder / "incoming")

    def assert_each_video_is_stored_for_its_clip(self) -> None:
        self.assert_nothing_was_paid_twice()
        for clip in self.clips:
            (attempt,) = [a for a in self.ledger.attempts([clip.clip_id]) if a.state is State.STORED]
            task = next(task for task in self.wan.tasks if task.task_id == attempt.task_id)
            assert task.prompt == clip.prompt
            assert self.store.read_bytes(attempt.video_path or "") == self.wan.video_of(task.task_id)


def upload(path: Path) -> Frame:
    """A frame that is said to be so large that it has to be uploaded."""
    path.write_bytes(path.name.encode())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Frame(location=str(path), sha256=digest, width=1280, height=720, size_bytes=9_000_000, format="PNG")
