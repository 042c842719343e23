"""A person decides about a create whose reply was lost, and of which the service's list told nothing in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from integration.commands.office import LeapingClock, Office, verdicts
from integration.service import Service

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.errors import LedgerError, SettingsError
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.storage.ledger import Driver
from kf2v_pipeline.workflow.driver import holding
from kf2v_pipeline.workflow.intake import take_in_manifest
from kf2v_pipeline.workflow.project import Project
from kf2v_pipeline.workflow.resolve import Resolution, adopt_task, resubmit

WriteManifest = Callable[..., Path]

NO_LIST = Fault(on="list", kind="html")
LOST = {"faults": (Fault(on="create", kind="cut"), NO_LIST)}
NEVER_SENT = {"faults": (Fault(on="create", kind="html"), NO_LIST)}


@pytest.fixture
def project(office: Office, service: Service, write_manifest: WriteManifest) -> Project:
    return office.open(service.base_url, write_manifest("a", "b"))


def leave_unconfirmed(office: Office, service: Service, project: Project, scenario: dict[str, Any]) -> None:
    with service.over(**scenario):
        office.drive_until(project, State.UNCONFIRMED, clips=2)


def adopt(project: Project, clip_id: str, task_id: str) -> Resolution:
    return asyncio.run(adopt_task(project, clip_id, task_id))


def tasks(server: LocalServer) -> dict[str, str]:
    """The last digit of the prompt of each task, with the task's id."""
    return {create["prompt"][-1]: create["task_id"] for create in server.journal()["creates"] if create["task_id"]}


def states(project: Project) -> dict[str, str]:
    return {attempt.clip_id: attempt.state.value for attempt in project.ledger.attempts()}


def test_a_task_that_a_person_found_is_adopted_and_collected(
    office: Office, service: Service, project: Project
) -> None:
    leave_unconfirmed(office, service, project, LOST)
    with service.over(faults=(NO_LIST,)) as server:
        for clip_id, digit in (("a", "0"), ("b", "1")):
            resolution = adopt(project, clip_id, tasks(server)[digit])
            assert (resolution.attempt.state, resolution.warnings) == (State.SUBMITTED, ())
    with service.over() as server:
        assert verdicts(office.drive(project)) == {"a": "stored", "b": "stored"}
        assert server.journal()["billed"]["videos"] == len(tasks(server)) == 2


def test_a_task_that_was_made_from_another_prompt_is_adopted_with_a_warning(
    office: Office, service: Service, project: Project
) -> None:
    leave_unconfirmed(office, service, project, LOST)
    with service.over(faults=(NO_LIST,)) as server:
        server.settle()
        resolution = adopt(project, "a", tasks(server)["1"])
    assert resolution.warnings == ("The task was made from another prompt: 'A slow pan, take 1'.",)
    assert states(project)["a"] == "submitted"


def test_a_task_that_was_made_at_another_time_is_adopted_with_a_warning(
    office: Office, service: Service, project: Project
) -> None:
    project.clock = LeapingClock(hours=1)
    leave_unconfirmed(office, service, project, LOST)
    with service.over() as server:
        (warning,) = adopt(project, "a", tasks(server)["0"]).warnings
    assert warning.startswith("The task was made at 20")


def test_a_task_of_another_attempt_is_not_adopted(office: Office, service: Service, project: Project) -> None:
    leave_unconfirmed(office, service, project, LOST)
    with service.over() as server:
        task_id = tasks(server)["0"]
        adopt(project, "a", task_id)
        with pytest.raises(LedgerError, match=f"Task {task_id} is another attempt's already"):
            adopt(project, "b", task_id)


def test_a_task_that_the_service_does_not_know_is_not_adopted(
    office: Office, service: Service, project: Project
) -> None:
    leave_unconfirmed(office, service, project, LOST)
    with service.over(), pytest.raises(SettingsError, match="--adopt: the service knows no task nowhere"):
        adopt(project, "a", "nowhere")
    assert states(project)["a"] == "unconfirmed"


def test_nothing_is_adopted_while_the_service_can_not_be_asked(
    office: Office, service: Service, project: Project
) -> None:
    leave_unconfirmed(office, service, project, LOST)
    with pytest.raises(SettingsError, match="can't be looked at"):
        adopt(project, "a", "task")


def test_a_create_that_a_person_gives_up_is_sent_again(office: Office, service: Service, project: Project) -> None:
    leave_unconfirmed(office, service, project, NEVER_SENT)

    for clip_id in "ab":
        attempt = resubmit(project, clip_id).attempt
        assert (attempt.state, attempt.error_code) == (State.REFUSED, "NeverLanded")
        assert "A person decided" in (attempt.error_message or "")

    with service.over() as server:
        assert verdicts(office.drive(project)) == {"a": "stored", "b": "stored"}
        assert server.journal()["billed"]["videos"] == 2


def test_a_create_whose_process_died_can_be_decided_about_at_once(service: Service, project: Project) -> None:
    clip = take_in_manifest(project).clips[0]
    project.ledger.enlist(Driver(owner="dead", host="elsewhere", pid=1), at=project.clock())
    project.ledger.claim("dead", ["a"], at=project.clock(), stale_after=project.stale_after)
    project.ledger.prepare(clip, owner="dead", at=project.clock())
    project.clock = LeapingClock(minutes=2)

    resubmit(project, "a")

    (attempt,) = project.ledger.attempts()
    assert [fact.kind.value for fact in project.ledger.facts(attempt.attempt_id)] == ["reply_lost", "never_landed"]


def test_a_clip_without_an_unconfirmed_attempt_has_nothing_to_decide(
    office: Office, service: Service, project: Project
) -> None:
    with service.over():
        office.drive(project)
    with pytest.raises(LedgerError, match="Clip a has no unconfirmed attempt: kf2v status names"):
        resubmit(project, "a")
    assert states(project)["a"] == "stored"


def test_a_clip_that_a_run_has_at_work_is_not_decided_about(office: Office, service: Service, project: Project) -> None:
    leave_unconfirmed(office, service, project, LOST)
    with (
        holding(project.ledger, ["a"], clock=project.clock, stale_after=project.stale_after),
        pytest.raises(
            LedgerError, match=r"Clip a is driven by process \d+ on .*, which looks for its task; stop that run"
        ),
    ):
        resubmit(project, "a")
    assert states(project)["a"] == "unconfirmed"
