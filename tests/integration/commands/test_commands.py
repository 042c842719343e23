"""The commands as a person types them: what they print, and what they end with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from integration.commands.office import Office
from integration.service import Service

from kf2v_pipeline.cli import main
from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.workflow.project import Project

WriteManifest = Callable[..., Path]
Kf2v = Callable[..., Result]

LOST = {"faults": (Fault(on="create", kind="cut"), Fault(on="list", kind="html"))}


@pytest.fixture
def project(office: Office, service: Service, write_manifest: WriteManifest) -> Project:
    return office.open(service.base_url, write_manifest("a"))


@pytest.fixture
def kf2v(office: Office, service: Service) -> Kf2v:
    """Runs a command on the project's folder, with its error stream apart."""
    places = ("--home", str(office.folder / "home"), "--storage", str(office.storage), "--service", service.base_url)

    def run(command: str, *arguments: str) -> Result:
        result = CliRunner().invoke(main, [command, *arguments, *places])
        assert "Traceback" not in result.output
        return result

    return run


def test_adopt_tells_what_it_took_in_and_ends_well(
    office: Office, service: Service, project: Project, kf2v: Kf2v
) -> None:
    with service.over():
        office.drive(project)
    office.lose_ledger()
    done = kf2v("adopt", "--json")
    assert done.exit_code == 0
    assert done.stderr == "1 video adopted, 0.50 CNY; 0 known already, 0 left alone.\n"
    assert json.loads(done.stdout) == {"adopted": ["a"], "known": 0, "skipped": [], "spend": {"CNY": 0.5}}


def test_adopt_names_what_it_left_alone_and_ends_with_1(
    office: Office, service: Service, project: Project, kf2v: Kf2v
) -> None:
    with service.over():
        office.drive(project)
    office.lose_ledger()
    (sidecar,) = office.storage.glob("videos/a/*.json")
    sidecar.unlink()
    done = kf2v("adopt")
    assert done.exit_code == 1
    video = f"videos/a/{sidecar.stem}.mp4"
    assert done.stdout.startswith(f"! {video}: it has no sidecar; it was left alone.\n0 videos adopted, no cost;")


def test_cancel_tells_of_each_clip_and_ends_with_1_where_one_goes_on(
    office: Office, service: Service, project: Project, kf2v: Kf2v
) -> None:
    with service.over(pending_s=300):
        office.drive_until(project, State.SUBMITTED)
        canceled = kf2v("cancel", "a", "--json")
        again = kf2v("cancel", "a")
    assert (canceled.exit_code, again.exit_code) == (0, 1)
    assert canceled.stderr == "✓ a: its task is canceled and costs nothing; kf2v run --clip asks for it again.\n"
    assert [clip["canceled"] for clip in json.loads(canceled.stdout)["clips"]] == [True]
    assert again.stdout == "! a: nothing of it is submitted.\n"


def test_resolve_tells_what_was_decided_and_what_comes_next(
    office: Office, service: Service, project: Project, kf2v: Kf2v
) -> None:
    with service.over(**LOST) as server:
        office.drive_until(project, State.UNCONFIRMED)
        task_id = server.journal()["creates"][0]["task_id"]
        done = kf2v("resolve", "a", "--adopt", task_id, "--json")
    assert done.exit_code == 0
    assert done.stderr == f"Clip a has task {task_id}: run kf2v run to collect it.\n"
    told = {"clip_id": "a", "attempt": 1, "state": "submitted", "task_id": task_id, "warnings": []}
    assert json.loads(done.stdout) == told


def test_resolve_plans_a_clip_again(office: Office, service: Service, project: Project, kf2v: Kf2v) -> None:
    with service.over(**LOST):
        office.drive_until(project, State.UNCONFIRMED)
    assert kf2v("resolve", "a", "--resubmit").stdout == "Clip a is planned again: run kf2v run to submit it.\n"


@pytest.mark.parametrize("decisions", [(), ("--adopt", "task", "--resubmit")])
def test_resolve_takes_one_decision(decisions: tuple[str, ...], kf2v: Kf2v) -> None:
    done = kf2v("resolve", "a", *decisions)
    assert done.exit_code == 2
    assert done.stderr == "kf2v resolve: it takes one decision; add either --adopt TASK_ID or --resubmit.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("cancel", "x"), "kf2v cancel: the ledger knows no clip x; check the name."),
        (
            ("resolve", "x", "--resubmit"),
            "Clip x has no unconfirmed attempt: kf2v status names the clips that have one.",
        ),
    ],
)
def test_an_unknown_clip_is_one_sentence(arguments: tuple[str, ...], sentence: str, kf2v: Kf2v) -> None:
    done = kf2v(*arguments)
    assert (done.exit_code, done.stderr) == (2, f"{sentence}\n")


def test_status_of_an_empty_folder_is_empty(kf2v: Kf2v) -> None:
    done = kf2v("status", "--json")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["clips"], report["spend"]) == (0, [], {})


def test_plan_tells_what_a_run_would_take_and_what_its_budget_leaves_out(
    office: Office, service: Service, project: Project, kf2v: Kf2v, write_manifest: WriteManifest
) -> None:
    with service.over():
        office.drive(project)
    done = kf2v("plan", str(write_manifest("a", "b", "c")), "--max-spend-per-day", "1", "--json")
    report = json.loads(done.stdout)
    assert report["over_budget"] == ["0.5 CNY may still be spent today (UTC): the rest stays planned."]
    assert isinstance(report["expected_s"], int)
    assert "By the quotas and the last tasks of each lane that takes about " in done.stderr
