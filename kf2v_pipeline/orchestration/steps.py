"""What the assets do, as steps that jobs take too: each works, and gives what Dagster is to be told of it."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import dagster as dg
from sqlalchemy.exc import IntegrityError

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.domain.clip import Clip, digest_of
from kf2v_pipeline.domain.policy import Standing
from kf2v_pipeline.domain.price import total_by_currency
from kf2v_pipeline.orchestration.checks import bills_of, manifest_results, table_results
from kf2v_pipeline.orchestration.columns import table_lineage
from kf2v_pipeline.orchestration.events import row_event, stored_event
from kf2v_pipeline.orchestration.metadata import address_of, amounts, cost_table, place_of, table, way_to
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.orchestration.told import Told
from kf2v_pipeline.storage.layout import GALLERY, REJECTED_TABLE, VIDEOS_TABLE
from kf2v_pipeline.words import counted
from kf2v_pipeline.workflow.finish import measured_of
from kf2v_pipeline.workflow.gallery import build_gallery
from kf2v_pipeline.workflow.intake import blocking, look_at_manifest, take_in_plan
from kf2v_pipeline.workflow.plan import Plan
from kf2v_pipeline.workflow.project import Project
from kf2v_pipeline.workflow.tables import refresh_tables, table_rows

Context = dg.OpExecutionContext | dg.AssetExecutionContext

_SHOWN = 20
"""Rows that a preview shows, and problems that the run's log names."""


class Step(NamedTuple):
    """What a step has to tell.

    Attributes:
        version: The data version of what it made.
    """

    metadata: dict[str, Any]
    version: str
    checks: tuple[dg.AssetCheckResult, ...] = ()


def manifest_step(context: Context, names: Names) -> Step:
    """Takes the manifest in; adds partitions for its clips, and retires those of clips that are gone."""
    project = names.project(context)
    before = {clip.clip_id: clip for clip in project.wanted()}
    plan = look_at_manifest(project, project.usable_service)
    _add_partitions(context, names, plan)
    # Before the ledger wants the new rows: whoever drives them then finds that Dagster knows of the change.
    changed = _tell_changes(context, names, plan, before)
    change = take_in_plan(project, plan)
    counts = {kind: len(getattr(change, kind)) for kind in ("new", "changed", "retired", "unchanged")}
    context.log.info(f"Rows: {', '.join(f'{count} {kind}' for kind, count in counts.items())}.")
    _tell_what_is_stored(context, names, project, changed)
    _retire_partitions(context, names, project)
    for problem in plan.problems[:_SHOWN]:
        context.log.warning(str(problem))
    if len(plan.problems) > _SHOWN:
        context.log.warning(f"{len(plan.problems) - _SHOWN} more problems: {project.store.url}/{REJECTED_TABLE}.")
    checks = tuple(manifest_results(names, project, plan))
    return Step({**_manifest_metadata(project, plan), **counts}, digest_of(plan.clips), checks)


def table_step(context: Context, names: Names) -> Step:
    """Writes ``tables/videos.parquet`` and ``videos/metadata.jsonl``."""
    project = names.project(context)
    written = refresh_tables(project)
    rows = written.rows
    counts = Counter(str(row["status"]) for row in rows)
    # Of the attempts themselves, not of the rows, and of no later ones: the ledger goes on while the table is written.
    bills = bills_of(written.newest.values())
    metadata = {
        "dagster/row_count": len(rows),
        "dagster/uri": f"{project.store.url}/{VIDEOS_TABLE}",
        "dagster/column_lineage": table_lineage(names),
        "path": dg.MetadataValue.path(f"{project.store.url}/{VIDEOS_TABLE}"),
        **{standing.value: counts[standing.value] for standing in Standing},
        "rows": table(rows[:_SHOWN], ("clip_id", "status", "model", "resolution", "cost", "currency", "video_path")),
        "cost_by_model": cost_table(bills),
    }
    return Step(metadata, _digest(rows), tuple(table_results(names, project, rows, (money for _, money in bills))))


def gallery_step(context: Context, names: Names) -> Step:
    """Writes ``gallery/index.html``."""
    project = names.project(context)
    rows = table_rows(project)
    build_gallery(project.store, rows, title="Videos", rejected=blocking(project.problems()))
    address = address_of(project.store, GALLERY)
    metadata = {
        "clips": len(rows),
        "dagster/uri": address,
        "path": dg.MetadataValue.path(place_of(project.store, GALLERY)),
        "page": way_to(address),
    }
    return Step(metadata, _digest(rows))


def _digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """Changes with any value of the table."""
    return hashlib.sha256(json.dumps(list(rows), sort_keys=True, default=str).encode()).hexdigest()


def _add_partitions(context: Context, names: Names, plan: Plan) -> None:
    """Adds partitions for new clips; another process that reads the same manifest may add them at the same moment."""
    for is_last_try in (False, False, True):
        known = set(context.instance.get_dynamic_partitions(names.of("clips")))
        new = [clip.clip_id for clip in plan.clips if clip.clip_id not in known]
        if not new:
            return
        try:
            context.instance.add_dynamic_partitions(names.of("clips"), new)
        except IntegrityError:  # Dagster looks what is there, and then writes (1.13, ``SqlEventLogStorage``)
            if is_last_try:
                raise
        else:
            return


def _retire_partitions(context: Context, names: Names, project: Project) -> None:
    """Takes away the partitions of clips that no manifest of this ledger wants; their videos and bills stay."""
    wanted = {clip.clip_id for clip in project.ledger.wanted()}
    gone = [key for key in context.instance.get_dynamic_partitions(names.of("clips")) if key not in wanted]
    for clip_id in gone:
        context.instance.delete_dynamic_partition(names.of("clips"), clip_id)
    if gone:
        context.log.info(f"Not wanted any more: {counted(len(gone), 'clip')}. Partitions go, videos stay.")


def _tell_changes(context: Context, names: Names, plan: Plan, before: dict[str, Clip]) -> list[Clip]:
    """Tells Dagster of rows that ask for another video than the one that it knows of; gives their clips."""
    told = Told.ask(context.instance, names)
    changed = []
    for clip in plan.clips:
        newest_row = told.rows.get(clip.clip_id, told.videos.get(clip.clip_id, clip.fingerprint))
        if newest_row != clip.fingerprint:
            old = before.get(clip.clip_id)
            context.log_event(row_event(names, clip, old if old and old.fingerprint != clip.fingerprint else None))
            changed.append(clip)
        elif told.is_outdated(clip):
            changed.append(clip)
    return changed


def _tell_what_is_stored(context: Context, names: Names, project: Project, clips: Iterable[Clip]) -> None:
    """A row that was changed back asks for a video that is stored already: its partition is in order at once."""
    by_id = {clip.clip_id: clip for clip in clips}
    if not by_id:
        return
    told = Told.ask(context.instance, names)
    newest = project.ledger.newest(tuple(by_id.values()))
    measured = measured_of(project.ledger, newest)
    for clip_id, attempt in newest.items():
        if attempt.state is State.STORED:
            quality = measured.get(clip_id)
            event = stored_event(names, by_id[clip_id], attempt, store=project.store, told=told, quality=quality)
            context.log_event(event)


def _manifest_metadata(project: Project, plan: Plan) -> dict[str, Any]:
    rejected = blocking(plan.problems)
    known = [(clip.model, money) for clip in plan.clips if (money := plan.prices[clip.clip_id]) is not None]
    metadata: dict[str, Any] = {
        "dagster/row_count": len(plan.clips),
        "dagster/uri": project.manifest_name,
        "rejected_rows": len({problem.row for problem in rejected}),
        "rejected_table": dg.MetadataValue.path(f"{project.store.url}/{REJECTED_TABLE}"),
        "price_of_all_clips": amounts(total_by_currency(money for _, money in known)),
        "price_by_model": cost_table(known),
        "clips": table(
            (vars(clip) for clip in plan.clips[:_SHOWN]), ("clip_id", "model", "resolution", "prompt", "row")
        ),
    }
    if rejected:
        metadata["rejected"] = table(
            (vars(problem) for problem in rejected[:_SHOWN]), ("row", "clip_id", "column", "what", "fix")
        )
    return metadata
