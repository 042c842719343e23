"""What Dagster's UI shows of clips: prompts as a readable change, tables, amounts."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.attempt import Attempt, Remedy, State
from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.domain.price import Money
from kf2v_pipeline.orchestration.events import what_to_do
from kf2v_pipeline.orchestration.metadata import (
    CELL_CHARS,
    THIN_SPACE,
    amounts,
    clip_metadata,
    cost_table,
    table,
    video_metadata,
)
from kf2v_pipeline.storage.layout import strip_path
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.workflow.project import utc_now

FRAME = Frame(location="/frames/1.png", sha256="0" * 64, width=640, height=360, size_bytes=9, format="PNG")
WORDS = st.lists(st.text("abä.,走跑", min_size=1, max_size=4), min_size=1, max_size=8).map(" ".join)


def clip(**changes: Any) -> Clip:
    values = {"clip_id": "a", "row": 1, "service": "local", "model": "wan2.2-kf2v-flash", "resolution": "480P"}
    return Clip(**{**values, "first_frame": FRAME, "last_frame": FRAME, "prompt": "A slow pan", **changes})


def attempt(**changes: Any) -> Attempt:
    values: dict[str, Any] = {"attempt_id": "1", "clip_id": "a", "fingerprint": "f", "number": 1, "service": "local"}
    values |= {"model": "m", "lane": "local/m", "owner": "o", "prompt": "A slow pan", "prepared_at": utc_now()}
    return Attempt(**{**values, **changes})


def text_of(value: Any) -> str:
    return str(value.value) if isinstance(value, dg.MetadataValue) else str(value)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("A slow pan", "A quick pan at night", "A ~~slow~~_**quick** pan **at night**"),
        ("A slow pan", "A pan", "A ~~slow~~_pan"),
        ("A pan. Rain falls", "A pan, rain falls", "A pan_~~. Rain~~_**, rain** falls"),
        ("A pan.", "A pan", "A pan_~~.~~"),
        ("镜头缓慢推近灯塔", "镜头快速推近灯塔，下雨", "镜头_~~缓慢~~_**快速**_推近灯塔_**，下雨**"),
        ("A slow pan", "Nothing of it", "~~A slow pan~~_**Nothing of it**"),
    ],
)
def test_a_changed_prompt_shows_what_came_in_bold_and_what_went_struck_through(
    before: str, after: str, expected: str
) -> None:
    """``_`` stands for the thin space without which Markdown sees no mark."""
    shown = clip_metadata(clip(prompt=after), clip(prompt=before))["prompt"]
    assert text_of(shown).replace(THIN_SPACE, "_") == expected


def test_a_prompt_can_mean_no_markdown_of_its_own() -> None:
    shown = clip_metadata(clip(prompt="*two* <b>cats"), clip(prompt="one"))["prompt"]
    assert text_of(shown) == rf"~~one~~{THIN_SPACE}**\*two\* \<b\>cats**"


@given(WORDS, WORDS)
def test_without_the_marks_a_change_reads_as_the_new_prompt(before: str, after: str) -> None:
    shown = text_of(clip_metadata(clip(prompt=after), clip(prompt=before))["prompt"])
    kept = [part for position, part in enumerate(shown.split("~~")) if position % 2 == 0]
    assert "".join(kept).replace("**", "").replace(THIN_SPACE, "") == after


def test_a_video_without_a_strip_shows_everything_else(tmp_path: Path) -> None:
    stored = attempt(state=State.STORED, video_path="videos/a/f.mp4", cost=Decimal("0.5"), currency="CNY")
    shown = video_metadata(clip(), stored, Store.open(str(tmp_path)), None)
    assert "film" not in shown
    assert shown["cost"] == 0.5
    assert text_of(shown["path"]) == f"{tmp_path}/videos/a/f.mp4"
    assert text_of(shown["gallery"]) == f"file://{tmp_path}/gallery/index.html#a"


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ("{0}/my videos", dg.PathMetadataValue("file://{0}/my%20videos/gallery/index.html#a")),
        ("memory://videos", dg.PathMetadataValue("memory://videos/gallery/index.html#a")),
        ("https://host/videos", dg.UrlMetadataValue("https://host/videos/gallery/index.html#a")),
    ],
)
def test_the_way_to_the_gallery_is_a_link_only_where_a_browser_follows_it_from_dagsters_page(
    storage: str, expected: dg.PathMetadataValue | dg.UrlMetadataValue, tmp_path: Path
) -> None:
    """Browsers open no ``file://`` and no ``s3://`` from there; what is no link has a button to copy it."""
    store = Store.open(storage.format(tmp_path))
    shown = video_metadata(clip(), attempt(state=State.STORED, video_path="videos/a/f.mp4"), store, None)
    assert shown["gallery"] == type(expected)(str(expected.value).format(tmp_path))


@pytest.mark.parametrize("content", [b"", bytes(9), b"\xff\xd8\xff\xe0 half a picture"])
def test_a_strip_that_a_power_cut_left_broken_is_left_out(tmp_path: Path, content: bytes) -> None:
    store = Store.open(str(tmp_path))
    store.write_bytes(strip_path("a", clip().fingerprint), content)
    shown = video_metadata(clip(), attempt(state=State.STORED, video_path="videos/a/f.mp4"), store, None)
    assert "film" not in shown


def test_costs_are_added_up_by_model_and_never_across_currencies() -> None:
    bills = [("m", Money(amount=Decimal("0.1"), currency="CNY"))] * 3 + [
        ("m", Money(amount=Decimal(2), currency="USD"))
    ]
    assert [record.data for record in cost_table(bills).records] == [
        {"model": "m", "videos": 3, "cost": "0.3", "currency": "CNY"},
        {"model": "m", "videos": 1, "cost": "2", "currency": "USD"},
    ]
    assert amounts({}) == "nothing"


def test_a_long_text_is_cut_to_what_a_cell_shows() -> None:
    [record] = table([{"prompt": "x" * 500}], ("prompt",)).records
    assert len(str(record.data["prompt"])) == CELL_CHARS


@pytest.mark.parametrize(
    ("state", "remedy", "word"),
    [
        (State.FAILED, Remedy.RETRY, "retry_failed"),
        (State.FAILED, Remedy.PERSON, "Change the row"),
        (State.REFUSED, Remedy.STOP_LANE, "Mend the account"),
        (State.LOST, Remedy.PERSON, "may have been paid"),
    ],
)
def test_what_to_do_fits_what_went_wrong(state: State, remedy: Remedy, word: str) -> None:
    assert word in what_to_do(attempt(state=state, remedy=remedy))
