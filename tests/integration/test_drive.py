"""Drives against the real local server, with faults from its scenario; its journal is the other side of the story."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kf2v_pipeline.domain.attempt import Fact, FactKind, Remedy, State
from kf2v_pipeline.domain.policy import Pace
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.localserver.scenario import Duration
from kf2v_pipeline.media.probe import probe
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.workflow.intake import take_in_manifest
from kf2v_pipeline.workflow.outcome import DriveReport, Silence, Verdict
from kf2v_pipeline.workflow.project import Project, utc_now
from kf2v_pipeline.workflow.tempo import Tempo

QUICK = Tempo(
    pace=Pace(closest=timedelta(seconds=0.05), widest=timedelta(seconds=0.2)),
    confirm_grace=timedelta(seconds=0.5),
    claim_every=timedelta(seconds=0.05),
)

OpenProject = Callable[..., Project]
StartServer = Callable[..., LocalServer]
WriteManifest = Callable[..., Path]


@pytest.fixture
def open_project(tmp_path: Path) -> Iterator[OpenProject]:
    """Opens projects on one home and one storage, for a service at an address."""

    def refuse(_directory: Path) -> str:
        raise AssertionError("these tests start their servers themselves")

    with ExitStack() as opened:

        def open_one(server: LocalServer, manifest: Path, **settings: Any) -> Project:
            chosen = Settings(
                manifest=str(manifest),
                storage=str(tmp_path / "out"),
                home=tmp_path / "home",
                service=server.base_url,
                quality=False,
                **settings,
            )
            return opened.enter_context(Project(chosen, local_address=refuse, tempo=QUICK))

        yield open_one


def drive(project: Project, *, asked: tuple[str, ...] = (), seconds: float | None = None) -> DriveReport:
    """One drive over all that the project's manifest wants."""
    take_in_manifest(project)
    clips = list(project.ledger.wanted())
    until = None if seconds is None else project.clock() + timedelta(seconds=seconds)
    return asyncio.run(project.engine(clips, Silence()).drive(clips, asked=asked, until=until))


def verdicts(report: DriveReport) -> dict[str, str]:
    return {clip_id: outcome.verdict.value for clip_id, outcome in report.outcomes.items()}


def test_every_clip_is_stored_with_one_task_each(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    server = start_server(stand_in_px=0)
    project = open_project(server, write_manifest("a", "b", "c"))

    report = drive(project)

    assert verdicts(report) == {"a": "stored", "b": "stored", "c": "stored"}
    for outcome in report.of(Verdict.STORED):
        film = probe(tmp_path / "out" / outcome.attempt.video_path)
        assert (film.width, film.height, film.frames) == (832, 464, 150)
    assert len(server.journal()["creates"]) == 3


def test_never_more_tasks_than_the_quota_and_one_are_open(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server(durations=(Duration(median_s=1.5),))
    drive(open_project(server, write_manifest(*"abcde")))
    assert server.journal()["max_in_process"] == {"wan2.2-kf2v-flash": 2}


def test_a_second_drive_creates_nothing(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    project = open_project(server, write_manifest("a", "b"))
    drive(project)

    report = drive(project)

    assert verdicts(report) == {"a": "already_stored", "b": "already_stored"}
    assert report.created_tasks == 0
    assert len(server.journal()["creates"]) == 2


def test_a_changed_prompt_makes_exactly_one_new_task(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    drive(open_project(server, write_manifest("a", "b")))

    report = drive(open_project(server, write_manifest("a", "b", rows={"b": {"prompt": "Another way"}})))

    assert verdicts(report) == {"a": "already_stored", "b": "stored"}
    assert len(server.journal()["creates"]) == 3


@pytest.mark.parametrize("kind", ["cut", "garbage", "truncated", "error_late"])
def test_a_lost_reply_is_found_again_and_never_paid_twice(
    kind: str, open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    status = {"status": 500, "code": "InternalError", "message": "oops"} if kind == "error_late" else {}
    server = start_server(faults=(Fault(on="create", kind=kind, count=1, **status),))

    report = drive(open_project(server, write_manifest("a", "b")))

    assert verdicts(report) == {"a": "stored", "b": "stored"}
    assert report.created_tasks == 2
    assert server.journal()["billed"]["videos"] == 2


def test_a_bad_gateway_that_kept_the_create_away_is_tried_again(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server(faults=(Fault(on="create", kind="html", count=1),))
    project = open_project(server, write_manifest("a"))

    report = drive(project)

    assert verdicts(report) == {"a": "stored"}
    assert [attempt.state for attempt in project.ledger.attempts()] == [State.REFUSED, State.STORED]
    assert server.journal()["billed"]["videos"] == 1


@pytest.mark.parametrize("kind", ["html", "throttle"])
def test_tasks_are_collected_also_while_the_service_gives_no_list(
    kind: str, open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server(faults=(Fault(on="list", kind=kind),))
    assert verdicts(drive(open_project(server, write_manifest("a", "b", "c")))) == dict.fromkeys("abc", "stored")
    assert len(server.journal()["creates"]) == 3


def test_a_throttled_create_is_sent_again_for_the_same_attempt(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server(faults=(Fault(on="create", kind="throttle", count=1),))
    project = open_project(server, write_manifest("a"))

    report = drive(project)

    assert verdicts(report) == {"a": "stored"}
    assert [attempt.number for attempt in project.ledger.attempts()] == [1]


def test_a_service_that_rejects_the_surplus_gets_the_clips_all_the_same(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server(surplus="reject")
    report = drive(open_project(server, write_manifest(*"abcd")))
    assert set(verdicts(report).values()) == {"stored"}


def test_a_moderated_clip_fails_with_the_services_words_and_stops_no_other(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    words = "Input data may contain inappropriate content."
    fault = Fault(on="task", kind="fail", match="take 0", code="DataInspectionFailed", message=words)
    server = start_server(faults=(fault,))

    report = drive(open_project(server, write_manifest("bad", "good")))

    assert verdicts(report) == {"bad": "failed", "good": "stored"}
    assert (report.outcomes["bad"].code, report.outcomes["bad"].message) == ("DataInspectionFailed", words)


def test_a_clip_that_failed_for_good_is_tried_again_only_when_it_is_asked_for(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    fault = Fault(on="task", kind="fail", count=1, code="DataInspectionFailed", message="no")
    server = start_server(faults=(fault,))
    project = open_project(server, write_manifest("a"))

    assert verdicts(drive(project)) == {"a": "failed"}
    assert verdicts(drive(project)) == {"a": "failed"}
    assert len(server.journal()["creates"]) == 1
    assert verdicts(drive(project, asked=("a",))) == {"a": "stored"}


def test_an_interrupted_download_goes_on_and_is_whole_in_the_end(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server(faults=(Fault(on="download", kind="cut", count=1),))
    report = drive(open_project(server, write_manifest("a")))
    assert verdicts(report) == {"a": "stored"}


def test_an_address_that_expired_is_asked_for_anew(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server(faults=(Fault(on="download", kind="expired", count=1),))
    report = drive(open_project(server, write_manifest("a")))
    assert verdicts(report) == {"a": "stored"}
    assert len(server.journal()["creates"]) == 1


def test_a_slice_that_ends_leaves_its_task_to_the_next_drive(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server(pending_s=1.5)
    project = open_project(server, write_manifest("a"))

    assert verdicts(drive(project, seconds=0.7)) == {"a": "left"}
    assert verdicts(drive(project)) == {"a": "stored"}
    assert len(server.journal()["creates"]) == 1


def test_a_refused_key_stops_the_lane_and_leaves_its_clips_planned(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server(keys=("sk-right",))

    report = drive(open_project(server, write_manifest("a", "b"), api_key="sk-wrong"))
    assert verdicts(report) == {"a": "left", "b": "left"}
    assert len(report.stops) == 1

    report = drive(open_project(server, write_manifest("a", "b"), api_key="sk-right"))
    assert verdicts(report) == {"a": "stored", "b": "stored"}


def test_the_budget_is_kept_and_the_rest_stays_planned(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    report = drive(open_project(server, write_manifest(*"abc"), max_spend=Decimal("1.10")))
    assert sorted(verdicts(report).values()) == ["left", "stored", "stored"]
    assert len(server.journal()["creates"]) == 2


def test_two_drives_at_once_make_one_task_per_clip_and_report_the_same(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    manifest = write_manifest(*"abcd")
    projects = [open_project(server, manifest), open_project(server, manifest)]
    take_in_manifest(projects[0])
    clips = list(projects[0].ledger.wanted())

    async def both() -> list[DriveReport]:
        return list(await asyncio.gather(*(project.engine(clips, Silence()).drive(clips) for project in projects)))

    first, second = asyncio.run(both())

    assert len(server.journal()["creates"]) == 4
    assert {outcome.verdict for report in (first, second) for outcome in report.outcomes.values()} <= {
        Verdict.STORED,
        Verdict.ALREADY_STORED,
    }
    assert set(first.outcomes) == set(second.outcomes) == set("abcd")


def test_a_frame_that_changed_since_it_was_planned_is_not_paid_for(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    manifest = write_manifest("a")
    project = open_project(server, manifest)
    take_in_manifest(project)
    clips = list(project.ledger.wanted())
    Path(clips[0].first_frame.location).write_bytes(Path(clips[0].last_frame.location).read_bytes())

    report = asyncio.run(project.engine(clips, Silence()).drive(clips))

    assert report.outcomes["a"].code == "FrameUnusable"
    assert server.journal()["creates"] == []
    assert project.backlog() == {}  # else the clip sensor would start a run for it at every tick
    assert [attempt.remedy for attempt in project.ledger.attempts()] == [Remedy.PERSON]


def test_a_stored_video_that_was_removed_is_fetched_again_for_free(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    server = start_server()
    project = open_project(server, write_manifest("a"))
    path = tmp_path / "out" / drive(project).outcomes["a"].attempt.video_path
    path.unlink()

    assert verdicts(drive(project)) == {"a": "already_stored"}

    assert probe(path).frames == 150
    assert len(server.journal()["creates"]) == 1


def test_a_removed_video_that_the_service_forgot_is_named_and_never_paid_for_again(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    server = start_server()
    project = open_project(server, write_manifest("a"))
    (tmp_path / "out" / drive(project).outcomes["a"].attempt.video_path).unlink()
    project.clock = lambda: utc_now() + timedelta(hours=25)

    report = drive(project, asked=("a",))

    assert report.outcomes["a"].code == "VideoMissing"
    assert len(server.journal()["creates"]) == 1


def test_an_intent_that_another_drive_took_over_meanwhile_is_not_sent_any_more(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    project = open_project(start_server(), write_manifest("a"))
    take_in_manifest(project)
    clips = list(project.wanted())
    engine = project.engine(clips, Silence())
    project.ledger.enlist(engine.driver, at=utc_now())
    project.ledger.claim(engine.driver.owner, ["a"], at=utc_now(), stale_after=timedelta(minutes=1))
    an_hour_ago = utc_now() - timedelta(hours=1)
    attempt = project.ledger.prepare(clips[0], owner=engine.driver.owner, at=an_hour_ago)
    assert engine.may_send(attempt)

    project.ledger.record(Fact(attempt_id=attempt.attempt_id, kind=FactKind.REPLY_LOST, at=utc_now()))

    assert not engine.may_send(attempt)
