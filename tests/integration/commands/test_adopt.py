"""Sidecars, and ledgers that are rebuilt from them: what is paid stays paid, whatever happens to the ledger."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from integration.commands.office import LeapingClock, Office, Spy, copy_ledger, verdicts
from integration.service import Service

from kf2v_pipeline.domain.attempt import Attempt, State
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.storage.sidecar import read_sidecar
from kf2v_pipeline.workflow.adopt import adopt_videos
from kf2v_pipeline.workflow.driver import holding
from kf2v_pipeline.workflow.project import Project

WriteManifest = Callable[..., Path]


@pytest.fixture
def project(office: Office, service: Service, write_manifest: WriteManifest) -> Project:
    """A project whose clips ``a`` and ``b`` are stored."""
    project = office.open(service.base_url, write_manifest("a", "b"))
    with service.over():
        assert verdicts(office.drive(project)) == {"a": "stored", "b": "stored"}
    return project


def reopened(office: Office, project: Project) -> Project:
    """The same project with a ledger that knows nothing."""
    office.lose_ledger()
    return office.open(project.settings.service, Path(project.settings.manifest))


def restored(office: Office, project: Project, ledger: Path) -> Project:
    """The same project with another ledger in place, when whoever drove it then has been silent for long."""
    project = reopened(office, project)
    ledger.rename(office.ledger_path)
    project.clock = LeapingClock(minutes=2)
    return project


def sidecar_of(office: Office, clip_id: str) -> Path:
    (path,) = (office.storage / "videos" / clip_id).glob("*.json")
    return path


def content(attempt: Attempt) -> Attempt:
    """What a ledger knows of an attempt, beside the ledger's own names and reservations."""
    return replace(attempt, attempt_id="", owner="", reserved=None)


def test_each_video_has_a_sidecar_that_tells_how_it_was_made(office: Office, project: Project) -> None:
    told = json.loads(sidecar_of(office, "a").read_text())
    (attempt,) = project.ledger.attempts(["a"])
    video = office.storage / told["video"]["video_path"]

    assert told["fingerprint"] == attempt.fingerprint
    assert told["clip"]["prompt"] == "A slow pan, take 0"
    assert told["task"]["task_id"] == attempt.task_id
    assert told["video"]["sha256"] == hashlib.sha256(video.read_bytes()).hexdigest()
    assert (told["video"]["frames"], told["video"]["codec"]) == (150, "h264")
    assert set(told["software"]) == {"kf2v-pipeline", "python", "av", "pillow"}

    request = told["request"]
    assert request["path"] == "/services/aigc/image2video/video-synthesis"
    assert request["parameters"] == {"resolution": "480P", "prompt_extend": True, "watermark": False}
    assert (request["model"], request["input"]["prompt"]) == (told["clip"]["model"], "A slow pan, take 0")
    assert request["input"]["last_frame_url"] == f"sha256:{told['clip']['last_frame']['sha256']}"


def test_a_sidecar_holds_no_secret(
    office: Office, service: Service, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    with service.over() as server:
        office.drive(office.open(service.base_url, write_manifest("a"), api_key="sk-canary"))
        assert server.journal()["billed"]["videos"] == 1
    text = sidecar_of(office, "a").read_text()
    assert "canary" not in text
    assert "Signature" not in text


def test_a_lost_ledger_is_rebuilt_and_nothing_is_paid_again(office: Office, service: Service, project: Project) -> None:
    before = [content(attempt) for attempt in project.ledger.attempts()]
    spent = project.ledger.spend()
    project = reopened(office, project)

    adoption = adopt_videos(project)

    assert (len(adoption.adopted), adoption.known, adoption.skipped) == (2, 0, {})
    assert [content(attempt) for attempt in project.ledger.attempts()] == before
    assert project.ledger.spend() == spent
    with service.over() as server:
        assert verdicts(office.drive(project)) == {"a": "already_stored", "b": "already_stored"}
        assert len(server.journal()["creates"]) == 2


def test_what_the_ledger_knows_is_not_adopted_again(office: Office, project: Project) -> None:
    adoption = adopt_videos(project)
    assert (adoption.adopted, adoption.known, adoption.skipped) == ((), 2, {})


def test_a_video_that_is_not_the_one_that_was_stored_is_left_alone(office: Office, project: Project) -> None:
    video = sidecar_of(office, "a").with_suffix(".mp4")
    video.write_bytes(video.read_bytes()[:-1] + b"?")
    project = reopened(office, project)

    adoption = adopt_videos(project)

    assert [attempt.clip_id for attempt in adoption.adopted] == ["b"]
    assert list(adoption.skipped.values()) == ["its video is not the one that was stored: the digests differ"]


def test_the_fast_way_compares_sizes_alone(office: Office, project: Project) -> None:
    same_size, shorter = (sidecar_of(office, clip_id).with_suffix(".mp4") for clip_id in "ab")
    same_size.write_bytes(b"?" * same_size.stat().st_size)
    shorter.write_bytes(b"?")
    project = reopened(office, project)

    adoption = adopt_videos(project, fast=True)

    assert [attempt.clip_id for attempt in adoption.adopted] == ["a"]
    assert [why.partition(",")[0] for why in adoption.skipped.values()] == ["its video has 1 bytes"]


def test_files_that_tell_nothing_are_named_with_the_reason(office: Office, project: Project) -> None:
    first, second = sidecar_of(office, "a"), sidecar_of(office, "b")
    shutil.copytree(first.parent, first.parent.with_name("copy"))
    first.unlink()
    second.write_text("{}")
    (second.parent / "0123456789ab.json").write_text("{}")
    project = reopened(office, project)

    skipped = {Path(path).parent.name + Path(path).suffix: why for path, why in adopt_videos(project).skipped.items()}

    tells_of = f"it tells of videos/a/{first.stem}.mp4"
    assert skipped == {"a.mp4": "it has no sidecar", "b.json": skipped["b.json"], "copy.json": tells_of}
    assert set(adopt_videos(project).skipped.values()) == {
        "it has no sidecar",
        "its video is not there",
        "it is no sidecar of a video, or a damaged one",
        tells_of,
    }


def test_a_clip_that_a_run_has_at_work_is_left_to_it(office: Office, project: Project) -> None:
    project = reopened(office, project)
    with holding(project.ledger, ["a"], clock=project.clock, stale_after=project.stale_after):
        adoption = adopt_videos(project)
    assert [attempt.clip_id for attempt in adoption.adopted] == ["b"]
    assert "its clip is driven by process" in next(iter(adoption.skipped.values()))


@pytest.mark.parametrize("state", ["submitted", "succeeded"])
def test_a_ledger_that_a_backup_brought_back_learns_the_rest(
    state: str, office: Office, service: Service, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    project = office.open(service.base_url, write_manifest("a"))
    backup = tmp_path / "backup.db"
    with service.over():
        office.drive(project, listener=Spy(**{state: lambda: copy_ledger(office.ledger_path, backup)}))
    (stored,) = project.ledger.attempts()
    project = restored(office, project, backup)
    assert project.ledger.attempts()[0].state is State(state)

    adopt_videos(project)

    (attempt,) = project.ledger.attempts()
    assert replace(attempt, owner="") == replace(stored, owner="")


def test_a_process_that_died_before_it_recorded_a_stored_video_needs_no_service_to_go_on(
    office: Office, service: Service, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    project = office.open(service.base_url, write_manifest("a"))
    crashed = tmp_path / "crashed.db"
    with service.over():
        office.drive(project, listener=Spy(succeeded=lambda: copy_ledger(office.ledger_path, crashed)))
    project = restored(office, project, crashed)

    with service.over(faults=(Fault(on="download", kind="cut"), Fault(on="get", kind="html"))):
        assert verdicts(office.drive(project)) == {"a": "stored"}

    (attempt,) = project.ledger.attempts()
    told, facts = read_sidecar(sidecar_of(office, "a").read_bytes())
    assert (told.attempt_id, facts[-1].detail["stored_at"]) == (attempt.attempt_id, attempt.stored_at)
