"""The audit tells of every video that was paid for and is not in the storage as it was stored, and of no other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from unit.workflow.simulated_service import MIDNIGHT
from unit.workflow.simulation import make_clip

from kf2v_pipeline.domain.attempt import Fact, FactKind
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.storage.layout import video_path
from kf2v_pipeline.workflow.audit import Loss, audit_storage
from kf2v_pipeline.workflow.driver import holding
from kf2v_pipeline.workflow.project import Project

FILM = b"a film"


class Batches:
    """Manifests that share one ledger; each has a storage of its own."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        self.folder = folder
        self._opened = opened

    def open(self, name: str) -> Project:
        """The project of one manifest."""
        settings = Settings(
            manifest=str(self.folder / f"{name}.csv"), storage=str(self.folder / name), home=self.folder / "home"
        )
        project = Project(settings, local_address=str, clock=lambda: MIDNIGHT)
        return self._opened.enter_context(project)

    def file(self, project: Project, clip: Clip) -> Path:
        """Where the clip's video lies on this machine."""
        return Path(project.settings.storage) / video_path(clip.clip_id, clip.fingerprint)


@pytest.fixture
def batches(tmp_path: Path) -> Iterator[Batches]:
    with ExitStack() as opened:
        yield Batches(tmp_path, opened)


@pytest.fixture
def project(batches: Batches) -> Project:
    return batches.open("films")


def want(project: Project, *clips: Clip) -> None:
    project.ledger.want(project.manifest_name, clips, at=MIDNIGHT)


def store_video(project: Project, clip: Clip) -> None:
    """Puts the clip's video into the storage, and its history into the ledger."""
    path = video_path(clip.clip_id, clip.fingerprint)
    project.store.write_bytes(path, FILM)
    stored = {"video_path": path, "size_bytes": len(FILM), "sha256": hashlib.sha256(FILM).hexdigest()}
    with holding(project.ledger, [clip.clip_id], clock=project.clock, stale_after=project.stale_after) as hold:
        attempt = project.ledger.prepare(clip, owner=hold.owner, at=MIDNIGHT)
    for kind in (FactKind.ACCEPTED, FactKind.TASK_SUCCEEDED, FactKind.VIDEO_STORED):
        detail = stored if kind is FactKind.VIDEO_STORED else {}
        project.ledger.record(Fact(attempt_id=attempt.attempt_id, kind=kind, at=MIDNIGHT, detail=detail))


def test_videos_that_are_there_as_they_were_stored_are_only_counted(project: Project) -> None:
    clips = [make_clip(0), make_clip(1)]
    want(project, *clips)
    for clip in clips:
        store_video(project, clip)

    audit = audit_storage(project, every_byte=True)

    assert (audit.intact, audit.missing) == (2, {})


def test_a_video_that_left_the_storage_is_told_with_its_clip(batches: Batches, project: Project) -> None:
    clip = make_clip(0)
    want(project, clip)
    store_video(project, clip)
    batches.file(project, clip).unlink()

    path = video_path(clip.clip_id, clip.fingerprint)
    loss = Loss(clip_id="c000", what=f"{path} is paid for, and not in the storage any more.")
    audit = audit_storage(project)
    assert (audit.intact, audit.missing) == (0, {path: loss})


def test_a_video_of_another_size_is_told_with_both_sizes(batches: Batches, project: Project) -> None:
    clip = make_clip(0)
    want(project, clip)
    store_video(project, clip)
    batches.file(project, clip).write_bytes(FILM * 2)

    [loss] = audit_storage(project).missing.values()
    assert loss.what.endswith(f".mp4 has {2 * len(FILM)} bytes, and {len(FILM)} were stored.")


def test_other_bytes_of_the_same_size_are_told_where_every_byte_is_read(batches: Batches, project: Project) -> None:
    clip = make_clip(0)
    want(project, clip)
    store_video(project, clip)
    batches.file(project, clip).write_bytes(FILM[::-1])

    assert audit_storage(project).missing == {}
    [loss] = audit_storage(project, every_byte=True).missing.values()
    assert loss.what.endswith(".mp4 is not the file that was stored: the digests differ.")


def test_a_clip_that_lost_the_videos_of_two_fingerprints_is_told_twice(batches: Batches, project: Project) -> None:
    takes = [make_clip(0), make_clip(0, prompt="Another take")]
    for take in takes:
        want(project, take)
        store_video(project, take)
        batches.file(project, take).unlink()

    missing = audit_storage(project).missing

    assert set(missing) == {video_path("c000", take.fingerprint) for take in takes}
    assert [loss.clip_id for loss in missing.values()] == ["c000", "c000"]


def test_the_videos_of_another_manifest_are_in_another_storage_and_not_missed(batches: Batches) -> None:
    one, other = batches.open("one"), batches.open("other")
    want(one, make_clip(0))
    want(other, make_clip(1))
    store_video(one, make_clip(0))
    store_video(other, make_clip(1))

    for project in (one, other):
        audit = audit_storage(project)
        assert (audit.intact, audit.missing) == (1, {})


def test_the_video_of_a_clip_that_its_manifest_names_no_more_is_missed_all_the_same(
    batches: Batches, project: Project
) -> None:
    clip = make_clip(0)
    want(project, clip)
    store_video(project, clip)
    want(project)
    batches.file(project, clip).unlink()

    assert [loss.clip_id for loss in audit_storage(project).missing.values()] == ["c000"]
