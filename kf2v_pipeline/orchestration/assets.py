"""The assets: manifest → clip → video (a partition per clip each) → video_table → gallery."""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg
import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types

from kf2v_pipeline.orchestration.checks import manifest_check_specs, table_check_specs
from kf2v_pipeline.orchestration.events import CODE_VERSION
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.orchestration.render import RenderOps
from kf2v_pipeline.orchestration.steps import Step, gallery_step, manifest_step, table_step
from kf2v_pipeline.storage.manifest import OPTIONAL_COLUMNS, REQUIRED_COLUMNS
from kf2v_pipeline.storage.tables import VIDEOS_SCHEMA

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

_COLUMNS = {
    "clip_id": "The clip's name: its partition, its folder, its row in the tables.",
    "first_frame": "Where the film begins: a path or URL.",
    "last_frame": "Where the film ends: a path or URL.",
    "prompt": "What happens in between.",
    "negative_prompt": "What must not be seen.",
    "model": "The service's name of the model; its default where empty.",
    "resolution": "480P, 720P or 1080P, as far as the model offers it.",
    "duration": "Length of the film in seconds, as far as the model offers a choice.",
    "seed": "Makes a film repeatable; drawn by the service where empty.",
    "prompt_extend": "Whether the service may write the prompt out.",
    "watermark": "Whether the service marks the film.",
    "template": "A video effect of the service, in the place of the last frame.",
    "service": "local, singapore, beijing, or a base URL; the setting where empty.",
    "aspect": "The cut that is wanted beside the raw film, such as 9:16.",
    "fit": "How the cut is made: crop, pad or blur.",
}
"""What each column of a manifest means."""

_FROM_MANIFEST = ("clip_id", "model", "resolution", "seed", "prompt", "negative_prompt")
"""Columns of the videos table that are the manifest's."""

_FROM_VIDEO = ("video_path", "width", "height", "fps", "frames", "duration_s", "codec", "size_bytes", "sha256")
"""Columns of the videos table that describe the stored file."""


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
        metadata={"dagster/column_schema": _manifest_schema()},
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
        metadata={"dagster/column_schema": _videos_schema(), "dagster/column_lineage": _lineage(names)},
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
    )


def _result(step: Step) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(
        metadata=step.metadata, data_version=dg.DataVersion(step.version), check_results=step.checks
    )


def _manifest_schema() -> dg.TableSchema:
    columns = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
    return dg.TableSchema(
        [
            dg.TableColumn(
                name,
                type="string",
                description=_COLUMNS.get(name),
                constraints=dg.TableColumnConstraints(nullable=name not in REQUIRED_COLUMNS, unique=name == "clip_id"),
            )
            for name in columns
        ]
    )


def _videos_schema() -> dg.TableSchema:
    fields: list[pa.Field] = list(VIDEOS_SCHEMA)
    return dg.TableSchema([dg.TableColumn(field.name, type=str(field.type)) for field in fields])


def _lineage(names: Names) -> dg.TableColumnLineage:
    """Which columns of the videos table come out of which asset."""
    columns = {name: [dg.TableColumnDep(names.manifest, name)] for name in _FROM_MANIFEST}
    columns |= {f"{end}_frame_path": [dg.TableColumnDep(names.manifest, f"{end}_frame")] for end in ("first", "last")}
    columns |= {name: [dg.TableColumnDep(names.video, name)] for name in _FROM_VIDEO}
    return dg.TableColumnLineage(columns)
