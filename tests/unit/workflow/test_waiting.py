"""What waits for which lane, told by what the ledger knows of clips, attempts and drivers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from unit.storage.made_attempts import NOON, make_clip, prepare, record

from kf2v_pipeline.domain.attempt import FactKind, Remedy
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.storage.ledger import Driver
from kf2v_pipeline.workflow.project import Project

ONE, OTHER = "local/kf2v", "local/other"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project, with a driver that lives."""
    settings = Settings(manifest=str(tmp_path / "m.csv"), home=tmp_path / "home")

    def clock() -> datetime:
        return NOON

    with Project(settings, local_address=str, clock=clock) as opened:
        opened.ledger.enlist(Driver(owner="one", host="elsewhere", pid=1), at=NOON)
        yield opened


def want(project: Project, *clips: Clip) -> None:
    project.ledger.want(project.manifest_name, clips, at=NOON)


def of_any(*lanes: str) -> Clip:
    return make_clip(service="auto", model="auto", lanes=lanes)


def test_a_clip_waits_only_where_all_lanes_that_may_make_it_take_none(project: Project) -> None:
    want(project, make_clip("a"), make_clip("b", service="auto", model="auto", lanes=(ONE, OTHER)))
    waiting = project.waiting()
    counts = [waiting.without(lanes).count for lanes in ([], [OTHER], [ONE], [ONE, OTHER])]
    assert counts == [2, 2, 1, 0]


def test_a_clip_with_a_task_under_way_waits_only_where_nothing_is_told_of_its_task(project: Project) -> None:
    clip = of_any(ONE, OTHER)
    want(project, clip)
    record(project.ledger, prepare(project.ledger, clip.evolve(service="local", model="kf2v")), FactKind.ACCEPTED)
    waiting = project.waiting()
    assert waiting.without([ONE, OTHER]).count == 1
    assert [waiting.without([lane], left=[lane]).count for lane in (ONE, OTHER)] == [0, 1]


def test_what_no_row_asks_for_any_more_waits_only_where_nothing_is_told_of_its_task(project: Project) -> None:
    clip = make_clip(model="wan2.2-kf2v-flash")
    want(project, clip)
    record(project.ledger, prepare(project.ledger, clip), FactKind.ACCEPTED)
    want(project)
    waiting = project.waiting()
    assert waiting.without([clip.lane]).count == 1
    assert waiting.without([clip.lane], left=[clip.lane]).count == 0


def test_a_clip_that_was_refused_waits_for_the_lanes_that_may_make_it_now(project: Project) -> None:
    """A run that chooses its clips decides the same: else one would be begun for nothing, tick after tick."""
    want(project, of_any(ONE))
    attempt = prepare(project.ledger, of_any(ONE).evolve(service="local", model="kf2v"))
    record(project.ledger, attempt, FactKind.REFUSED, remedy=Remedy.RETRY)
    want(project, of_any(OTHER))
    waiting = project.waiting()
    assert [waiting.without([lane]).count for lane in (ONE, OTHER)] == [1, 0]


def test_what_waits_tells_who_holds_it(project: Project) -> None:
    want(project, make_clip("a"), make_clip("b"), make_clip("c", model="other"))
    prepare(project.ledger, make_clip("a"), owner="one")
    assert project.waiting().owners == {"one", None}
    assert project.waiting().without([OTHER]).owners == {"one", None}
    want(project, make_clip("a"), make_clip("c", model="other"))
    assert project.waiting().without([OTHER]).owners == {"one"}
