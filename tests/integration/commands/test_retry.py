"""Tasks that fail: which are tried again, how often, and how long is waited before it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from integration.commands.office import LeapingClock, Office, Spy, verdicts
from integration.service import Service

from kf2v_pipeline.domain.attempt import Attempt
from kf2v_pipeline.domain.policy import retry_at
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.workflow.outcome import DriveReport
from kf2v_pipeline.workflow.project import Project

WriteManifest = Callable[..., Path]


def internal_error(count: int) -> Fault:
    return Fault(on="task", kind="fail", count=count, code="InternalError", message="internal error")


@pytest.fixture
def project(office: Office, service: Service, write_manifest: WriteManifest) -> Project:
    """Its clock leaps over the pause that follows a failed task."""
    project = office.open(service.base_url, write_manifest("a"))
    project.clock = LeapingClock()
    return project


def drive(office: Office, project: Project) -> DriveReport:
    pauses = iter((11, 41, 161, 161))
    return office.drive(project, listener=Spy(failed=lambda: project.clock.leap(seconds=next(pauses))))  # type: ignore[attr-defined]  # set above


def attempts(project: Project) -> list[str]:
    return [attempt.state.value for attempt in project.ledger.attempts()]


def test_a_service_that_fails_twice_and_then_works_makes_the_video_for_one_bill(
    office: Office, service: Service, project: Project
) -> None:
    with service.over(faults=(internal_error(2),)) as server:
        assert verdicts(drive(office, project)) == {"a": "stored"}
        assert server.journal()["billed"]["videos"] == 1
    assert attempts(project) == ["failed", "failed", "stored"]


def test_after_three_failed_tasks_there_is_no_fourth(office: Office, service: Service, project: Project) -> None:
    with service.over(faults=(internal_error(4),)):
        report = drive(office, project)
        assert (verdicts(report), report.outcomes["a"].code) == ({"a": "failed"}, "InternalError")
        assert verdicts(drive(office, project)) == {"a": "failed"}
    assert attempts(project) == ["failed"] * 3


def test_a_person_who_asks_gives_a_failed_clip_three_tries_more(
    office: Office, service: Service, project: Project
) -> None:
    with service.over(faults=(internal_error(5),)):
        drive(office, project)
        pauses = Spy(failed=lambda: project.clock.leap(seconds=161))  # type: ignore[attr-defined]  # set above
        assert verdicts(office.drive(project, asked=("a",), listener=pauses)) == {"a": "stored"}
    assert attempts(project) == ["failed"] * 5 + ["stored"]


def test_what_the_content_check_refused_is_never_tried_again_by_itself(
    office: Office, service: Service, project: Project
) -> None:
    moderated = Fault(on="task", kind="fail", count=1, code="DataInspectionFailed", message="no")
    with service.over(faults=(moderated,)):
        assert verdicts(drive(office, project)) == {"a": "failed"}
        assert verdicts(drive(office, project)) == {"a": "failed"}
    assert attempts(project) == ["failed"]


def test_each_failed_task_is_followed_by_a_longer_pause(office: Office, service: Service, project: Project) -> None:
    with service.over(faults=(internal_error(2),)):
        drive(office, project)
    first, second, third = project.ledger.attempts()

    def pause_s(failed: Attempt) -> float:
        return (retry_at(failed) - (failed.ended_at or failed.prepared_at)).total_seconds()

    assert (pause_s(first), pause_s(second)) == (10, 40)
    assert second.prepared_at >= retry_at(first)
    assert third.prepared_at >= retry_at(second)
