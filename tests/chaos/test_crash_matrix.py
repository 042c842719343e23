"""The crash matrix: a process dies at a named point, whatever the service does meanwhile, and the next one goes on.

Each cell ends with one task, one video, one row and one materialization per clip. All cells are run by ``make chaos``;
an ordinary test run takes a diagonal in which every point and every state of the service comes up.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from chaos.child import POINTS
from chaos.story import Story, Verdict
from scenarios import QUICK

from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.localserver.scenario import Scenario

STATES: dict[str, tuple[Fault, ...]] = {
    "healthy": (),
    "list_down": (Fault(on="list", kind="error", status=503, count=2),),
    "throttled": (Fault(on="create", kind="throttle", count=2),),
    "bad_gateway": (Fault(on="create", kind="html", count=1), Fault(on="get", kind="html", count=1)),
    "cut": tuple(Fault(on=operation, kind="cut", count=1) for operation in ("create", "get", "list", "download")),
}
"""What the service does while the process dies and the next one goes on."""

CLIPS = 2
DIAGONAL = [(point, list(STATES)[number % len(STATES)]) for number, point in enumerate(POINTS)]
SIDE_BY_SIDE = 4
"""Cells that run at the same time: each of them mostly waits."""

ALL_WELL = Verdict(
    clips=CLIPS, creates=0, tasks=CLIPS, billed=CLIPS, duplicates=0, lost=0, orphans=0, strays=0, rows=CLIPS,
    materializations=CLIPS, once=True,
)  # fmt: skip
"""How every cell ends, however many creates it took."""


class Matrix:
    """Runs cells, each in a folder of its own."""

    def __init__(self, folder: Path, home: Path) -> None:
        self._folder = folder
        self._home = home

    def run(self, cells: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Verdict]:
        """The verdict on each cell."""
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            return dict(zip(cells, pool.map(self._run_one, cells), strict=True))

    def _run_one(self, cell: tuple[str, str]) -> Verdict:
        point, state = cell
        folder = self._folder / f"{point}-{state}"
        scenario = Scenario(**QUICK, faults=STATES[state])
        with LocalServer(folder / "server", scenario=scenario) as server:
            story = Story(folder, server, self._home)
            story.want(CLIPS)
            assert not story.live(point), f"{point} was never reached"
            assert story.live()
            return replace(story.verdict(), creates=0)


@pytest.fixture
def matrix(tmp_path: Path, empty_home: Path) -> Matrix:
    return Matrix(tmp_path, empty_home)


def test_a_death_at_each_point_costs_nothing_and_loses_nothing(matrix: Matrix) -> None:
    assert matrix.run(DIAGONAL) == dict.fromkeys(DIAGONAL, ALL_WELL)


@pytest.mark.chaos
@pytest.mark.parametrize("state", STATES)
def test_nor_does_it_at_any_point_in_any_state_of_the_service(state: str, matrix: Matrix) -> None:
    cells = [(point, state) for point in POINTS]
    assert matrix.run(cells) == dict.fromkeys(cells, ALL_WELL)
