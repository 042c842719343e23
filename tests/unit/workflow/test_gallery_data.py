"""What the gallery's page is told of its clips: as little as says all, and nothing that could be taken for a script."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.storage.layout import last_frame_path, loop_path
from kf2v_pipeline.storage.tables import VIDEOS_SCHEMA
from kf2v_pipeline.workflow.gallery_data import chunk_script, clip_record, script_text

FINGERPRINT = "0123456789abcdef" * 4


def a_row(clip_id: str = "a", **values: Any) -> dict[str, Any]:
    row = dict.fromkeys(VIDEOS_SCHEMA.names)
    return {**row, "clip_id": clip_id, "status": "planned", "fingerprint": FINGERPRINT, **values}


def clips_in(script: str) -> list[dict[str, Any]]:
    data = json.loads(script.removeprefix("kf2v(").removesuffix(");\n"))
    return [{**data["same"], **dict(zip(data["keys"], row, strict=True))} for row in data["rows"]]


def test_what_says_nothing_is_left_out() -> None:
    assert set(clip_record(a_row(), set())) == {"clip_id", "status", "fingerprint", "pictures"}


def test_the_folders_of_the_machine_that_made_the_page_stay_out_of_it() -> None:
    record = clip_record(a_row(first_frame_path="/home/somebody/a.png", last_frame_path="C:\\somebody\\b.png"), set())
    assert (record["first_frame"], record["last_frame"]) == ("a.png", "b.png")
    assert "somebody" not in str(record)


def test_a_column_of_the_manifest_is_told_apart_and_a_title_is_the_headline() -> None:
    record = clip_record(a_row(title="Dawn", scene="Act 2", takes=[1, 2], quality_of_light="soft"), set())
    assert record["title"] == "Dawn"
    assert record["more"] == {"scene": "Act 2", "takes": "[1, 2]", "quality_of_light": "soft"}


def test_measurements_flaws_and_cuts_are_told_where_a_row_has_them() -> None:
    row = a_row(flaws="", quality_flicker=0.5, quality_cuts=None, cut_path="videos/a/x.mp4", aspect="9:16")
    record = clip_record(row, set())
    assert record["quality"] == {"flicker": 0.5}
    assert (record["flaws"], record["cut_path"], record["aspect"]) == ("", "videos/a/x.mp4", "9:16")


def test_each_small_picture_that_is_there_is_one_bit() -> None:
    there = {loop_path("a", FINGERPRINT), last_frame_path("a", FINGERPRINT)}
    assert clip_record(a_row(), there)["pictures"] == 0b10100


def test_what_all_clips_of_a_file_share_is_told_once() -> None:
    script = chunk_script([a_row(f"clip-{number}", model="wan2.2-kf2v-flash") for number in range(50)], set())
    assert script.count("wan2.2-kf2v-flash") == 1
    assert script.count(FINGERPRINT) == 1


def test_a_value_of_another_type_is_not_the_same_value() -> None:
    script = chunk_script([a_row("a", seed=1), a_row("b", seed=True), a_row("c", seed=1)], set())
    assert [clip["seed"] for clip in clips_in(script)] == [1, True, 1]


_texts = st.text(max_size=20) | st.sampled_from(
    ["</script>", "<!--<script>", "]]>", "\u2028", "a\ud83d", "');alert(1);//"]
)
_values = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | _texts
_rows = st.lists(st.dictionaries(st.sampled_from(["prompt", "seed", "cost", "note", "title"]), _values), max_size=4)


@given(_rows)
def test_every_value_comes_back_as_it_was_or_as_nothing(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    full = [a_row(str(number), **row) for number, row in enumerate(rows)]
    for row, clip in zip(full, clips_in(chunk_script(full, set())), strict=True):
        record = json.loads(script_text(clip_record(row, set())))
        assert {name: value for name, value in clip.items() if value is not None} == record


@given(_texts)
def test_no_text_ends_the_script_that_carries_it(text: str) -> None:
    script = script_text({text: text})
    assert not set("<>&\u2028\u2029") & set(script)
    script.encode()


def test_an_instant_is_iso_8601() -> None:
    noon = datetime(2026, 9, 1, 12, tzinfo=timezone.utc)
    assert clip_record(a_row(stored_at=noon), set())["stored_at"] == "2026-09-01T12:00:00+00:00"
