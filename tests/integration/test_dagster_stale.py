"""Which partitions Dagster calls out of date: exactly those whose row asks for another video than the stored one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
from integration.deployment import Deployment

from kf2v_pipeline.localserver.embedded import LocalServer

StartServer = Callable[..., LocalServer]
WriteManifest = Callable[..., Path]

CHANGED = {"b": {"prompt": "A fast pan"}}


def render(deploy: Callable[..., Deployment], server: LocalServer, manifest: Path) -> Deployment:
    deployment = deploy(server, manifest)
    deployment.run_job("render_batch")
    return deployment


def test_a_changed_prompt_puts_exactly_its_own_partition_out_of_date_and_one_new_task_mends_it(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    deployment = render(deploy, server, write_manifest("a", "b", "c"))
    assert deployment.stale("a", "b", "c") == set()

    write_manifest("a", "b", "c", rows=CHANGED)
    deployment.run_job("refresh_manifest")
    assert deployment.stale("a", "b", "c") == {"b"}

    assert deployment.materialize("video", partition_key="b").success
    assert deployment.materialize("video", partition_key="a").success
    assert deployment.stale("a", "b", "c") == set()
    assert len(server.journal()["creates"]) == 4


def test_a_row_that_is_changed_back_is_in_order_at_once_and_costs_nothing(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    deployment = render(deploy, server, write_manifest("a", "b"))
    write_manifest("a", "b", rows=CHANGED)
    deployment.run_job("render_batch")
    assert deployment.stale("a", "b") == set()

    write_manifest("a", "b")
    deployment.run_job("refresh_manifest")

    assert deployment.stale("a", "b") == set()
    assert len(server.journal()["creates"]) == 3


def test_a_row_that_leaves_the_manifest_takes_its_partition_along_and_not_its_video(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    deployment = render(deploy, start_server(), write_manifest("a", "b"))

    write_manifest("a")
    deployment.run_job("refresh_manifest")

    assert list(deployment.instance.get_dynamic_partitions("clips")) == ["a"]
    assert list((tmp_path / "out" / "videos" / "b").glob("*.mp4"))


def test_the_manifest_says_how_many_rows_are_new_changed_retired_and_as_before(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a", "b", "c"))
    deployment.materialize("manifest")
    write_manifest("a", "b", "d", rows=CHANGED)

    deployment.materialize("manifest")

    event = deployment.instance.get_latest_materialization_event(dg.AssetKey("manifest"))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    counts = {kind: metadata[kind].value for kind in ("new", "changed", "retired", "unchanged")}
    assert counts == {"new": 1, "changed": 1, "retired": 1, "unchanged": 1}
