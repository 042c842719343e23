"""The checks that Dagster shows: of the manifest, of the films, of the videos table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import dagster as dg
from integration.deployment import MODERATED, VIDEO, Deployment
from integration.service import no_local_server

from kf2v_pipeline.domain.quality import CHECKS, Quality
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.orchestration.checks import table_results
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.orchestration.opening import open_project
from kf2v_pipeline.orchestration.steps import table_step
from kf2v_pipeline.storage.tables import write_videos_table
from kf2v_pipeline.workflow.project import Project, utc_now

StartServer = Callable[..., LocalServer]
WriteManifest = Callable[..., Path]
WARNS, FAILS = (False, "WARN"), (False, "ERROR")


def test_the_manifest_warns_of_bad_rows_twins_and_what_the_budget_does_not_cover(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    same = {"first_frame": "frames/0-first.png", "last_frame": "frames/0-last.png", "prompt": "The same"}
    manifest = write_manifest("a", "b", "not a name", rows={"a": same, "b": same})
    deployment = deploy(start_server(), manifest, max_spend=Decimal("0.75"))

    assert deployment.materialize("manifest").success

    checks = deployment.checks("manifest")
    assert checks == {"rows_rejected": WARNS, "duplicate_pairs": WARNS, "cost_within_budget": WARNS}


def test_a_good_batch_passes_every_check_of_its_manifest_and_its_table(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a", "b"))

    assert deployment.run_job("render_batch").success

    checks = deployment.checks("manifest") | deployment.checks("video_table")
    assert {name for name, (passed, _) in checks.items() if not passed} == set()
    assert len(checks) == 5


def test_the_table_fails_its_check_where_clips_failed_and_its_costs_are_the_ledgers_all_the_same(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(faults=(MODERATED,)), write_manifest("a", "b"))

    deployment.run_job("render_batch")

    checks = deployment.checks("video_table")
    assert checks["every_clip_stored"] == FAILS
    assert checks["spend_is_the_ledgers"][0]


def test_a_clip_that_another_run_stores_while_films_are_measured_is_in_the_table_and_passes_its_checks(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a"))
    assert deployment.run_job("render_batch").success
    write_manifest("a", "b")
    others = [deployment]

    def clock() -> datetime:
        """Before the first film is measured, another run does all that the new manifest asks for."""
        if others:
            assert others.pop().run_job("render_batch").success
        return utc_now()

    measuring = replace(deployment.settings, quality=True)
    with Project(measuring, local_address=no_local_server, clock=clock) as project:
        step = table_step(dg.build_op_context(resources={"kf2v_project": project}), Names())

    rows = {row["clip_id"]: row for row in deployment.table()}
    assert {clip_id: row["status"] for clip_id, row in rows.items()} == {"a": "stored", "b": "stored"}
    assert rows["a"]["quality_cuts"] is not None
    assert rows["b"]["cost"] > 0
    assert {check.check_name: check.passed for check in step.checks} == {
        "every_clip_stored": True,
        "spend_is_the_ledgers": True,
    }


def test_a_table_whose_costs_are_not_the_ledgers_fails_its_check(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a", "b"))
    deployment.run_job("render_batch")
    rows = deployment.table()

    with open_project(deployment.settings) as project:
        bills = project.ledger.spend()
        write_videos_table(project.store, rows[:1])
        results = {each.check_name: each for each in table_results(Names(), project, rows, bills)}

    assert not results["spend_is_the_ledgers"].passed
    assert results["spend_is_the_ledgers"].severity is dg.AssetCheckSeverity.ERROR


def test_a_table_that_another_run_wrote_in_the_same_second_passes_its_check(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a", "b"))
    deployment.run_job("render_batch")

    with open_project(deployment.settings) as project:
        results = {each.check_name: each for each in table_results(Names(), project, deployment.table(), bills=())}

    assert results["spend_is_the_ledgers"].passed


def test_a_flaw_of_a_film_warns_and_only_a_file_that_is_no_film_is_an_error_that_blocks(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a", "b"))
    deployment.run_job("render_batch")
    measure(deployment, a=Quality(longest_freeze_s=3.0, black_s=0.0), b=Quality(conformity_flaws=1, black_s=0.0))

    assert deployment.run_job("refresh_tables").success

    checks = deployment.checks("video")
    assert (checks["frozen"], checks["conformity"]) == (WARNS, FAILS)
    assert checks["black"][0]
    nodes = deployment.definitions.resolve_asset_graph()
    blocking = {key.name for key in nodes.get_check_keys_for_assets({VIDEO}) if nodes.get_check_spec(key).blocking}
    assert blocking == {"conformity"}


def test_each_check_of_a_film_can_be_asked_for_alone_in_the_ui(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a"))
    deployment.run_job("render_batch")
    measure(deployment, a=Quality(black_s=2.0))
    graph = deployment.definitions.resolve_asset_graph()
    job = deployment.definitions.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection=set(), asset_check_selection=graph.get_check_keys_for_assets({VIDEO})
    )

    assert job.execute_in_process(instance=deployment.instance).success

    assert set(deployment.checks("video")) == set(CHECKS)
    assert deployment.checks("video")["black"] == WARNS


def test_a_flaw_of_a_film_is_told_at_its_partition(
    deploy: Callable[..., Deployment], start_server: StartServer, write_manifest: WriteManifest
) -> None:
    deployment = deploy(start_server(), write_manifest("a", "b"))
    deployment.run_job("render_batch")
    measure(deployment, a=Quality(black_s=2.0))

    again = deployment.materialize("video", partition_key="a")

    events = deployment.instance.all_logs(again.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    told = [event.get_dagster_event().asset_check_evaluation_data for event in events]
    assert [(each.check_name, each.passed) for each in told if each.partition == "a"] == [("black", False)]


def measure(deployment: Deployment, **qualities: Quality) -> None:
    """Says of stored clips what their films measure, over what was measured."""
    with open_project(deployment.settings) as project:
        newest = project.ledger.newest(project.wanted())
        for clip_id, quality in qualities.items():
            project.ledger.write_quality(newest[clip_id].attempt_id, quality, at=utc_now())
