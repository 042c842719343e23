"""The assets: manifest → video (a partition per clip) → video_table → gallery."""

import dagster as dg

from kf2v_pipeline.domain.clip import digest_of
from kf2v_pipeline.orchestration.events import VIDEO
from kf2v_pipeline.orchestration.render import CLIPS, render
from kf2v_pipeline.orchestration.steps import gallery_step, manifest_step, table_step

GROUP = "kf2v"


@dg.asset(
    group_name=GROUP,
    kinds={"table"},
    required_resource_keys={"project"},
    description="The table that a person writes, read and checked: one row per clip. Bad rows are set aside.",
)
def manifest(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """The manifest, as it was read last; its data version changes where a row does that changes a video."""
    metadata = manifest_step(context)
    version = dg.DataVersion(digest_of(context.resources.project.wanted()))
    return dg.MaterializeResult(metadata=metadata, data_version=version)


video = dg.AssetsDefinition.from_graph(
    render,
    keys_by_input_name={"manifest": dg.AssetKey("manifest")},
    keys_by_output_name={"result": VIDEO},
    partitions_def=CLIPS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name=GROUP,
    descriptions_by_output_name={
        "result": "The videos, a partition per clip. Materializing one ensures that it is stored: what was paid for "
        "already costs nothing again."
    },
)


@dg.asset(
    deps=[VIDEO],
    group_name=GROUP,
    kinds={"parquet"},
    required_resource_keys={"project"},
    description="One row per clip of the manifest: where it stands, what it cost, where its video lies.",
)
def video_table(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """The videos table, as the ledger knows it now."""
    return dg.MaterializeResult(metadata=table_step(context))


@dg.asset(
    deps=[video_table],
    group_name=GROUP,
    kinds={"html"},
    required_resource_keys={"project"},
    description="A page to look at all videos: it opens from disk, without a server.",
)
def gallery(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """The gallery, as the ledger knows it now."""
    return dg.MaterializeResult(metadata=gallery_step(context))
