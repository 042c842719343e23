"""The tables as their readers see them: pandas, pyarrow, and a line of JSON per video."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attempts import prepared
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.attempt import Attempt, State
from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.domain.policy import standing
from kf2v_pipeline.domain.problem import Problem
from kf2v_pipeline.errors import StorageError
from kf2v_pipeline.storage.layout import METADATA, REJECTED_TABLE, VIDEOS_TABLE, video_path
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.storage.tables import (
    read_videos_table,
    video_rows,
    write_metadata,
    write_rejected,
    write_videos_table,
)

NOW = datetime(2026, 9, 1, 12, 0, 0, 250_000, tzinfo=timezone.utc)

COLUMNS = (
    "clip_id status video_path file_name task_id request_id service model resolution seed prompt negative_prompt "
    "actual_prompt first_frame_path last_frame_path fingerprint attempt width height fps frames duration_s codec "
    "size_bytes sha256 cost currency submitted_at started_at ended_at stored_at error_code error_message "
    "aspect fit cut_path cut_width cut_height flaws "
    "quality_first_frame_ssim quality_last_frame_ssim quality_swap_margin quality_longest_freeze_s quality_black_s "
    "quality_flashes quality_cuts quality_flicker quality_conformity_flaws"
)


def a_frame(location: str) -> Frame:
    return Frame(location=location, sha256="0" * 64, width=640, height=360, size_bytes=1, format="PNG")


def a_clip(clip_id: str, **options: Any) -> Clip:
    defaults: dict[str, Any] = {
        "row": 1,
        "service": "local",
        "model": "wan2.2-kf2v-flash",
        "resolution": "480P",
        "first_frame": a_frame("/frames/a.png"),
        "last_frame": a_frame("/frames/b.png"),
    }
    return Clip(clip_id=clip_id, **{**defaults, **options})


def an_attempt(clip: Clip, **changes: Any) -> Attempt:
    """A stored attempt, unless the changes say otherwise."""
    attempt = replace(
        prepared(clip, at=NOW),
        state=State.STORED,
        task_id="task-1",
        submitted_at=NOW,
        stored_at=NOW + timedelta(minutes=1),
        video_path=video_path(clip.clip_id, clip.fingerprint),
        cost=Decimal("0.35"),
        currency="CNY",
        width=832,
    )
    return replace(attempt, **changes)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "out"))


def rows_of(store: Store, *clips: Clip, **attempts: Attempt) -> list[dict[str, Any]]:
    return video_rows(store, clips, attempts, standing)


def test_the_columns_are_ours_in_order_and_then_the_manifests(store: Store) -> None:
    clip = a_clip("a", carried={"title": "Dawn", "take": 3})
    write_videos_table(store, rows_of(store, clip))
    assert " ".join(pq.read_schema(BytesIO(store.read_bytes(VIDEOS_TABLE))).names) == f"{COLUMNS} title take"


def test_a_column_without_any_value_keeps_its_type(store: Store) -> None:
    write_videos_table(store, rows_of(store, a_clip("a")))
    schema = pq.read_schema(BytesIO(store.read_bytes(VIDEOS_TABLE)))
    assert schema.field("stored_at").type == pa.timestamp("us", tz="UTC")
    assert schema.field("cost").type == pa.float64()
    assert schema.field("task_id").type == pa.string()


def test_a_stored_clip_shows_its_video_its_cost_and_its_task(store: Store) -> None:
    clip = a_clip("a", prompt="Dawn", seed=7)
    attempt = an_attempt(clip, actual_prompt="Dawn, slowly")
    [row] = rows_of(store, clip, a=attempt)
    assert row["status"] == "stored"
    assert row["video_path"] == f"videos/a/{clip.fingerprint[:12]}.mp4"
    assert row["file_name"] == f"a/{clip.fingerprint[:12]}.mp4"
    assert (row["task_id"], row["attempt"], row["cost"], row["currency"]) == ("task-1", 1, 0.35, "CNY")
    assert (row["prompt"], row["actual_prompt"], row["seed"], row["width"]) == ("Dawn", "Dawn, slowly", 7, 832)


def test_the_status_is_what_policy_says_of_the_newest_attempt(store: Store) -> None:
    clips = [a_clip(name) for name in ("a", "b", "c")]
    attempts = {"a": an_attempt(clips[0]), "b": an_attempt(clips[1], state=State.SUBMITTED)}
    assert [row["status"] for row in video_rows(store, clips, attempts, standing)] == ["stored", "in_flight", "planned"]


def test_what_is_read_is_what_was_written_with_instants_in_utc(store: Store) -> None:
    clip = a_clip("a", carried={"title": "Dawn"})
    rows = rows_of(store, clip, a=an_attempt(clip))
    write_videos_table(store, rows)
    assert read_videos_table(store) == rows
    assert read_videos_table(store)[0]["stored_at"].utcoffset() == timedelta(0)


def test_pandas_reads_instants_with_their_zone_and_money_as_numbers(store: Store) -> None:
    clip = a_clip("a")
    write_videos_table(store, rows_of(store, clip, a_clip("b"), a=an_attempt(clip)))
    table = pd.read_parquet(BytesIO(store.read_bytes(VIDEOS_TABLE)))
    assert str(table["submitted_at"].dt.tz) == "UTC"
    assert table["cost"].sum() == pytest.approx(0.35)


def test_a_manifest_without_good_rows_makes_an_empty_table(store: Store) -> None:
    write_videos_table(store, [])
    assert read_videos_table(store) == []


def test_a_table_that_was_never_written_is_an_error_of_the_storage(store: Store) -> None:
    with pytest.raises(StorageError, match=r"videos\.parquet"):
        read_videos_table(store)


def test_a_carried_column_with_one_of_our_names_is_set_apart(store: Store) -> None:
    [row] = rows_of(store, a_clip("a", carried={"status": "ours?", "Cost": 3, "manifest_status": "x"}))
    assert row["status"] == "planned"
    assert row["cost"] is None
    assert (row["manifest_status"], row["manifest_Cost"]) == ("ours?", 3)
    assert row["manifest_manifest_status"] == "x"


def test_a_carried_column_keeps_the_type_that_all_its_values_share(store: Store) -> None:
    clips = [
        a_clip("a", carried={"take": 1, "rate": 1, "good": True, "note": "x"}),
        a_clip("b", carried={"take": None, "rate": 0.5, "good": False}),
    ]
    write_videos_table(store, rows_of(store, *clips))
    schema = pq.read_schema(BytesIO(store.read_bytes(VIDEOS_TABLE)))
    types = [schema.field(name).type for name in ("take", "rate", "good", "note")]
    assert types == [pa.int64(), pa.float64(), pa.bool_(), pa.string()]


def test_a_carried_column_of_mixed_values_becomes_text(store: Store) -> None:
    carried = [{"note": "seven"}, {"note": 7}, {"note": {"a": [1]}}, {}]
    write_videos_table(store, rows_of(store, *(a_clip(str(at), carried=one) for at, one in enumerate(carried))))
    assert [row["note"] for row in read_videos_table(store)] == ["seven", "7", '{"a": [1]}', None]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text("ab", max_size=2), values, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(st.sampled_from(["x", "status", "Seed"]), _json), max_size=4))
def test_no_carried_value_keeps_a_table_from_being_written(carried: list[dict[str, Any]]) -> None:
    store = Store.open("memory://tables")
    rows = rows_of(store, *(a_clip(f"c{at}", carried=one) for at, one in enumerate(carried)))
    write_videos_table(store, rows)
    assert [row["clip_id"] for row in read_videos_table(store)] == [row["clip_id"] for row in rows]


def test_frames_below_the_storage_are_named_from_there_and_others_without_their_secrets(store: Store) -> None:
    clip = a_clip(
        "a",
        first_frame=a_frame(f"{store.url}/frames/a.png"),
        last_frame=a_frame("https://host/b.png?signature=secret"),
    )
    [row] = rows_of(store, clip)
    assert (row["first_frame_path"], row["last_frame_path"]) == ("frames/a.png", "https://host/b.png")


def test_a_clip_made_by_a_template_has_no_last_frame(store: Store) -> None:
    [row] = rows_of(store, a_clip("a", last_frame=None, template="hanfu-1"))
    assert row["last_frame_path"] is None


def test_the_metadata_names_stored_videos_alone_from_the_folder_that_it_lies_in(store: Store) -> None:
    clip = a_clip("a", prompt='Dawn, "golden"\nand still – 日出')
    write_metadata(store, rows_of(store, clip, a_clip("b"), a=an_attempt(clip)))
    [line] = store.read_bytes(METADATA).decode().splitlines()
    entry = json.loads(line)
    assert next(iter(entry)) == "file_name"
    assert f"videos/{entry['file_name']}" == entry["video_path"]
    assert entry["prompt"] == clip.prompt
    assert entry["submitted_at"] == "2026-09-01T12:00:00.250000+00:00"


def test_there_is_no_metadata_while_nothing_is_stored(store: Store) -> None:
    clip = a_clip("a")
    write_metadata(store, rows_of(store, clip, a=an_attempt(clip)))
    write_metadata(store, rows_of(store, clip))
    assert not store.exists(METADATA)


def test_rejected_rows_are_listed_with_what_mends_them(store: Store) -> None:
    problem = Problem(row=3, clip_id=None, column="clip_id", what="it is empty", fix="give the clip a name")
    write_rejected(store, [problem])
    [row] = pq.read_table(BytesIO(store.read_bytes(REJECTED_TABLE))).to_pylist()
    assert row == {
        "row": 3,
        "clip_id": None,
        "column": "clip_id",
        "what": "it is empty",
        "fix": "give the clip a name",
        "blocking": True,
    }


def test_the_table_of_rejected_rows_is_written_when_there_are_none_too(store: Store) -> None:
    write_rejected(store, [])
    table = pq.read_table(BytesIO(store.read_bytes(REJECTED_TABLE)))
    assert table.num_rows == 0
    assert table.schema.names == ["row", "clip_id", "column", "what", "fix", "blocking"]


def test_a_table_of_rejected_rows_without_any_is_written_without_pandas(tmp_path: Path) -> None:
    """Loading it takes half a second, in each run that reads a manifest."""
    program = """
import sys
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.storage.tables import write_rejected
write_rejected(Store.open(sys.argv[1]), [])
print("pandas" in sys.modules)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"
