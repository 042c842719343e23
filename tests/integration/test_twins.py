"""Two lost creates with one prompt, against the real local server: films tell them apart, or nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from integration.test_drive import QUICK, verdicts
from PIL import Image

from kf2v_pipeline.domain.attempt import Fact, FactKind, State
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.workflow.driver import holding
from kf2v_pipeline.workflow.frames import FrameSender
from kf2v_pipeline.workflow.intake import take_in_manifest
from kf2v_pipeline.workflow.outcome import Silence
from kf2v_pipeline.workflow.project import Project

SHAPES = {"stripes": (0, 64), "arch": (90, 64), "ball": (0, 256), "hill": (180, 256)}


@pytest.fixture
def server(start_server: Callable[..., LocalServer]) -> LocalServer:
    return start_server()


@pytest.fixture
def project(server: LocalServer, tmp_path: Path) -> Iterator[Project]:
    """Two clips with one prompt; ``a`` and ``b`` have frames of their own, ``c`` has those of ``a``."""
    for name, (angle, size) in SHAPES.items():
        tile = (Image.radial_gradient("L") if size == 256 else Image.linear_gradient("L").resize((64, 64))).rotate(
            angle
        )
        picture = Image.new("L", (640, 360))
        for x in range(0, 640, size):
            for y in range(0, 360, size):
                picture.paste(tile, (x + (y if name == "hill" else 0), y))
        picture.save(tmp_path / f"{name}.png")
    rows = ["a,stripes.png,arch.png,1", "b,ball.png,stripes.png,2", "c,stripes.png,arch.png,3"]
    lines = [f"{row},The same words,480P" for row in rows]
    header = "clip_id,first_frame,last_frame,seed,prompt,resolution"
    (tmp_path / "m.csv").write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    settings = Settings(
        manifest=str(tmp_path / "m.csv"),
        storage=str(tmp_path / "out"),
        home=tmp_path / "home",
        service=server.base_url,
        quality=False,
    )
    with Project(settings, local_address=str, tempo=QUICK) as opened:
        yield opened


def lose_replies(project: Project, clip_ids: Sequence[str], *, landed: Sequence[str]) -> dict[str, str]:
    """Leaves unconfirmed attempts behind, as runs do that died; gives the tasks that were made all the same."""
    wanted = {clip.clip_id: clip for clip in take_in_manifest(project).clips}
    ledger, tasks = project.ledger, {}

    async def create(clip: Clip) -> str:
        async with project.connect(clip.service) as client:
            first_url, last_url = await FrameSender().urls(clip, client)
            return (await client.create(clip, first_frame_url=first_url, last_frame_url=last_url)).task_id

    with holding(ledger, clip_ids, clock=project.clock, stale_after=project.stale_after) as hold:
        for clip_id in clip_ids:
            attempt = ledger.prepare(wanted[clip_id], owner=hold.owner, at=project.clock())
            if clip_id in landed:
                tasks[clip_id] = asyncio.run(create(wanted[clip_id]))
            detail = {"unconfirmed_at": project.clock()}
            ledger.record(
                Fact(attempt_id=attempt.attempt_id, kind=FactKind.REPLY_LOST, at=project.clock(), detail=detail)
            )
    return tasks


def drive_only(project: Project, *clip_ids: str, seconds: float = 60) -> dict[str, str]:
    clips = list(project.wanted(clip_ids))
    until = project.clock() + timedelta(seconds=seconds)
    return verdicts(asyncio.run(project.engine(clips, Silence()).drive(clips, until=until)))


def test_films_tell_two_lost_creates_with_one_prompt_apart(project: Project, server: LocalServer) -> None:
    tasks = lose_replies(project, ["b", "a"], landed=["b", "a"])
    assert drive_only(project, "a", "b") == {"a": "stored", "b": "stored"}
    assert {attempt.clip_id: attempt.task_id for attempt in project.ledger.attempts()} == tasks
    assert server.journal()["billed"]["videos"] == 2
    assert not list(project.settings.incoming_directory.glob("*"))


def test_of_two_lost_creates_with_one_prompt_the_one_that_made_no_task_is_sent_again(
    project: Project, server: LocalServer
) -> None:
    tasks = lose_replies(project, ["a", "b"], landed=["b"])
    assert drive_only(project, "a", "b") == {"a": "stored", "b": "stored"}
    states = [(a.clip_id, a.state, a.task_id == tasks.get(a.clip_id)) for a in project.ledger.attempts()]
    assert states[:2] == [("a", State.REFUSED, True), ("b", State.STORED, True)]
    assert server.journal()["billed"]["videos"] == 2


def test_lost_creates_with_one_prompt_and_the_same_frames_wait_for_a_person(
    project: Project, server: LocalServer
) -> None:
    lose_replies(project, ["a", "c"], landed=["a", "c"])
    assert drive_only(project, "a", "c", seconds=4) == {"a": "left", "c": "left"}
    assert {attempt.state for attempt in project.ledger.attempts()} == {State.UNCONFIRMED}
    assert len(server.journal()["creates"]) == 2


def test_a_drive_that_holds_one_of_two_looks_at_the_frames_of_both(project: Project) -> None:
    tasks = lose_replies(project, ["a", "b"], landed=["b", "a"])
    assert drive_only(project, "a") == {"a": "stored"}
    assert {attempt.clip_id: attempt.task_id for attempt in project.ledger.attempts()} == {"a": tasks["a"], "b": None}
