"""Job ``reconcile``: ledger, service and storage are brought together, and nothing is bought."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from integration.commands.office import Office
from integration.deployment import Deployment
from integration.service import Service

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.orchestration.stop import STOPPED_TAG

WriteManifest = Callable[..., Path]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """The same home and storage as the deployment's."""
    with ExitStack() as opened:
        yield Office(tmp_path, opened)


def test_it_takes_in_a_video_that_the_ledger_lost_collects_what_is_finished_and_makes_no_task(
    deploy: Callable[..., Deployment], office: Office, service: Service, write_manifest: WriteManifest, tmp_path: Path
) -> None:
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


def test_it_names_each_video_of_a_clip_that_left_the_storage(
    deploy: Callable[..., Deployment], service: Service, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    with service.over() as server:
        deployment = deploy(server, write_manifest("a", "b"))
        deployment.run_job("render_batch")
        write_manifest("a", "b", rows={"a": {"prompt": "Another a"}})
        deployment.run_job("render_batch")
        for video in (tmp_path / "out" / "videos" / "a").glob("*.mp4"):
            video.unlink()

        result = deployment.run_job("reconcile")

    assert not result.success
    [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.description is not None
    said = failure.user_failure_data.description
    assert said.startswith("1 clip failed: a (VideoMissing: videos/a/")
    assert said.count("a (VideoMissing: videos/a/") == 2


@pytest.mark.parametrize("catalog_name", ["local", "singapore"], ids=["free", "price not known"])
def test_a_task_that_fails_meanwhile_is_left_to_another_run_whatever_it_would_cost(
    catalog_name: str,
    deploy: Callable[..., Deployment],
    office: Office,
    service: Service,
    write_manifest: WriteManifest,
) -> None:
    manifest = write_manifest("a")
    catalog = office.folder / "catalog.toml"
    catalog.write_text(f'[services.{catalog_name}]\nbase_url = "{service.base_url}"\n')
    options = {"catalog": catalog, "api_key": "sk-key"}
    fault = Fault(on="task", kind="fail", count=1, code="InternalError", message="Try again.")
    with service.over(faults=(fault,), pending_s=1) as server:
        project = office.open(catalog_name, manifest, **options)
        office.drive_until(project, State.SUBMITTED)
        deployment = deploy(server, manifest, **options)

        result = deployment.run_job("reconcile")

        assert [attempt.state for attempt in project.ledger.attempts()] == [State.FAILED]
        assert len(server.journal()["creates"]) == 1
    assert result.success
    assert STOPPED_TAG not in result.dagster_run.tags
    assert project.waiting().count == 1


def test_the_open_attempts_of_another_manifest_are_not_its_own(
    deploy: Callable[..., Deployment], office: Office, service: Service, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    with service.over(pending_s=60) as server:
        other = write_manifest("theirs").rename(tmp_path / "other.csv")
        office.drive_until(office.open(service.base_url, other), State.SUBMITTED)
        deployment = deploy(server, write_manifest("ours"))
        deployment.run_job("refresh_manifest")

        result = deployment.run_job("reconcile")

    assert result.success
    log = [entry.user_message for entry in deployment.instance.all_logs(result.run_id)]
    [summary] = [line for line in log if "still open" in line]
    assert summary.endswith("; 0 attempts are still open.")
