"""What the assets do, as steps that jobs take too: each works, and gives the metadata of its materialization."""

from collections import Counter

import dagster as dg

from kf2v_pipeline.domain.policy import Standing
from kf2v_pipeline.domain.price import total_by_currency
from kf2v_pipeline.storage.layout import GALLERY, REJECTED_TABLE, VIDEOS_TABLE
from kf2v_pipeline.workflow.gallery import build_gallery
from kf2v_pipeline.workflow.intake import blocking, take_in_manifest
from kf2v_pipeline.workflow.plan import Plan
from kf2v_pipeline.workflow.project import Project
from kf2v_pipeline.workflow.tables import refresh_tables, table_rows

Metadata = dict[str, dg.MetadataValue | int | float | str]
_PREVIEW_ROWS = 20


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
