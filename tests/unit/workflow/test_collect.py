"""A video that is being checked when its drive ends: whoever waited for it is gone, and the next drive stores it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from attempts import prepared
from unit.workflow.simulation import make_clip

from kf2v_pipeline.domain.attempt import Attempt
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.wan.catalog import load_catalog
from kf2v_pipeline.workflow.collect import Collector

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


class Desk:
    """Its clock, which a video is asked for once it is checked, stands still until it may go on."""

    def __init__(self) -> None:
        self.was_asked, self.may_go_on = Event(), Event()

    def clock(self) -> datetime:
        self.was_asked.set()
        assert self.may_go_on.wait(30)
        return NOON


async def cancel_while_it_is_checked(collector: Collector, clip: Clip, attempt: Attempt) -> None:
    desk: Any = Desk()
    lane: Any = SimpleNamespace(client=SimpleNamespace(service=load_catalog().service("local")), left=None)
    collecting = asyncio.ensure_future(collector.collect(desk, lane, clip, attempt, "https://host/v.mp4"))
    await asyncio.to_thread(desk.was_asked.wait, 30)
    collecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await collecting
    desk.may_go_on.set()


def test_a_drive_that_ends_while_it_checks_a_video_leaves_storing_it_to_the_next(
    make_film: Callable[..., Path], tmp_path: Path
) -> None:
    """Another driver may have taken the clip over by then."""
    clip = make_clip(0)
    attempt = prepared(clip, at=NOON)
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    film = make_film("film.mp4").rename(incoming / f"{attempt.attempt_id}.mp4")
    content = film.read_bytes()
    store = Store.open(str(tmp_path / "out"))

    asyncio.run(cancel_while_it_is_checked(Collector(store, incoming), clip, attempt))  # which waits for all threads

    assert film.read_bytes() == content
    assert not store.sizes("videos")
