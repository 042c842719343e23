"""Canceling: what waits in the service's queue can be canceled, all else goes on, and each clip is told which."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from integration.commands.office import Office, verdicts
from integration.service import Service

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.localserver.scenario import Duration
from kf2v_pipeline.workflow.cancel import Cancellation, cancel_clips
from kf2v_pipeline.workflow.intake import take_in_manifest
from kf2v_pipeline.workflow.outcome import DriveReport, Silence
from kf2v_pipeline.workflow.project import Project

WriteManifest = Callable[..., Path]

QUEUED = {"pending_s": 300.0}
RUNNING = {"durations": (Duration(median_s=300),)}


@pytest.fixture
def project(office: Office, service: Service, write_manifest: WriteManifest) -> Project:
    return office.open(service.base_url, write_manifest("a"))


def cancel(project: Project, *clip_ids: str) -> dict[str, bool]:
    return {each.clip_id: each.is_canceled for each in asyncio.run(cancel_clips(project, clip_ids))}


def why(project: Project, clip_id: str) -> str:
    (cancellation,) = asyncio.run(cancel_clips(project, [clip_id]))
    return cancellation.why


def states(project: Project) -> list[State]:
    return [attempt.state for attempt in project.ledger.attempts()]


def statuses(server: LocalServer) -> list[str]:
    return [create["status"] for create in server.journal()["creates"]]


def test_a_task_that_waits_in_the_queue_is_canceled_and_recorded(
    office: Office, service: Service, project: Project
) -> None:
    with service.over(**QUEUED) as server:
        office.drive_until(project, State.SUBMITTED)
        assert cancel(project, "a") == {"a": True}
        assert statuses(server) == ["CANCELED"]
    assert states(project) == [State.CANCELED]


def test_a_canceled_clip_is_submitted_again_only_when_a_person_asks_for_it(
    office: Office, service: Service, project: Project
) -> None:
    with service.over(**QUEUED):
        office.drive_until(project, State.SUBMITTED)
        cancel(project, "a")
    with service.over() as server:
        report = office.drive(project)
        assert (verdicts(report), report.outcomes["a"].code) == ({"a": "failed"}, "Canceled")
        assert len(statuses(server)) == 1
        assert verdicts(office.drive(project, asked=("a",))) == {"a": "stored"}


def test_a_task_that_runs_goes_on_and_is_collected(office: Office, service: Service, project: Project) -> None:
    with service.over(**RUNNING):
        office.drive_until(project, State.SUBMITTED)
        assert why(project, "a") == "its task runs already: it goes on, and will be collected"
        assert states(project) == [State.SUBMITTED]


def test_a_clip_without_a_task_has_nothing_to_cancel(office: Office, service: Service, project: Project) -> None:
    take_in_manifest(project)
    assert why(project, "a") == "nothing of it is submitted"
    with service.over():
        office.drive(project)
    assert why(project, "a") == "its video is stored"


def test_a_clip_of_which_nobody_knows_whether_it_has_a_task_is_left_alone(
    office: Office, service: Service, project: Project
) -> None:
    with service.over(faults=(Fault(on="create", kind="cut"), Fault(on="list", kind="html"))):
        office.drive_until(project, State.UNCONFIRMED)
    assert why(project, "a") == "it is not known yet whether it has a task: kf2v status tells why"
    assert states(project) == [State.UNCONFIRMED]


def test_a_service_that_does_not_answer_is_told_as_that(office: Office, service: Service, project: Project) -> None:
    with service.over(**QUEUED):
        office.drive_until(project, State.SUBMITTED)
    assert "the service can't be asked" in why(project, "a")
    assert states(project) == [State.SUBMITTED]


def test_an_unknown_name_cancels_nothing_of_the_others(office: Office, service: Service, project: Project) -> None:
    with service.over(**QUEUED) as server:
        office.drive_until(project, State.SUBMITTED)
        with pytest.raises(SettingsError, match="kf2v cancel: the ledger knows no clip x; check the name"):
            cancel(project, "a", "x")
        assert statuses(server) == ["PENDING"]


def test_a_run_that_has_the_clip_at_work_sees_the_cancel_and_records_it_itself(
    service: Service, project: Project
) -> None:
    clips = list(take_in_manifest(project).clips)

    async def drive_and_cancel() -> tuple[DriveReport, tuple[Cancellation, ...]]:
        submitted = asyncio.Event()

        class Listener(Silence):
            def moved(self, clip_id: str, state: State) -> None:
                if state is State.SUBMITTED:
                    submitted.set()

        driving = asyncio.ensure_future(project.engine(clips, Listener()).drive(clips))
        await submitted.wait()
        canceled = await cancel_clips(project, ["a"])
        assert states(project) == [State.SUBMITTED]
        return await driving, canceled

    with service.over(**QUEUED):
        report, canceled = asyncio.run(drive_and_cancel())

    assert [each.is_canceled for each in canceled] == [True]
    assert report.outcomes["a"].code == "Canceled"
    assert states(project) == [State.CANCELED]
