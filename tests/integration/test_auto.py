"""Clips that any of several lanes may make, against the real local server, whose models have a quota each."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from integration.test_drive import QUICK, verdicts

from kf2v_pipeline.domain.attempt import Fact, FactKind, State
from kf2v_pipeline.domain.policy import Standing
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.localserver.scenario import Duration
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.workflow.adopt import adopt_videos
from kf2v_pipeline.workflow.driver import holding
from kf2v_pipeline.workflow.forecast import forecast
from kf2v_pipeline.workflow.intake import take_in_manifest
from kf2v_pipeline.workflow.outcome import DriveReport, Silence
from kf2v_pipeline.workflow.project import Project
from kf2v_pipeline.workflow.tables import table_rows
from kf2v_pipeline.workflow.tempo import Tempo

FLASH, PLUS = "wan2.2-kf2v-flash", "wanx2.1-kf2v-plus"
AUTO = {"service": "auto", "resolution": "720P"}

Open = Callable[..., Project]


@pytest.fixture
def open_project(tmp_path: Path) -> Iterator[Open]:
    """Opens projects on one home and one storage, whose lanes are models of one server."""
    with ExitStack() as opened:

        def open_one(server: LocalServer, manifest: Path, *models: str, **settings: Any) -> Project:
            chosen = Settings(
                manifest=str(manifest),
                storage=str(tmp_path / "out"),
                service=server.base_url,
                lanes=",".join(f"{server.base_url}/{model}" for model in models),
                **{"home": tmp_path / "home", "quality": False, **settings},
            )
            return opened.enter_context(Project(chosen, local_address=str, tempo=QUICK))

        yield open_one


def drive(project: Project, *, seconds: float = 60) -> DriveReport:
    take_in_manifest(project)
    clips = list(project.wanted())
    until = project.clock() + timedelta(seconds=seconds)
    return asyncio.run(project.engine(clips, Silence()).drive(clips, until=until))


def models_of(project: Project) -> Counter[str]:
    return Counter(attempt.model for attempt in project.ledger.attempts())


def test_both_quotas_are_used_and_every_record_shows_the_lane_that_was(
    open_project: Open, start_server: Callable[..., LocalServer], write_manifest: Callable[..., Path], tmp_path: Path
) -> None:
    server = start_server(durations=(Duration(median_s=1),))
    project = open_project(server, write_manifest(*"abcdefgh", **AUTO), FLASH, PLUS)

    report = drive(project)

    assert set(verdicts(report).values()) == {"stored"}
    most = server.journal()["max_in_process"]
    assert most.keys() == {FLASH, PLUS}
    assert max(most.values()) <= 2
    assert len(server.journal()["creates"]) == 8
    made = {attempt.clip_id: attempt.model for attempt in project.ledger.attempts()}
    assert set(made.values()) == {FLASH, PLUS}
    assert {name: outcome.clip.model for name, outcome in report.outcomes.items()} == made
    assert {(a.service, a.lane.rpartition("/")[2] == a.model) for a in project.ledger.attempts()} == {
        (server.base_url, True)
    }
    assert {entry["model"] for entry in server.journal()["creates"]} == {FLASH, PLUS}


def test_what_one_lane_made_is_not_paid_for_again_when_the_lanes_are_others(
    open_project: Open, start_server: Callable[..., LocalServer], write_manifest: Callable[..., Path]
) -> None:
    server = start_server()
    manifest = write_manifest("a", "b", **AUTO)
    drive(open_project(server, manifest, FLASH))
    other = open_project(server, manifest, PLUS)

    report = drive(other)

    assert verdicts(report) == {"a": "already_stored", "b": "already_stored"}
    assert {outcome.clip.model for outcome in report.outcomes.values()} == {FLASH}
    assert forecast(other).count(Standing.STORED) == 2
    assert len(server.journal()["creates"]) == 2


def test_a_task_in_flight_stays_with_its_lane_also_where_that_is_none_of_the_lanes_any_more(
    open_project: Open, start_server: Callable[..., LocalServer], write_manifest: Callable[..., Path]
) -> None:
    server = start_server(durations=(Duration(median_s=3),))
    manifest = write_manifest("a", **AUTO)
    assert verdicts(drive(open_project(server, manifest, FLASH), seconds=1)) == {"a": "left"}
    other = open_project(server, manifest, PLUS)

    assert verdicts(drive(other)) == {"a": "stored"}
    assert models_of(other) == {FLASH: 1}
    assert len(server.journal()["creates"]) == 1


def test_a_failed_task_may_be_tried_again_in_another_lane_and_counts_on(
    open_project: Open, start_server: Callable[..., LocalServer], write_manifest: Callable[..., Path]
) -> None:
    fault = Fault(on="task", kind="fail", count=1, code="InternalError", message="oops")
    server = start_server(faults=(fault,))
    project = open_project(server, write_manifest("a", **AUTO), FLASH, PLUS)

    assert verdicts(drive(project)) == {"a": "stored"}
    assert [(a.number, a.state) for a in project.ledger.attempts()] == [(1, State.FAILED), (2, State.STORED)]


def test_a_lost_reply_is_looked_for_in_its_lane_and_never_paid_twice(
    open_project: Open, start_server: Callable[..., LocalServer], write_manifest: Callable[..., Path]
) -> None:
    server = start_server(faults=(Fault(on="create", kind="cut", count=2),))
    project = open_project(server, write_manifest(*"abcd", **AUTO), FLASH, PLUS)

    assert set(verdicts(drive(project)).values()) == {"stored"}
    assert server.journal()["billed"]["videos"] == 4


def test_tables_sidecars_and_a_ledger_rebuilt_from_them_show_the_lane_that_was_used(
    open_project: Open, start_server: Callable[..., LocalServer], write_manifest: Callable[..., Path], tmp_path: Path
) -> None:
    server = start_server()
    manifest = write_manifest("a", **AUTO)
    project = open_project(server, manifest, PLUS)
    drive(project)

    (row,) = table_rows(project)
    rebuilt = open_project(server, manifest, FLASH, home=tmp_path / "other")
    adopt_videos(rebuilt)

    assert (row["service"], row["model"]) == (server.base_url, PLUS)
    assert verdicts(drive(rebuilt)) == {"a": "already_stored"}
    assert models_of(rebuilt) == {PLUS: 1}
    assert len(server.journal()["creates"]) == 1


def test_a_forecast_spreads_over_the_lanes_and_names_the_most_that_it_costs(
    open_project: Open, start_server: Callable[..., LocalServer], write_manifest: Callable[..., Path]
) -> None:
    server = start_server()
    told = forecast(open_project(server, write_manifest(*"abcd", **AUTO), FLASH, PLUS))
    assert told.count(Standing.PLANNED) == 4
    assert told.unlearned == (f"{server.base_url}/{FLASH}", f"{server.base_url}/{PLUS}")
    assert told.cost == {"CNY": Decimal("14.00")}


def test_a_create_that_never_landed_goes_to_the_lanes_that_there_are_now(
    open_project: Open, start_server: Callable[..., LocalServer], write_manifest: Callable[..., Path]
) -> None:
    server = start_server()
    manifest = write_manifest("a", **AUTO)
    before = open_project(server, manifest, FLASH)
    (clip,) = take_in_manifest(before).clips
    with holding(before.ledger, ["a"], clock=before.clock, stale_after=before.stale_after) as hold:
        lost = before.ledger.prepare(clip.in_lane(clip.lanes[0]), owner=hold.owner, at=before.clock())
        detail = {"unconfirmed_at": before.clock()}
        before.ledger.record(
            Fact(attempt_id=lost.attempt_id, kind=FactKind.REPLY_LOST, at=before.clock(), detail=detail)
        )
    now = open_project(server, manifest, PLUS)

    assert verdicts(drive(now, seconds=20)) == {"a": "stored"}
    assert [(a.model, a.state) for a in now.ledger.attempts()] == [(FLASH, State.REFUSED), (PLUS, State.STORED)]


def test_a_lane_that_can_not_be_used_any_more_holds_up_none_of_the_others(
    open_project: Open, start_server: Callable[..., LocalServer], write_manifest: Callable[..., Path]
) -> None:
    server = start_server()
    project = open_project(server, write_manifest("a", "b", "c", **AUTO), FLASH)
    a, b, c = take_in_manifest(project).clips
    flash, needs_key = a.lanes[0], "singapore/wan2.1-kf2v-plus"
    lanes = ((a, (needs_key, flash)), (b, (flash, needs_key)), (c, (needs_key,)))
    wanted = [clip.evolve(lanes=its) for clip, its in lanes]
    project.ledger.want(project.manifest_name, wanted, at=project.clock())

    report = asyncio.run(project.engine(wanted, Silence()).drive(wanted))

    assert verdicts(report) == {"a": "stored", "b": "stored", "c": "left"}
    assert report.outcomes["c"].code == "ServiceUnusable"


def test_a_task_of_a_real_service_is_looked_for_at_its_own_pace_also_when_the_lanes_are_local_now(
    write_manifest: Callable[..., Path], tmp_path: Path
) -> None:
    real, local = (f"{service}/wan2.1-kf2v-plus" for service in ("singapore", "local"))
    settings = Settings(manifest=str(write_manifest("a", **AUTO)), home=tmp_path / "home", lanes=real, api_key="k")
    with Project(settings, local_address=str) as project:
        (clip,) = take_in_manifest(project).clips
        with holding(project.ledger, ["a"], clock=project.clock, stale_after=project.stale_after) as hold:
            project.ledger.prepare(clip.in_lane(real), owner=hold.owner, at=project.clock())
    with Project(settings.evolve(lanes=local), local_address=str) as project:
        take_in_manifest(project)
        assert project.engine(list(project.wanted()), Silence()).tempo == Tempo()
