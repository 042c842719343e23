"""The assets: manifest → video (a partition per clip) → video_table → gallery."""

from collections import Counter

import dagster as dg

from kf2v_pipeline.domain.clip import digest_of
from kf2v_pipeline.domain.policy import Standing
from kf2v_pipeline.domain.price import total_by_currency
from kf2v_pipeline.orchestration.events import VIDEO
from kf2v_pipeline.orchestration.render import CLIPS, render
from kf2v_pipeline.storage.layout import GALLERY, REJECTED_TABLE, VIDEOS_TABLE
from kf2v_pipeline.workflow.gallery import build_gallery
from kf2v_pipeline.workflow.intake import blocking, take_in_manifest
from kf2v_pipeline.workflow.plan import Plan
from kf2v_pipeline.workflow.project import Project
from kf2v_pipeline.workflow.tables import refresh_tables, table_rows

GROUP = "kf2v"
_PREVIEW_ROWS = 20


Metadata = dict[str, dg.MetadataValue | int | float | str]


def manifest_step(context: dg.OpExecutionContext | dg.AssetExecutionContext) -> Metadata:
    """Takes the manifest in, and registers a partition per clip."""
    project: Project = context.resources.project
    plan = take_in_manifest(project)
    known = set(context.instance.get_dynamic_partitions("clips"))
    new = [clip.clip_id for clip in plan.clips if clip.clip_id not in known]
    if new:
        context.instance.add_dynamic_partitions("clips", new)
    for problem in plan.problems:
        context.log.warning(str(problem))
    return _manifest_metadata(project, plan)


def table_step(context: dg.OpExecutionContext | dg.AssetExecutionContext) -> Metadata:
    """Writes ``tables/videos.parquet`` and ``videos/metadata.jsonl``."""
    project: Project = context.resources.project
    rows = refresh_tables(project)
    states = Counter(str(row["status"]) for row in rows)
    return {
        "dagster/row_count": len(rows),
        "path": dg.MetadataValue.path(f"{project.store.url}/{VIDEOS_TABLE}"),
        **{standing.value: states[standing.value] for standing in Standing},
    }


def gallery_step(context: dg.OpExecutionContext | dg.AssetExecutionContext) -> Metadata:
    """Writes ``gallery/index.html``."""
    project: Project = context.resources.project
    rows = table_rows(project)
    build_gallery(project.store, rows, title="Videos", rejected=blocking(project.problems()))
    return {"clips": len(rows), "path": dg.MetadataValue.path(f"{project.store.url}/{GALLERY}")}


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


def _manifest_metadata(project: Project, plan: Plan) -> Metadata:
    rejected = blocking(plan.problems)
    prices = total_by_currency(money for money in plan.prices.values() if money is not None)
    columns = ("clip_id", "model", "resolution", "prompt")
    metadata: Metadata = {
        "dagster/row_count": len(plan.clips),
        "rejected_rows": len({problem.row for problem in rejected}),
        "rejected_table": dg.MetadataValue.path(f"{project.store.url}/{REJECTED_TABLE}"),
        "price_of_all_clips": ", ".join(f"{amount:f} {currency}" for currency, amount in prices.items()),
        "clips": dg.MetadataValue.table(
            [
                dg.TableRecord({column: str(getattr(clip, column) or "")[:120] for column in columns})
                for clip in plan.clips[:_PREVIEW_ROWS]
            ],
            schema=dg.TableSchema([dg.TableColumn(column) for column in columns]),
        ),
    }
    if rejected:
        metadata["rejected"] = dg.MetadataValue.md("\n".join(f"- {problem}" for problem in rejected[:_PREVIEW_ROWS]))
    return metadata
