"""Dagster's event log at hand: the files stay open while a run writes, and what is written is there for everyone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timezone
from pathlib import Path
from threading import Thread

import dagster as dg
import pytest
import sqlalchemy as sa
from statements import sent_statements

from kf2v_pipeline.orchestration.event_log import event_log_at_hand
from kf2v_pipeline.orchestration.events import report_planned
from kf2v_pipeline.orchestration.instance import open_instance
from kf2v_pipeline.orchestration.names import Names
from kf2v_pipeline.orchestration.told import DATA_VERSION

VIDEO = dg.AssetKey("video")
BATCHES = (Names(prefix="day"), Names(prefix="night"))


def run_op(instance: dg.DagsterInstance, work: Callable[[dg.OpExecutionContext], None]) -> dg.DagsterRun:
    """Lets a run do something in an op."""

    @dg.op
    def op(context) -> None:  # type: ignore[no-untyped-def]  # Dagster can not read an annotation that is a string
        work(context)

    @dg.job
    def job() -> None:
        op()

    return job.execute_in_process(instance=instance).dagster_run


def open_files(context: dg.OpExecutionContext) -> list[str]:
    """The files of the event log that somebody has open: SQLite keeps a log beside each."""
    logs = Path(context.instance.event_log_storage.path_for_shard("index")).parent  # type: ignore[attr-defined]
    return sorted(path.name.removesuffix("-wal") for path in logs.glob("*-wal"))


def ask_index(instance: dg.DagsterInstance, statement: str, *values: str) -> list[tuple[str, ...]]:
    """What the file says in which Dagster keeps what concerns assets."""
    path = instance.event_log_storage.path_for_shard("index")  # type: ignore[attr-defined]  # a file's
    with closing(sqlite3.connect(path)) as file, file:
        return file.execute(statement, values).fetchall()


def test_the_files_of_a_runs_events_stay_open_while_it_drives(tmp_path: Path) -> None:
    found: dict[str, list[str]] = {}

    def work(context: dg.OpExecutionContext) -> None:
        def tell(name: str) -> None:
            context.log_event(dg.AssetMaterialization(name))
            found[name] = open_files(context)

        tell("before")
        with event_log_at_hand(context.instance, context.run_id):
            tell("meanwhile")
        tell("afterwards")

    with open_instance(tmp_path) as instance:
        run = run_op(instance, work)
    assert found == {"before": [], "meanwhile": sorted(["index.db", f"{run.run_id}.db"]), "afterwards": []}


def test_dagster_may_name_the_run_whose_events_it_asks_for(tmp_path: Path) -> None:
    """Its storages do so in places, such as where a record is read or changed by its number."""
    found = []

    def work(context: dg.OpExecutionContext) -> None:
        with event_log_at_hand(context.instance, context.run_id):
            found.append(context.instance.event_log_storage.get_event_log_table_data(context.run_id, 1))  # type: ignore[attr-defined]

    with open_instance(tmp_path) as instance:
        run = run_op(instance, work)
    assert [row.run_id for row in found] == [run.run_id]


def test_what_is_told_meanwhile_is_there_for_others_at_once(tmp_path: Path) -> None:
    seen: list[tuple[str, ...]] = []

    def work(context: dg.OpExecutionContext) -> None:
        with open_instance(tmp_path) as other, event_log_at_hand(context.instance, context.run_id):
            for clip_id in ("fox", "owl"):
                event = dg.AssetMaterialization(VIDEO, partition=clip_id, tags={DATA_VERSION: clip_id})
                context.log_event(event)
                asset_events = other.fetch_materializations(VIDEO, limit=5).records
                run_events = other.all_logs(context.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
                assert len(asset_events) == len(run_events)
                seen.append(tuple(str(record.partition_key) for record in asset_events))

    with open_instance(tmp_path) as instance:
        run_op(instance, work)
        newest = instance.fetch_materializations(VIDEO, limit=1).records[0].asset_materialization
        assert newest is not None
        assert newest.tags == {DATA_VERSION: "owl"}
    assert seen == [("fox",), ("owl", "fox")]


def test_events_that_are_written_together_are_there_for_others_when_all_are(tmp_path: Path) -> None:
    seen: list[tuple[str, ...]] = []

    def work(context: dg.OpExecutionContext) -> None:
        def look() -> None:
            asset_events = other.fetch_materializations(VIDEO, limit=5).records
            run_events = other.all_logs(context.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
            assert len(asset_events) == len(run_events)
            seen.append(tuple(str(record.partition_key) for record in asset_events))

        with (
            open_instance(tmp_path) as other,
            event_log_at_hand(context.instance, context.run_id) as together,
        ):
            with together():
                for clip_id in ("fox", "owl"):
                    context.log_event(dg.AssetMaterialization(VIDEO, partition=clip_id))
                    look()
            look()
            context.log_event(dg.AssetMaterialization(VIDEO, partition="elk"))
            look()

    with open_instance(tmp_path) as instance:
        assert run_op(instance, work).is_success
    assert seen == [(), (), ("owl", "fox"), ("elk", "owl", "fox")]


def test_an_error_among_events_that_are_written_together_leaves_none_of_them(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance:

        def work(context: dg.OpExecutionContext) -> None:
            with event_log_at_hand(context.instance, context.run_id) as together:
                with suppress(ZeroDivisionError), together():
                    context.log_event(dg.AssetMaterialization(VIDEO, partition="fox"))
                    raise ZeroDivisionError
                context.log_event(dg.AssetMaterialization(VIDEO, partition="owl"))

        run = run_op(instance, work)
        assert run.is_success
        told = instance.fetch_materializations(VIDEO, limit=5).records
        assert [record.partition_key for record in told] == ["owl"]
        assert instance.get_asset_records([VIDEO])[0].asset_entry.last_materialization_record == told[0]
        assert len(instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)) == 1


def test_another_thread_has_no_part_in_what_is_written_together(tmp_path: Path) -> None:
    seen = []
    with open_instance(tmp_path) as instance:

        def work(context: dg.OpExecutionContext) -> None:
            def look() -> None:
                seen.append(len(context.instance.fetch_materializations(VIDEO, limit=5).records))

            with event_log_at_hand(context.instance, context.run_id) as together, together():
                context.log_event(dg.AssetMaterialization(VIDEO, partition="fox"))
                look()
                other = Thread(target=look)
                other.start()
                other.join()

        assert run_op(instance, work).is_success
    assert seen == [1, 0]


@pytest.mark.parametrize("kinds", ["mm", "mo", "om", "mom", "omo", "pmo", "mpo", "mop"])
def test_what_dagster_keeps_of_an_asset_is_the_last_that_was_written_together(tmp_path: Path, kinds: str) -> None:
    """Its own rows are compared: which event it shows as the newest, and when the asset was last heard of."""

    def work(context: dg.OpExecutionContext) -> None:
        with event_log_at_hand(context.instance, context.run_id) as together, together():
            for number, kind in enumerate(kinds):
                for names in BATCHES:
                    if kind == "p":
                        report_planned(context, names, str(number))
                    else:
                        event = dg.AssetMaterialization if kind == "m" else dg.AssetObservation
                        context.log_event(event(names.video, partition=str(number)))

    with open_instance(tmp_path) as instance:
        run = run_op(instance, work)
        logs = [entry for entry in instance.all_logs(run.run_id) if entry.is_dagster_event]
        for key in (names.video for names in BATCHES):
            entry = instance.get_asset_records([key])[0].asset_entry
            shown = entry.last_materialization_record
            assert shown is not None
            assert shown == instance.fetch_materializations(key, limit=1).records[0]
            assert shown.partition_key == str(kinds.rindex("m"))
            assert entry.last_run_id == run.run_id
            heard_at = max(log.timestamp for log in logs if log.get_dagster_event().asset_key == key)
            ((kept,),) = ask_index(
                instance, "SELECT last_materialization_timestamp FROM asset_keys WHERE asset_key = ?", key.to_string()
            )
            kept_at = datetime.fromisoformat(kept).replace(tzinfo=timezone.utc)
            assert kept_at.timestamp() == pytest.approx(heard_at, abs=1e-5)


def test_an_assets_row_is_written_once_for_all_events_that_are_written_together(tmp_path: Path) -> None:
    """At each event Dagster packs it a second time for that row: together they cost less than half since it is one."""
    written: list[str] = []

    def work(context: dg.OpExecutionContext) -> None:
        with event_log_at_hand(context.instance, context.run_id) as together:
            context.log_event(dg.AssetMaterialization(VIDEO, partition="elk"))
            with sent_statements() as statements, together():
                for number in range(10):
                    context.log_event(dg.AssetMaterialization(VIDEO, partition=f"fox-{number}"))
            written.extend(statement for statement in statements if "asset_keys" in statement)

    with open_instance(tmp_path) as instance:
        assert run_op(instance, work).is_success
    assert [statement.split()[0] for statement in written] == ["INSERT", "UPDATE"]


def test_where_the_assets_row_can_not_be_written_nothing_of_what_is_written_together_is_there(tmp_path: Path) -> None:
    full = "CREATE TRIGGER full BEFORE UPDATE ON asset_keys BEGIN SELECT RAISE(ABORT, 'disk is full'); END"

    with open_instance(tmp_path) as instance:

        def work(context: dg.OpExecutionContext) -> None:
            context.log_event(dg.AssetMaterialization(VIDEO, partition="elk"))
            with event_log_at_hand(context.instance, context.run_id) as together:
                ask_index(instance, full)
                with pytest.raises(sa.exc.DatabaseError, match="disk is full"), together():
                    context.log_event(dg.AssetMaterialization(VIDEO, partition="fox"))
                ask_index(instance, "DROP TRIGGER full")
                with together():
                    context.log_event(dg.AssetMaterialization(VIDEO, partition="owl"))

        run = run_op(instance, work)
        told = instance.fetch_materializations(VIDEO, limit=5).records
        assert [record.partition_key for record in told] == ["owl", "elk"]
        assert len(instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)) == 2


def test_an_error_among_events_that_are_written_together_leaves_what_was_kept_of_the_asset(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance:

        def work(context: dg.OpExecutionContext) -> None:
            context.log_event(dg.AssetMaterialization(VIDEO, partition="fox"))
            with event_log_at_hand(context.instance, context.run_id) as together:
                with suppress(ZeroDivisionError), together():
                    context.log_event(dg.AssetMaterialization(VIDEO, partition="owl"))
                    raise ZeroDivisionError
                with together():
                    context.log_event(dg.AssetObservation(VIDEO, partition="elk"))

        assert run_op(instance, work).is_success
        shown = instance.get_asset_records([VIDEO])[0].asset_entry.last_materialization_record
        assert shown is not None
        assert shown.partition_key == "fox"


def test_events_of_other_runs_are_read_as_ever_meanwhile(tmp_path: Path) -> None:
    found: list[int] = []

    with open_instance(tmp_path) as instance:
        earlier = run_op(instance, lambda context: context.log_event(dg.AssetMaterialization(VIDEO)))

        def work(context: dg.OpExecutionContext) -> None:
            with event_log_at_hand(context.instance, context.run_id):
                materialized = dg.DagsterEventType.ASSET_MATERIALIZATION
                found.append(len(context.instance.all_logs(earlier.run_id, of_type=materialized)))

        run_op(instance, work)
    assert found == [1]


def test_at_hand_within_at_hand_is_at_hand_until_the_outer_one_ends(tmp_path: Path) -> None:
    found: list[int] = []

    def work(context: dg.OpExecutionContext) -> None:
        with event_log_at_hand(context.instance, context.run_id):
            with event_log_at_hand(context.instance, context.run_id):
                context.log_event(dg.AssetMaterialization(VIDEO))
            found.append(len(open_files(context)))
        found.append(len(open_files(context)))

    with open_instance(tmp_path) as instance:
        run_op(instance, work)
    assert found == [2, 0]


def test_an_error_meanwhile_leaves_the_event_log_as_it_was(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance:

        def fail(context: dg.OpExecutionContext) -> None:
            with event_log_at_hand(context.instance, context.run_id):
                context.log_event(dg.AssetMaterialization(VIDEO))
                raise ZeroDivisionError

        def work(context: dg.OpExecutionContext) -> None:
            with pytest.raises(ZeroDivisionError):
                fail(context)
            assert open_files(context) == []

        assert run_op(instance, work).is_success


def test_an_event_log_in_memory_is_left_alone() -> None:
    with dg.DagsterInstance.ephemeral() as instance:

        def work(context: dg.OpExecutionContext) -> None:
            with event_log_at_hand(context.instance, context.run_id) as together, together():
                context.log_event(dg.AssetMaterialization(VIDEO))

        run_op(instance, work)
        assert len(instance.fetch_materializations(VIDEO, limit=5).records) == 1
