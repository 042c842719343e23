"""Clips that failed: what their partitions and runs say of them, and which of them job ``retry_failed`` tries again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
from integration.deployment import MODERATED, VIDEO, Deployment
from statements import sent_statements

from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault

StartServer = Callable[..., LocalServer]
WriteManifest = Callable[..., Path]

VANISHED = Fault(on="task", kind="vanish", count=1, match="take 2")


def test_job_retry_failed_narrows_down_by_age_and_name_and_takes_what_may_be_paid_only_by_name(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server(faults=(MODERATED, VANISHED))
    deployment = deploy(server, write_manifest("a", "b", "c"))
    deployment.run_job("render_batch")
    assert deployment.partitions() == ({"a"}, {"b", "c"})

    def created(**chosen: Any) -> int:
        before = len(server.journal()["creates"])
        assert deployment.run_job("retry_failed", config={"ops": {"choose_failed": {"config": chosen}}}).success
        return len(server.journal()["creates"]) - before

    assert created(max_age_hours=1e-9) == 0
    assert created(clip_ids=["a"]) == 0
    assert created() == 1
    assert deployment.partitions() == ({"a", "b"}, {"c"})
    assert created(clip_ids=["c"], max_age_hours=1) == 1
    assert deployment.partitions() == ({"a", "b", "c"}, set())


def test_a_failed_partition_says_how_often_its_clip_was_tried_what_that_cost_and_what_to_do(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(faults=(replace(MODERATED, count=2),)), write_manifest("a", "b"))
    deployment.run_job("render_batch")
    assert not deployment.run_job("retry_failed").success

    observations = deployment.instance.fetch_observations(VIDEO, limit=9).records
    said = [record.asset_observation for record in observations if record.asset_observation]

    assert [(each.partition, each.metadata["attempts"].value) for each in said] == [("b", 2), ("b", 1)]
    assert said[0].metadata["cost"].value == 0
    assert "Change the row" in str(said[0].metadata["what_to_do"].value)


def test_what_was_told_of_clips_that_failed_is_asked_in_as_many_queries_however_many_they_are(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    """The heartbeat waits for each query: asked clip by clip, a long run's driver would count as gone."""
    clips = [f"c{number:02}" for number in range(12)]
    always = replace(MODERATED, count=len(clips), match="take")

    def queries(*clip_ids: str) -> int:
        deployment = deploy(start_server(faults=(always,)), write_manifest(*clip_ids))
        assert not deployment.run_job("render_batch").success
        with sent_statements() as statements:
            assert deployment.run_job("render_batch").success
        return sum("event_logs" in statement and statement.startswith("SELECT") for statement in statements)

    assert queries(*clips[:2]) == queries(*clips)


def test_a_row_that_is_changed_back_to_what_failed_turns_its_partition_red_again(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    """A failure is told once, unless something was stored since: the partition is green then."""
    deployment = deploy(start_server(faults=(MODERATED,)), write_manifest("a", "b"))
    deployment.run_job("render_batch")
    write_manifest("a", "b", rows={"b": {"prompt": "Another"}})
    assert deployment.run_job("render_batch").success
    assert deployment.partitions() == ({"a", "b"}, set())
    write_manifest("a", "b")

    assert not deployment.run_job("render_batch").success

    assert deployment.partitions() == ({"a"}, {"b"})


def test_rows_that_were_set_aside_clips_that_failed_and_costs_are_tables_of_the_manifest_and_of_the_run(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(faults=(MODERATED,)), write_manifest("a", "b", "not a name"))

    result = deployment.run_job("render_batch")

    manifest = (
        deployment.instance.fetch_materializations(dg.AssetKey("manifest"), limit=1).records[0].asset_materialization
    )
    assert manifest is not None
    [run] = [event.step_output_data.metadata for event in result.events_for_node("drive") if event.is_successful_output]
    assert column(manifest.metadata, "rejected", "clip_id") == ["not a name"]
    assert column(manifest.metadata, "price_by_model", "videos") == [2]
    assert column(run, "failures", "clip") == ["b"]
    assert column(run, "cost_by_model", "videos") == [1]


def column(metadata: Any, table: str, name: str) -> list[Any]:
    """The values of a table's column."""
    return [record.data[name] for record in metadata[table].records]
