"""What Dagster is told of one batch and of several: names, launchpad, resources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap

from kf2v_pipeline import FrameClipBatch, LedgerResource, ServiceResource, StorageResource
from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.orchestration.columns import table_lineage
from kf2v_pipeline.orchestration.definitions import build_definitions
from kf2v_pipeline.orchestration.events import CODE_VERSION
from kf2v_pipeline.orchestration.instance import DAGSTER_YAML
from kf2v_pipeline.orchestration.names import DRIVE_TAG, Names
from kf2v_pipeline.settings import NAMES, Settings

JOBS = {"render_clips", "render_batch", "retry_failed", "refresh_manifest", "refresh_tables", "reconcile"}


def job_names(definitions: dg.Definitions) -> set[str]:
    return {job.name for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")}


def test_two_batches_of_one_code_location_have_no_name_in_common() -> None:
    both = dg.Definitions.merge(build_definitions(Settings()), build_definitions(Settings(), prefix="trailer"))
    dg.Definitions.validate_loadable(both)
    assert job_names(both) == JOBS | {f"trailer_{name}" for name in JOBS}
    assert dg.AssetKey(["trailer", "video"]) in both.resolve_asset_graph().get_all_asset_keys()


def test_a_prefix_that_can_be_no_name_is_one_sentence() -> None:
    with pytest.raises(SettingsError, match=r"^prefix: 'my batch' can't be part of a name in Dagster; write letters"):
        build_definitions(Settings(), prefix="my batch")


def test_every_asset_says_whose_it_is_what_it_is_and_what_it_is_for() -> None:
    graph = build_definitions(Settings(), owners=["team:trailers"]).resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert (node.owners, node.group_name, node.tags["domain"]) == (["team:trailers"], "kf2v", "video")
        assert node.description
        assert node.code_version == (
            None if key.path[-1] == "clip" else CODE_VERSION
        )  # nothing makes a row but a person
        assert any(tag.startswith("dagster/kind/") for tag in node.tags)


def test_the_table_says_of_each_column_where_it_comes_from_and_names_only_columns_that_there_are() -> None:
    graph = build_definitions(Settings()).resolve_asset_graph()
    columns = {
        key: {column.name for column in graph.get(key).metadata["dagster/column_schema"].columns}
        for key in (dg.AssetKey(name) for name in ("manifest", "video", "video_table"))
    }
    lineage = table_lineage(Names()).deps_by_column
    assert lineage.keys() <= columns[dg.AssetKey("video_table")]
    assert all(dep.column_name in columns[dep.asset_key] for deps in lineage.values() for dep in deps)
    assert lineage["prompt"] == [dg.TableColumnDep(dg.AssetKey("manifest"), "prompt")]


@pytest.mark.parametrize("job", sorted(JOBS))
def test_every_field_of_the_launchpad_says_what_it_does(job: str) -> None:
    schema = build_definitions(Settings()).resolve_job_def(job).run_config_schema
    ops: dict[str, Any] = schema.run_config_schema_type.fields["ops"].config_type.fields  # type: ignore[attr-defined]
    for name in ops.keys() & {"claim", "choose_failed", "reconcile_ledger"}:
        fields = ops[name].config_type.fields["config"].config_type.fields
        assert all(field.description for field in fields.values())


@pytest.mark.parametrize("job", ["render_clips", "render_batch", "retry_failed", "reconcile"])
def test_a_run_that_drives_carries_the_tag_that_the_instance_counts(job: str) -> None:
    assert build_definitions(Settings()).resolve_job_def(job).tags[DRIVE_TAG] == "kf2v"
    assert DRIVE_TAG in DAGSTER_YAML


def test_the_resources_of_a_batch_do_what_they_say_for_a_persons_own_asset(tmp_path: Path) -> None:
    settings = Settings(storage=str(tmp_path / "out"), home=tmp_path)

    @dg.asset
    def bill(kf2v_ledger: LedgerResource, kf2v_storage: StorageResource, kf2v_service: ServiceResource) -> None:
        with kf2v_ledger.open() as ledger:
            kf2v_storage.open().write_bytes("bill.txt", str(ledger.spend()).encode())
        assert kf2v_service.service == "local"

    definitions = dg.Definitions.merge(build_definitions(settings), dg.Definitions(assets=[bill]))
    job = definitions.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(asset_selection=[dg.AssetKey("bill")]).success
    assert (tmp_path / "out" / "bill.txt").read_text() == "()"


def test_no_secret_of_the_settings_is_in_what_dagster_is_told() -> None:
    settings = Settings(
        api_key="sk-hidden", ledger="postgresql://u:hidden@db/kf2v", storage="https://store/x?sig=hidden"
    )
    snapshot = RepositorySnap.from_def(build_definitions(settings).get_repository_def())
    assert "hidden" not in json.dumps(dg.serialize_value(snapshot))


def test_the_component_can_say_whatever_the_settings_can() -> None:
    assert set(NAMES.values()) <= set(FrameClipBatch.model_fields)
