"""Status: what is under way, what it waits for, who drives it, and what is about to expire."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from integration.commands.office import LeapingClock, Office
from integration.service import Service
from rich.console import Console

from kf2v_pipeline.cli import main
from kf2v_pipeline.domain.attempt import Fact, FactKind, State
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.report_ledger import print_status, status_report
from kf2v_pipeline.storage import schema
from kf2v_pipeline.workflow.driver import holding
from kf2v_pipeline.workflow.intake import take_in_manifest
from kf2v_pipeline.workflow.outcome import Silence
from kf2v_pipeline.workflow.project import Project
from kf2v_pipeline.workflow.status import Status, look_at_status

WriteManifest = Callable[..., Path]

QUEUED = {"pending_s": 300.0}
LOST = {"faults": (Fault(on="create", kind="cut"), Fault(on="list", kind="html"))}


@pytest.fixture
def project(office: Office, service: Service, write_manifest: WriteManifest) -> Project:
    return office.open(service.base_url, write_manifest("a"))


def text_of(status: Status, *, colours: bool = False) -> str:
    stream = io.StringIO()
    print_status(Console(file=stream, width=500, force_terminal=colours, highlight=False, soft_wrap=True), status)
    return stream.getvalue()


def test_a_task_in_flight_is_shown_with_its_age_and_its_end(office: Office, service: Service, project: Project) -> None:
    with service.over(**QUEUED):
        office.drive_until(project, State.SUBMITTED)
    project.clock = LeapingClock(hours=2)

    (task,) = status_report(look_at_status(project))["tasks"]
    assert (task["clip_id"], task["state"], task["expires_soon"], task["driver"]) == ("a", "submitted", False, None)
    assert task["needs"] == "Nobody drives it: run kf2v run."
    assert 7200 <= task["age_s"] < 7300
    assert ", submitted for 2 h 0 min, expires in 2" in text_of(look_at_status(project))


@pytest.mark.parametrize(("minutes", "is_urgent"), [(22 * 60 + 50, False), (23 * 60 + 5, True), (25 * 60, True)])
def test_a_task_that_will_expire_within_the_hour_is_shown_in_red(
    minutes: int, is_urgent: bool, office: Office, service: Service, project: Project
) -> None:
    with service.over(**QUEUED):
        office.drive_until(project, State.SUBMITTED)
    project.clock = LeapingClock(minutes=minutes)
    status = look_at_status(project)
    assert [pending.is_urgent for pending in status.pending] == [is_urgent]
    assert ("\x1b[1;31m✗ a: task" in text_of(status, colours=True)) is is_urgent


def test_an_unconfirmed_attempt_is_shown_with_the_reason(office: Office, service: Service, project: Project) -> None:
    with service.over(**LOST):
        office.drive_until(project, State.UNCONFIRMED)
    report = status_report(look_at_status(project))
    (unconfirmed,) = report["unconfirmed"]
    assert report["tasks"] == []
    assert unconfirmed["why"].startswith("It is not known yet whether a task was made: ")
    assert unconfirmed["needs"].startswith("Nobody drives it: run kf2v run, which looks for its task, or")
    assert "a: unconfirmed for " in text_of(look_at_status(project))


def test_a_task_whose_row_changed_is_shown_as_one_that_is_kept(
    office: Office, service: Service, project: Project, write_manifest: WriteManifest
) -> None:
    with service.over(**QUEUED):
        office.drive_until(project, State.SUBMITTED)
    take_in_manifest(office.open(service.base_url, write_manifest("a", prompt="Other words")))
    (pending,) = look_at_status(project).pending
    assert pending.needs == ("Its row changed or went; its video is kept all the same. Nobody drives it: run kf2v run.")


def test_a_task_whose_row_went_is_work_for_a_drive_while_its_service_can_be_used(
    office: Office, service: Service, project: Project, write_manifest: WriteManifest
) -> None:
    """Else the sensor would start a run for it again and again."""
    with service.over(**QUEUED):
        office.drive_until(project, State.SUBMITTED)
    changed = office.open(service.base_url, write_manifest("b"))
    take_in_manifest(changed)
    assert changed.backlog().keys() == {"a", "b"}

    (leftover,) = project.ledger.leftovers()
    nameless = leftover.clip.evolve(service="gone-west")
    with project.ledger._write() as connection:
        record = json.dumps(nameless.to_record())
        connection.execute(sa.update(schema.attempt_clip).values(record=record))
    assert changed.backlog().keys() == {"b"}


def test_a_run_that_is_at_work_is_shown_and_what_it_waits_for(
    service: Service, office: Office, write_manifest: WriteManifest
) -> None:
    """Both clips have one prompt, so only a person could tell their lost creates apart."""
    project = office.open(service.base_url, write_manifest("a", "b", prompt="The same"))
    clips = list(take_in_manifest(project).clips)

    async def look_while_driving() -> Status:
        came = asyncio.Event()

        class Listener(Silence):
            def moved(self, clip_id: str, state: State) -> None:
                if state is State.UNCONFIRMED:
                    came.set()

        driving = asyncio.ensure_future(project.engine(clips, Listener()).drive(clips))
        await came.wait()
        status = look_at_status(project)
        driving.cancel()
        with suppress(asyncio.CancelledError):
            await driving
        return status

    with service.over(**LOST):
        status = asyncio.run(look_while_driving())

    report = status_report(status)
    looked_for = "Its task is looked for in the service's list; once its run is stopped, kf2v resolve decides."
    assert [(driver["clips"], driver["run_id"]) for driver in report["drivers"]] == [(2, None)]
    assert [each["needs"] for each in report["unconfirmed"]] == [looked_for]
    assert "A run is at work: process " in text_of(status)
    assert status_report(look_at_status(project))["drivers"] == []


def test_two_lost_creates_with_one_prompt_ask_for_a_person(
    service: Service, office: Office, write_manifest: WriteManifest
) -> None:
    project = office.open(service.base_url, write_manifest("a", "b", prompt="The same"))
    clips = take_in_manifest(project).clips
    with holding(project.ledger, ["a", "b"], clock=project.clock, stale_after=project.stale_after) as hold:
        for clip in clips:
            attempt = project.ledger.prepare(clip, owner=hold.owner, at=project.clock())
            project.ledger.record(Fact(attempt_id=attempt.attempt_id, kind=FactKind.REPLY_LOST, at=project.clock()))
    assert [pending.needs for pending in look_at_status(project).pending] == [
        f"It has the prompt of {twin}: a run tells their tasks apart by their films' first and last pictures; "
        "where those are alike, stop it, and use kf2v resolve."
        for twin in ("b", "a")
    ]


def test_the_command_prints_one_object(office: Office, service: Service, project: Project) -> None:
    with service.over():
        office.drive(project)
    done = CliRunner().invoke(main, ["status", "--home", str(office.folder / "home"), "--json"])
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (report["stored"], report["in_flight"], report["tasks"], report["drivers"]) == (1, 0, [], [])
    assert report["spend"] == report["spend_today"] == {"CNY": 0.5}
    assert [clip["clip_id"] for clip in report["clips"]] == ["a"]
