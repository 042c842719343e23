"""Sidecars: what is written of a stored video is read back as it was, and anything else is refused in words."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.attempt import Attempt, State, fold
from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.storage.sidecar import read_sidecar, write_sidecar

NOON = datetime(2025, 6, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)

CLIP = Clip(
    clip_id="cat",
    row=3,
    service="singapore",
    model="kf2v",
    resolution="480P",
    first_frame=Frame(
        location="https://user:canary@host/a.png?Signature=canary",
        sha256="a" * 64,
        width=640,
        height=360,
        size_bytes=5,
        format="PNG",
    ),
    last_frame=None,
    template="hanfu-1",
    prompt="Eine Küche, 厨房 \ud83d",
    carried={"note": "canary"},
)

STORED = Attempt(
    attempt_id="0f" * 16,
    clip_id="cat",
    fingerprint=CLIP.fingerprint,
    number=2,
    service="singapore",
    model="kf2v",
    lane="singapore/kf2v",
    owner="somebody",
    prompt="Eine Küche, 厨房 ?",
    prepared_at=NOON,
    state=State.STORED,
    reserved=Decimal("0.50"),
    currency="USD",
    cost=Decimal("0.5000"),
    task_id="task",
    request_id="request",
    submitted_at=NOON + timedelta(seconds=1),
    started_at=NOON + timedelta(seconds=2),
    ended_at=NOON + timedelta(seconds=60),
    stored_at=NOON + timedelta(seconds=62),
    actual_prompt="A kitchen.",
    video_source="https://host/video.mp4",
    video_path="videos/cat/0123456789ab.mp4",
    sha256="b" * 64,
    size_bytes=1_000_000,
    width=832,
    height=464,
    fps=30.0,
    frames=150,
    duration_s=5.0,
    codec="h264",
)


def folded(content: bytes) -> Attempt:
    attempt, facts = read_sidecar(content)
    return reduce(fold, facts, attempt)


def changed(**values: Any) -> bytes:
    """The sidecar with some values changed: ``changed(video__size_bytes="many")``."""
    document = json.loads(write_sidecar(CLIP, STORED))
    for path, value in values.items():
        *sections, name = path.split("__")
        reduce(lambda part, section: part[section], sections, document)[name] = value
    return json.dumps(document).encode()


def test_what_is_written_of_an_attempt_is_read_back_as_facts_that_make_it_again() -> None:
    attempt, facts = read_sidecar(write_sidecar(CLIP, STORED))
    assert attempt.state is State.PREPARED
    assert [fact.at for fact in facts] == [STORED.submitted_at, STORED.ended_at, STORED.stored_at]
    assert reduce(fold, facts, attempt) == replace(STORED, owner="", reserved=None)


def test_a_flaw_of_the_video_is_kept() -> None:
    flawed = replace(STORED, error_code="VideoDamaged", error_message="It is flawed.", ended_at=None, cost=None)
    assert folded(write_sidecar(CLIP, flawed)) == replace(flawed, owner="", reserved=None)


def test_no_secret_is_written_and_nothing_that_changes_without_a_new_video() -> None:
    text = write_sidecar(CLIP, STORED).decode()
    assert "canary" not in text
    assert json.loads(text)["clip"]["first_frame"]["location"] == "https://host/a.png"
    assert not {"row", "carried"} & set(json.loads(text)["clip"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"schema": 1}',
        b'{"schema": 1, "clip": [], "fingerprint": ""}',
        b"[" * 9999,
    ],
)
def test_what_is_no_sidecar_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="it is no sidecar of a video, or a damaged one"):
        read_sidecar(content)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("clip__clip_id", None),
        ("clip__prompt", 3),
        ("fingerprint", ["a"]),
        ("attempt__number", "two"),
        ("attempt__prepared_at", "2025-06-01T12:00:00"),
        ("task__task_id", None),
        ("video__size_bytes", "many"),
        ("video__sha256", None),
        ("video__fps", "quick"),
    ],
)
def test_a_value_that_can_not_be_read_is_named(path: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"its {path.rpartition('__')[2]} can't be read"):
        read_sidecar(changed(**{path: value}))


@pytest.mark.parametrize(("path", "value"), [("task__cost", "much"), ("video__stored_at", "noon"), ("task", None)])
def test_a_value_without_meaning_makes_it_a_damaged_one(path: str, value: object) -> None:
    with pytest.raises(ValueError, match="a damaged one"):
        read_sidecar(changed(**{path: value}))


def test_a_sidecar_of_a_later_version_asks_for_an_upgrade() -> None:
    with pytest.raises(ValueError, match="it has schema 2, and this version knows 1; upgrade kf2v-pipeline"):
        read_sidecar(changed(schema=2, attempt=None))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PATHS = [
    f"{section}__{name}"
    for section, values in json.loads(write_sidecar(CLIP, STORED)).items()
    if isinstance(values, dict)
    for name in values
]


@given(st.sampled_from(PATHS), JSON)
def test_whatever_a_file_says_it_is_read_or_refused(path: str, value: object) -> None:
    try:
        attempt, facts = read_sidecar(changed(**{path: value}))
    except ValueError:
        return
    assert reduce(fold, facts, attempt).state is State.STORED
