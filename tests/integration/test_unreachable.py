"""Drives of a service that can't be reached: they end, they say so, and nothing is lost or paid twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from integration.service import Service, no_local_server

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.domain.policy import Pace, Standing, standing
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.workflow.intake import take_in_manifest
from kf2v_pipeline.workflow.outcome import DriveReport, Silence
from kf2v_pipeline.workflow.project import Project
from kf2v_pipeline.workflow.tempo import Tempo

HASTY = Tempo(
    pace=Pace(closest=timedelta(seconds=0.05), widest=timedelta(seconds=0.1)),
    claim_every=timedelta(seconds=0.05),
    unreachable_after=timedelta(seconds=0.5),
)

OpenProject = Callable[..., Project]
WriteManifest = Callable[..., Path]


@pytest.fixture
def open_project(tmp_path: Path, service: Service) -> Iterator[OpenProject]:
    with ExitStack() as opened:

        def open_one(manifest: Path, tempo: Tempo = HASTY) -> Project:
            settings = Settings(
                manifest=str(manifest),
                storage=str(tmp_path / "out"),
                home=tmp_path / "home",
                service=service.base_url,
            )
            return opened.enter_context(Project(settings, local_address=no_local_server, tempo=tempo))

        yield open_one


def drive(project: Project, *, seconds: float | None = None) -> DriveReport:
    take_in_manifest(project)
    clips = list(project.wanted())
    until = None if seconds is None else project.clock() + timedelta(seconds=seconds)
    return asyncio.run(project.engine(clips, Silence()).drive(clips, until=until))


def verdicts(report: DriveReport) -> dict[str, tuple[str, str | None]]:
    return {clip_id: (outcome.verdict.value, outcome.code) for clip_id, outcome in report.outcomes.items()}


def test_a_service_that_nobody_answers_for_stops_the_lane_and_leaves_its_clips_planned(
    open_project: OpenProject, write_manifest: WriteManifest, service: Service
) -> None:
    project = open_project(write_manifest("a", "b"))

    report = drive(project)

    assert verdicts(report) == {"a": ("left", "ServiceUnreachable"), "b": ("left", "ServiceUnreachable")}
    assert report.stops == (
        f"Lane {service.base_url}/wan2.2-kf2v-flash stopped: no connection could be made for 0.5 s; "
        "check KF2V_SERVICE and the network, and run again.",
    )
    (attempt,) = project.ledger.attempts()
    assert (attempt.state, attempt.error_code) == (State.REFUSED, "NotSent")
    with service.over():
        assert verdicts(drive(project)) == {"a": ("stored", None), "b": ("stored", None)}


def test_a_clip_stays_planned_through_any_number_of_outages(
    open_project: OpenProject, write_manifest: WriteManifest
) -> None:
    project = open_project(write_manifest("a"), replace(HASTY, unreachable_after=timedelta(0)))
    (clip,) = take_in_manifest(project).clips

    for _ in range(12):
        drive(project)

    assert standing(project.ledger.newest([clip])["a"]) is Standing.PLANNED


def test_a_service_that_goes_away_keeps_its_task_for_the_next_drive(
    open_project: OpenProject, write_manifest: WriteManifest, service: Service
) -> None:
    project = open_project(write_manifest("a"))
    with service.over(pending_s=3600):
        drive(project, seconds=1)

    assert verdicts(drive(project)) == {"a": ("left", "ServiceUnreachable")}

    with service.over() as server:
        assert verdicts(drive(project)) == {"a": ("stored", None)}
        assert len(server.journal()["creates"]) == 1


def test_an_old_video_that_the_service_refuses_to_be_asked_for_keeps_no_other_clip_from_being_made(
    open_project: OpenProject, write_manifest: WriteManifest, service: Service, tmp_path: Path
) -> None:
    project = open_project(write_manifest("a"))
    with service.over():
        (tmp_path / "out" / drive(project).outcomes["a"].attempt.video_path).unlink()
    write_manifest("a", "b")

    with service.over(faults=(Fault(on="get", kind="error", match="take 0", status=403, code="AccessDenied"),)):
        report = drive(project)

    assert verdicts(report) == {"a": ("left", "VideoUnreachable"), "b": ("stored", None)}
    assert report.stops == ()


@pytest.mark.parametrize(
    "fault",
    [None, Fault(on="get", kind="throttle"), Fault(on="get", kind="cut"), Fault(on="download", kind="cut")],
    ids=["out of reach", "throttled", "no reply", "half a video"],
)
def test_a_video_that_left_the_storage_is_fetched_again_once_the_service_gives_it(
    fault: Fault | None, open_project: OpenProject, write_manifest: WriteManifest, service: Service, tmp_path: Path
) -> None:
    project = open_project(write_manifest("a"))
    with service.over():
        path = tmp_path / "out" / drive(project).outcomes["a"].attempt.video_path
    path.unlink()

    with service.over(faults=(fault,)) if fault else nullcontext():
        assert verdicts(drive(project)) == {"a": ("left", "VideoUnreachable")}

    with service.over() as server:
        assert verdicts(drive(project)) == {"a": ("already_stored", None)}
        assert path.is_file()
        assert len(server.journal()["creates"]) == 1


def test_a_video_that_left_the_storage_and_whose_address_expired_is_missing(
    open_project: OpenProject, write_manifest: WriteManifest, service: Service, tmp_path: Path
) -> None:
    project = open_project(write_manifest("a"))
    with service.over():
        (tmp_path / "out" / drive(project).outcomes["a"].attempt.video_path).unlink()

    with service.over(faults=(Fault(on="download", kind="expired"),)):
        assert verdicts(drive(project)) == {"a": ("failed", "VideoMissing")}
