"""Which partitions Dagster calls out of date: exactly those whose row asks for another video than the stored one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
