"""The assets: manifest → clip → video (a partition per clip each) → video_table → gallery."""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from kf2v_pipeline.orchestration.checks import manifest_check_specs, table_check_specs
from kf2v_pipeline.orchestration.columns import film_columns, manifest_columns, table_columns
from kf2v_pipeline.orchestration.events import CODE_VERSION
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.orchestration.render import RenderOps
from kf2v_pipeline.orchestration.steps import Step, gallery_step, manifest_step, table_step

DOMAIN_TAG = {"domain": "video"}

_MANIFEST = "The table that a person writes, read and checked: one row per clip. Bad rows are set aside with a reason."
_CLIP = (
    "What each row of the manifest asks for. Dagster hears of a row that asks for another video than the stored one: "
    "exactly that partition of the videos is then out of date."
)
_VIDEO = (
    "The videos, a partition per clip. Materializing one ensures that it is stored: what was paid for already costs "
    "nothing again. A failed partition shows why, and what to do."
)
_TABLE = "One row per clip of the manifest: where it stands, what it cost, where its video lies."
_GALLERY = "A page to look at all videos: it opens from disk, without a server."


def build_assets(names: Names, ops: RenderOps) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The batch's assets, in line."""
    common: dict[str, Any] = {"group_name": names.group_name, "owners": list(names.owners), "tags": DOMAIN_TAG}
    worked: dict[str, Any] = {
        **common,
        "code_version": CODE_VERSION,
        "required_resource_keys": {names.of("kf2v_project")},
    }

    @_asset(
        key=names.manifest,
        kinds={"table"},
        description=_MANIFEST,
        check_specs=manifest_check_specs(names),
        metadata={"dagster/column_schema": manifest_columns()},
        **worked,
    )
    def manifest(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster takes a subscript for one output
        return _result(manifest_step(context, names))

    clip = dg.AssetSpec(
        names.clip,
        deps=[names.manifest],
        partitions_def=names.clips,
        kinds={"row"},
        description=_CLIP,
        **common,
    )

    @_asset(
        key=names.video_table,
        deps=[names.video],
        kinds={"parquet"},
        description=_TABLE,
        check_specs=table_check_specs(names),
        metadata={"dagster/column_schema": table_columns()},
        **worked,
    )
    def video_table(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster takes a subscript for one output
        return _result(table_step(context, names))

    @_asset(
        key=names.gallery,
        deps=[names.video_table],
        kinds={"html"},
        description=_GALLERY,
        **worked,
    )
    def gallery(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster takes a subscript for one output
        return _result(gallery_step(context, names))

    return [manifest, clip, _video(names, ops, common), video_table, gallery]


def _asset(**options: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """``dg.asset``, whose overloads hide its type from mypy where options come out of a dictionary."""
    decorator: Callable[[Callable[..., Any]], dg.AssetsDefinition] = dg.asset(**options)
    return decorator


def _video(names: Names, ops: RenderOps, common: Mapping[str, Any]) -> dg.AssetsDefinition:
    @dg.graph(name=names.of("render"), ins={"clip": dg.GraphIn()})
    def render(clip):  # type: ignore[no-untyped-def]  # a composition has no types at run time
        return ops.settle(ops.publish(ops.drive(ops.claim(clip))))

    return dg.AssetsDefinition.from_graph(
        render,
        keys_by_input_name={"clip": names.clip},
        keys_by_output_name={"result": names.video},
        partitions_def=names.clips,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=common["group_name"],
        descriptions_by_output_name={"result": _VIDEO},
        tags_by_output_name={"result": {**common["tags"], "dagster/kind/video": "", "dagster/kind/mp4": ""}},
        owners_by_output_name={"result": common["owners"]},
        code_versions_by_output_name={"result": CODE_VERSION},
        metadata_by_output_name={"result": {"dagster/column_schema": film_columns()}},
    )


def _result(step: Step) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(
        metadata=step.metadata, data_version=dg.DataVersion(step.version), check_results=step.checks
    )
