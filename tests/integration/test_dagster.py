"""The assets and jobs on a real Dagster instance, against the real local server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.tags import TagConcurrencyLimitsCounter
from integration.deployment import MODERATED, VIDEO, Deployment

from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.orchestration.columns import table_lineage
from kf2v_pipeline.orchestration.definitions import build_definitions
from kf2v_pipeline.orchestration.names import DRIVE_TAG, Names
from kf2v_pipeline.settings import Settings

StartServer = Callable[..., LocalServer]
WriteManifest = Callable[..., Path]


def test_the_manifest_registers_a_partition_per_clip_in_its_order(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("z", "a", "m"))
    assert deployment.materialize("manifest").success
    assert list(deployment.instance.get_dynamic_partitions("clips")) == ["z", "a", "m"]


def test_one_run_turns_the_stored_clips_green_and_exactly_the_failed_one_red(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(faults=(MODERATED,)), write_manifest("a", "b", "c"))
    deployment.materialize("manifest")

    result = deployment.run_job("render_clips")

    assert not result.success
    assert deployment.partitions() == ({"a", "c"}, {"b"})


def test_a_range_of_the_asset_does_the_same_in_one_run(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(faults=(MODERATED,)), write_manifest("a", "b", "c"))
    deployment.materialize("manifest")

    result = deployment.materialize_range("a", "c")

    assert not result.success
    assert deployment.partitions() == ({"a", "c"}, {"b"})


def test_the_reason_of_a_failed_clip_is_an_observation_of_its_partition(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(faults=(MODERATED,)), write_manifest("a", "b"))
    deployment.materialize("manifest")
    deployment.run_job("render_clips")

    records = deployment.instance.fetch_observations(VIDEO, limit=10).records

    observation = records[0].asset_observation
    assert observation is not None
    assert observation.partition == "b"
    assert observation.metadata["code"].value == "DataInspectionFailed"
    assert observation.metadata["reason"].value == "Not this one."


def test_materializing_a_failed_partition_again_makes_it_green_with_one_more_task(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server(faults=(MODERATED,))
    deployment = deploy(server, write_manifest("a", "b"))
    deployment.materialize("manifest")
    deployment.run_job("render_clips")

    assert deployment.materialize("video", partition_key="b").success

    assert deployment.partitions() == ({"a", "b"}, set())
    assert len(server.journal()["creates"]) == 3


@pytest.mark.parametrize("selection", [("video",), ("video", "video_table", "gallery")], ids=" and ".join)
def test_a_partition_that_is_materialized_again_is_in_the_tables_and_the_gallery_at_once(
    selection: tuple[str, ...],
    deploy: Callable[..., Deployment],
    start_server: StartServer,
    write_manifest: WriteManifest,
) -> None:
    """Dagster skips what lies below ``video``, which has no output of its own where all went well."""
    deployment = deploy(start_server(faults=(MODERATED,)), write_manifest("a", "b"))
    deployment.run_job("render_batch")

    again = deployment.materialize(*selection, partition_key="b")

    assert again.success
    assert {row["status"] for row in deployment.table()} == {"stored"}
    told = deployment.told(again.run_id)
    assert told == {("video", "b"): 1, ("video_table", None): 1, ("gallery", None): 1}


def test_the_tables_are_left_to_the_runs_of_a_backfill_that_are_to_come(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a", "b"))
    deployment.materialize("manifest")
    tags = {"dagster/backfill": "one"}
    job = deployment.definitions.resolve_implicit_global_asset_job_def()
    other = deployment.instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.NOT_STARTED)

    first = deployment.materialize("video", partition_key="a", tags=tags)
    deployment.instance.report_run_canceled(other)
    last = deployment.materialize("video", partition_key="b", tags=tags)

    assert deployment.told(first.run_id) == {("video", "a"): 1}
    assert deployment.told(last.run_id).keys() == {("video", "b"), ("video_table", None), ("gallery", None)}


def test_only_missing_leaves_out_some_of_the_chosen_partitions_and_adds_none(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    deployment = deploy(server, write_manifest("a", "b"))
    deployment.materialize("manifest")

    only_missing = {"ops": {"render": {"ops": {"claim": {"config": {"only_missing": True}}}}}}
    assert deployment.materialize("video", partition_key="a", config=only_missing).success

    assert deployment.partitions() == ({"a"}, set())
    assert len(server.journal()["creates"]) == 1


def test_materializing_a_stored_partition_again_costs_nothing(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    deployment = deploy(server, write_manifest("a"))
    deployment.materialize("manifest")
    deployment.materialize("video", partition_key="a")

    assert deployment.materialize("video", partition_key="a").success

    assert len(server.journal()["creates"]) == 1
    assert len(deployment.instance.fetch_materializations(VIDEO, limit=10).records) == 2


def test_runs_of_the_asset_that_a_person_launches_hold_the_other_runs_that_render_back_at_the_limit(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    """Dagster gives such a run no tag of the definitions; the queue counts the tags that runs in progress have."""
    deployment = deploy(start_server(), write_manifest("a"))
    deployment.materialize("manifest")
    run_ids = [deployment.materialize("video", partition_key="a").run_id for _ in range(2)]
    runs = [run for run in map(deployment.instance.get_run_by_id, run_ids) if run]

    limits, waiting = [{"key": DRIVE_TAG, "limit": 2}], runs[0].with_tags({DRIVE_TAG: "kf2v"})
    assert not TagConcurrencyLimitsCounter(limits, runs[:1]).is_blocked(waiting)
    assert TagConcurrencyLimitsCounter(limits, runs).is_blocked(waiting)


@pytest.mark.parametrize("own", [{}, {"dagster/max_runtime": "60"}], ids=["as jobs", "as a person says"])
def test_a_run_of_the_asset_is_stopped_after_the_time_that_jobs_have_or_that_a_person_gave_it(
    own: dict[str, str], deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    """Run monitoring reads a run's tags each time that it looks at it."""
    deployment = deploy(start_server(), write_manifest("a"))
    deployment.materialize("manifest")

    result = deployment.materialize("video", partition_key="a", tags=own)

    run = deployment.instance.get_run_by_id(result.run_id)
    assert run is not None
    of_jobs = deployment.definitions.resolve_job_def("render_batch").tags
    assert run.tags["dagster/max_runtime"] == {**of_jobs, **own}["dagster/max_runtime"]


def test_a_stored_partition_shows_its_film_and_what_it_cost(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a"))
    deployment.materialize("manifest")
    deployment.run_job("render_clips")

    record = deployment.instance.fetch_materializations(VIDEO, limit=1).records[0]

    assert record.asset_materialization is not None
    metadata = record.asset_materialization.metadata
    assert str(metadata["film"].value).startswith("![](data:image/webp;base64,")
    assert len(str(metadata["film"].value)) < 1000
    assert metadata["cost"].value == 0.5
    assert metadata["frames"].value == 150


def test_reading_an_unchanged_manifest_again_leaves_every_partition_in_sync(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a"))
    deployment.materialize("manifest")
    deployment.run_job("render_clips")
    deployment.materialize("manifest")

    assert deployment.stale("a") == set()


def test_the_nightly_batch_does_everything_in_one_run(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    deployment = deploy(start_server(), write_manifest("a", "b"))

    assert deployment.run_job("render_batch").success

    assert deployment.partitions() == ({"a", "b"}, set())
    assert (tmp_path / "out" / "tables" / "videos.parquet").is_file()
    assert (tmp_path / "out" / "gallery" / "index.html").is_file()


def test_a_materialization_of_the_table_says_which_column_comes_from_where(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    """Dagster reads the lineage of columns there, and not in the definitions."""
    deployment = deploy(start_server(), write_manifest("a"))
    deployment.run_job("refresh_tables")

    materialization = deployment.instance.get_latest_materialization_event(dg.AssetKey("video_table"))

    assert materialization is not None
    assert materialization.asset_materialization is not None
    metadata = materialization.asset_materialization.metadata
    assert metadata["dagster/column_lineage"] == dg.TableColumnLineageMetadataValue(table_lineage(Names()))


def test_a_failed_clip_does_not_keep_the_nightly_batch_from_its_tables(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    deployment = deploy(start_server(faults=(MODERATED,)), write_manifest("a", "b"))

    assert not deployment.run_job("render_batch").success

    assert deployment.partitions() == ({"a"}, {"b"})
    assert (tmp_path / "out" / "tables" / "videos.parquet").is_file()


def test_a_night_neither_tries_nor_tells_of_a_failure_again_that_the_night_before_told_of(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server(faults=(MODERATED,))
    deployment = deploy(server, write_manifest("a", "b"))
    assert not deployment.run_job("render_batch").success

    assert deployment.run_job("render_batch").success

    assert deployment.partitions() == ({"a"}, {"b"})
    assert len(deployment.instance.fetch_observations(VIDEO, limit=10).records) == 1
    assert len(server.journal()["creates"]) == 2


def test_a_failure_that_a_stopped_run_told_of_is_told_again_so_that_its_partition_turns_red(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    """A partition is red where the run that planned it failed; one that a person stopped did not."""
    deployment = deploy(start_server(faults=(MODERATED,)), write_manifest("a", "b"))
    first = deployment.run_job("render_batch")
    deployment.instance.report_run_canceled(first.dagster_run)

    assert not deployment.run_job("render_batch").success

    assert deployment.partitions() == ({"a"}, {"b"})


def test_definitions_load_with_the_assets_in_line_and_a_schedule_that_is_off() -> None:
    definitions = build_definitions(Settings())
    graph = definitions.resolve_asset_graph()
    parents = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert parents == {
        "manifest": set(),
        "clip": {"manifest"},
        "video": {"clip"},
        "video_table": {"video"},
        "gallery": {"video_table"},
    }
    schedule = definitions.resolve_schedule_def("nightly")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 2 * * *", "UTC")


def test_retry_failed_takes_the_clips_with_a_code_in_one_run_and_leaves_the_others(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    rights = Fault(on="task", kind="fail", count=1, match="take 0", code="IPInfringementSuspect", message="No.")
    server = start_server(faults=(MODERATED, rights))
    deployment = deploy(server, write_manifest("a", "b", "c"))
    deployment.materialize("manifest")
    deployment.run_job("render_clips")
    assert deployment.partitions() == ({"c"}, {"a", "b"})

    config = {"ops": {"choose_failed": {"config": {"codes": ["DataInspectionFailed"]}}}}
    assert deployment.run_job("retry_failed", config=config).success

    assert deployment.partitions() == ({"b", "c"}, {"a"})
    assert len(server.journal()["creates"]) == 4
