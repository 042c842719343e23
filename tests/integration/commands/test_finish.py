"""Stored videos are measured and cut once; a row whose aspect changes gets another cut, and never another task."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from integration.commands.office import Office, verdicts
from integration.commands.test_adopt import reopened
from integration.service import Service

from kf2v_pipeline.domain.quality import Quality
from kf2v_pipeline.storage.store import COPY_PREFIX
from kf2v_pipeline.workflow.adopt import adopt_videos
from kf2v_pipeline.workflow.intake import take_in_manifest
from kf2v_pipeline.workflow.project import Project
from kf2v_pipeline.workflow.tables import refresh_tables

WriteManifest = Callable[..., Path]

NOBODY_WRITES = Path("/sys/kernel")


def rows_of(project: Project) -> dict[str, dict[str, Any]]:
    return {row["clip_id"]: row for row in refresh_tables(project).rows}


def size_of(path: Path) -> tuple[int, int]:
    with av.open(path) as film:
        return film.streams.video[0].width, film.streams.video[0].height


@pytest.fixture
def cuts(office: Office) -> Callable[[], set[str]]:
    """Names of the files beside the raw films."""
    return lambda: {path.name.partition(".")[2] for path in (office.storage / "videos").glob("*/*.mp4")} - {"mp4"}


def test_a_stored_video_is_measured_and_cut_before_its_outcome_is_told(
    office: Office, service: Service, write_manifest: WriteManifest
) -> None:
    rows = {"b": {"aspect": "", "fit": ""}}
    manifest = write_manifest("a", "b", rows=rows, aspect="1:1", fit="crop")
    project = office.open(service.base_url, manifest, quality=True)
    with service.over(stand_in_px=0):
        assert verdicts(office.drive(project)) == {"a": "stored", "b": "stored"}
    attempts = {attempt.clip_id: attempt for attempt in project.ledger.attempts()}
    known = project.ledger.qualities([attempt.attempt_id for attempt in attempts.values()])
    assert len(known) == 2
    assert known[attempts["a"].attempt_id].cuts == 1  # the stand-in jumps from the first frame to the last
    assert set(project.ledger.cuts([attempts["a"].attempt_id])) == {(attempts["a"].attempt_id, "1:1", "crop")}
    assert list((project.settings.incoming_directory).iterdir()) == []
    told = rows_of(project)
    assert (told["a"]["cut_width"], told["a"]["cut_height"]) == size_of(office.storage / told["a"]["cut_path"])
    assert told["a"]["cut_width"] == told["a"]["cut_height"]
    assert told["a"]["flaws"].split(",") == ["frozen", "cut"]
    assert told["a"]["quality_first_frame_ssim"] > 0.9
    assert told["a"]["quality_conformity_flaws"] == 0
    assert (told["b"]["aspect"], told["b"]["cut_path"]) == (None, None)


def test_another_aspect_makes_another_cut_and_no_task(
    office: Office, service: Service, write_manifest: WriteManifest, cuts: Callable[[], set[str]]
) -> None:
    project = office.open(service.base_url, write_manifest("a", aspect="1:1"))
    with service.over():
        office.drive(project)
    assert cuts() == {"1x1.crop.mp4"}
    write_manifest("a", aspect="9:16", fit="pad")
    take_in_manifest(project)
    row = rows_of(project)["a"]
    assert cuts() == {"1x1.crop.mp4", "9x16.pad.mp4"}
    assert row["cut_path"].endswith(".9x16.pad.mp4")
    assert row["cut_width"] * 16 == row["cut_height"] * 9
    assert len(project.ledger.attempts()) == 1
    assert verdicts(office.drive(project)) == {"a": "already_stored"}  # and no server is there to be asked


def test_a_video_that_has_the_aspect_already_is_its_own_cut(
    office: Office, service: Service, write_manifest: WriteManifest, cuts: Callable[[], set[str]]
) -> None:
    project = office.open(service.base_url, write_manifest("a", aspect="52:29"))  # 832x464
    with service.over(stand_in_px=0):
        office.drive(project)
    row = rows_of(project)["a"]
    assert cuts() == set()
    assert (row["cut_path"], row["cut_width"], row["cut_height"]) == (row["video_path"], 832, 464)


def test_a_cut_that_can_not_be_made_is_a_notice_and_tried_once(
    office: Office, service: Service, write_manifest: WriteManifest
) -> None:
    project = office.open(service.base_url, write_manifest("a", aspect="1:20", fit="pad"))
    with service.over(stand_in_px=0):
        report = office.drive(project)
    assert verdicts(report) == {"a": "stored"}
    (attempt,) = project.ledger.attempts()
    (cut,) = project.ledger.cuts([attempt.attempt_id]).values()
    assert cut.cut_path is None
    assert "choose another aspect" in (cut.flaw or "")
    assert project.finisher.finish_missing(project.wanted(), {"a": attempt}) == ()
    assert rows_of(project)["a"]["cut_path"] is None


@pytest.mark.skipif(not NOBODY_WRITES.is_dir(), reason="only Linux has a folder that root can't write to either")
def test_a_cut_that_has_no_place_on_this_machine_is_told_and_tried_again(
    office: Office, service: Service, write_manifest: WriteManifest
) -> None:
    manifest = write_manifest("a")
    project = office.open(service.base_url, manifest)
    with service.over():
        office.drive(project)
    write_manifest("a", aspect="1:1")
    take_in_manifest(project)
    (attempt,) = project.ledger.attempts()

    told = replace(project.finisher, folder=NOBODY_WRITES).finish_missing(project.wanted(), {"a": attempt})

    assert [sentence.partition(" Storage ")[0] for sentence in told] == [
        "Clip a: its video is stored, and could not be finished:"
    ]
    assert project.ledger.cuts([attempt.attempt_id]) == {}
    assert rows_of(project)["a"]["cut_path"].endswith(".1x1.crop.mp4")


def test_what_is_missing_is_made_up_for_when_the_tables_are_written(
    office: Office, service: Service, write_manifest: WriteManifest
) -> None:
    manifest = write_manifest("a")
    with service.over():
        office.drive(office.open(service.base_url, manifest))
    project = office.open(service.base_url, manifest, quality=True)
    assert rows_of(project)["a"]["quality_cuts"] == 1


def test_numbers_are_measured_once(office: Office, service: Service, write_manifest: WriteManifest) -> None:
    project = office.open(service.base_url, write_manifest("a"), quality=True)
    with service.over():
        office.drive(project)
    (attempt,) = project.ledger.attempts()
    kept = Quality(cuts=7)
    project.ledger.write_quality(attempt.attempt_id, kept, at=project.clock())
    refresh_tables(project)
    assert project.ledger.qualities([attempt.attempt_id]) == {attempt.attempt_id: kept}


def test_a_frame_that_is_gone_leaves_its_numbers_empty(
    office: Office, service: Service, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    manifest = write_manifest("a")
    with service.over():
        office.drive(office.open(service.base_url, manifest))
    shutil.rmtree(tmp_path / "frames")
    row = rows_of(office.open(service.base_url, manifest, quality=True))["a"]
    assert (row["quality_first_frame_ssim"], row["quality_swap_margin"]) == (None, None)
    assert row["quality_cuts"] == 1


def test_adopting_a_storage_with_cuts_takes_in_the_films_and_keeps_the_cuts(
    office: Office, service: Service, write_manifest: WriteManifest
) -> None:
    project = office.open(service.base_url, write_manifest("a", aspect="1:1"))
    with service.over():
        office.drive(project)
    (cut,) = (office.storage / "videos" / "a").glob("*.crop.mp4")
    made_at = cut.stat().st_mtime_ns
    project = reopened(office, project)
    take_in_manifest(project)
    adoption = adopt_videos(project)
    assert [attempt.clip_id for attempt in adoption.adopted] == ["a"]
    assert adoption.skipped == {}
    assert rows_of(project)["a"]["cut_path"].endswith(cut.name)
    assert cut.stat().st_mtime_ns == made_at


def test_hugging_face_reads_the_films_and_no_cut(
    office: Office, service: Service, write_manifest: WriteManifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets", reason="it comes with the extra dev")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    project = office.open(service.base_url, write_manifest("a", "b", aspect="1:1"))
    with service.over():
        office.drive(project)
    refresh_tables(project)
    assert len(list((office.storage / "videos").glob("*/*.mp4"))) == 4
    films = datasets.load_dataset(str(office.storage / "videos"), split="train", cache_dir=str(tmp_path / "cache"))
    films = films.cast_column("video", datasets.Video(decode=False))
    assert [Path(row["video"]["path"]).suffixes for row in films] == [[".mp4"], [".mp4"]]
    assert sorted(films["clip_id"]) == ["a", "b"]


def test_films_of_an_object_store_are_finished_too(
    office: Office, service: Service, write_manifest: WriteManifest
) -> None:
    project = office.open(
        service.base_url, write_manifest("a", aspect="1:1"), storage="memory://finish-test", quality=True
    )
    with service.over():
        assert verdicts(office.drive(project)) == {"a": "stored"}
    row = rows_of(project)["a"]
    assert row["quality_cuts"] == 1
    assert project.store.exists(row["cut_path"])
    take_in_manifest(office.open(service.base_url, write_manifest("a", aspect="3:4"), storage="memory://finish-test"))
    assert project.store.exists(rows_of(project)["a"]["cut_path"])
    assert list(project.settings.incoming_directory.iterdir()) == []


def test_a_drive_removes_what_dead_processes_left_among_the_downloads_and_no_film_that_the_ledger_does_not_know(
    office: Office, service: Service, write_manifest: WriteManifest
) -> None:
    """A film that the ledger does not know may be paid for all the same: its ledger may come back from a backup."""
    project = office.open(service.base_url, write_manifest("a"))
    with service.over():
        office.drive(project)
        (stored,) = project.ledger.attempts()
        incoming = project.settings.incoming_directory
        for name in (
            f"{stored.attempt_id}.mp4",
            f"{COPY_PREFIX}1.mp4",
            "of-another-ledger.mp4",
            "of-another-ledger.part",
        ):
            (incoming / name).write_bytes(b"film")
        office.drive(project)
    assert {path.name for path in incoming.iterdir()} == {"of-another-ledger.mp4", "of-another-ledger.part"}
