"""The workshop's files: which films go when the disk is full, and what goes with a forgotten task."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kf2v_pipeline.localserver.backend import Backend
from kf2v_pipeline.localserver.clock import ScriptedClock
from kf2v_pipeline.localserver.fault import FaultPlan
from kf2v_pipeline.localserver.frame import Frames
from kf2v_pipeline.localserver.scenario import Scenario
from kf2v_pipeline.localserver.store import Store
from kf2v_pipeline.localserver.task import Task
from kf2v_pipeline.localserver.workshop import Workshop


class Shop:
    """A workshop whose films are written by the test: a hundred bytes each, one second apart."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock, self.store = path, ScriptedClock(), Store(path / "server.sqlite")
        frames = Frames(path / "frames", upload_path=lambda _key, _model: None, allow_private=True)
        self.workshop = Workshop(path, frames=frames, disk_bytes=250)
        self.backend = Backend(
            store=self.store,
            clock=self.clock,
            scenario=Scenario(),
            faults=FaultPlan((), 0),
            on_start=lambda _task: None,
        )
        self.workshop.backend = self.backend

    def make_film(self, number: int, *, downloaded: bool = False) -> None:
        now = self.clock.now()
        name = f"t{number}"
        task = Task(task_id=name, request_id="r", api_key_id="1", model="wan2.2-kf2v-flash", created_at=now)
        self.backend.create(task.evolve(checked_at=now))
        path = self.path / "videos" / f"{name}.mp4"
        path.write_bytes(b"\0" * 100)
        os.utime(path, (number, number))
        self.backend.film_ready(name, None)
        if downloaded:
            self.backend.downloaded(name)

    def films(self) -> set[str]:
        return {path.stem for path in (self.path / "videos").iterdir()}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.store.close()


def test_beyond_the_bound_the_films_that_somebody_has_go_first(shop: Shop) -> None:
    for number, downloaded in enumerate((False, False, True, True)):
        shop.make_film(number, downloaded=downloaded)
    shop.workshop.sweep()
    assert shop.films() == {"t0", "t1"}
    shop.make_film(4)
    shop.workshop.sweep()
    assert shop.films() == {"t1", "t4"}


def test_a_film_goes_with_its_task(shop: Shop) -> None:
    shop.make_film(0)
    shop.clock.advance(timedelta(hours=24, minutes=59))
    assert shop.workshop.sweep() == []
    assert shop.films() == {"t0"}
    shop.clock.advance(timedelta(minutes=2))
    assert [task.task_id for task in shop.workshop.sweep()] == ["t0"]
    assert shop.films() == set()


def test_what_a_dead_server_left_unfinished_is_cleared_away(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("a.mp4", "b-01.rendering", "b-01.rendering.part"):
        (videos / name).touch()
    Workshop(
        tmp_path,
        frames=Frames(tmp_path / "frames", upload_path=lambda _key, _model: None, allow_private=True),
        disk_bytes=1000,
    )
    assert [path.name for path in videos.iterdir()] == ["a.mp4"]
