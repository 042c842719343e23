"""Job ``reconcile``: ledger, service and storage are brought together, and nothing is bought."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from integration.commands.office import Office, Service
from integration.deployment import Deployment

from kf2v_pipeline.domain.attempt import State

WriteManifest = Callable[..., Path]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """The same home and storage as the deployment's."""
    with ExitStack() as opened:
        yield Office(tmp_path, opened)


def test_it_takes_in_a_video_that_the_ledger_lost_collects_what_is_finished_and_makes_no_task(
    deploy: Callable[..., Deployment], office: Office, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    service = Service(tmp_path / "service")
    manifest = write_manifest("a", "b", "c")
    with service.over() as server:
        deployment = deploy(server, manifest)
        deployment.run_job("render_batch")
    office.ledger_path.unlink()
    with service.over(in_process=1, pending_s=2) as server:
        write_manifest("a", "b", "c", rows={name: {"prompt": f"Another {name}"} for name in "abc"})
        (tmp_path / "out" / "tables" / "videos.parquet").unlink()
        before = len(server.journal()["creates"])
        project = office.open(service.base_url, manifest)
        office.drive_until(project, State.SUBMITTED)
        in_flight = len(server.journal()["creates"]) - before

        assert deployment.run_job("reconcile").success

        states = [attempt.state for attempt in project.ledger.attempts()]
        assert states.count(State.STORED) == 3 + in_flight
        assert len(server.journal()["creates"]) == before + in_flight
        assert (tmp_path / "out" / "tables" / "videos.parquet").is_file()


def test_it_names_the_clip_whose_video_left_the_storage(
    deploy: Callable[..., Deployment], write_manifest: WriteManifest, tmp_path: Path
) -> None:
    service = Service(tmp_path / "service")
    with service.over() as server:
        deployment = deploy(server, write_manifest("a", "b"))
        deployment.run_job("render_batch")
        for video in (tmp_path / "out" / "videos" / "a").glob("*.mp4"):
            video.unlink()

        result = deployment.run_job("reconcile")

    assert not result.success
    [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.description is not None
    assert failure.user_failure_data.description.startswith("1 clip failed: a (VideoMissing: videos/a/")
