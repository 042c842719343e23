from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.domain.clip import CLIP_ID, Clip, Frame


def make_frame(letter: str, **changes: Any) -> Frame:
    values = {
        "location": f"/frames/{letter}.png",
        "sha256": letter * 64,
        "width": 1280,
        "height": 720,
        "size_bytes": 1000,
        "format": "PNG",
    }
    return Frame(**values | changes)


CLIP = Clip(
    clip_id="cat",
    row=1,
    service="singapore",
    model="wan2.2-kf2v-flash",
    resolution="720P",
    first_frame=make_frame("a"),
    last_frame=make_frame("b"),
    prompt="A cat wakes up.",
    negative_prompt="dogs",
    seed=7,
    prompt_extend=True,
    watermark=False,
    carried={"scene": "kitchen", "take": 3, "tags": ["x", None, 1.5]},
)

COUNTS = {
    "service": "beijing",
    "model": "wanx2.1-kf2v-plus",
    "resolution": "480P",
    "first_frame": make_frame("c"),
    "last_frame": make_frame("c"),
    "prompt": "A cat falls asleep.",
    "negative_prompt": None,
    "seed": None,
    "prompt_extend": False,
    "watermark": True,
    "template": "hufu-1",
    "duration_s": 10,
}
DOES_NOT_COUNT = {"clip_id": "dog", "row": 9, "carried": {}, "aspect": "9:16", "fit": "pad"}


@pytest.mark.parametrize("field", COUNTS)
def test_what_changes_the_bill_or_the_picture_changes_the_fingerprint(field: str) -> None:
    assert CLIP.evolve(**{field: COUNTS[field]}).fingerprint != CLIP.fingerprint


@pytest.mark.parametrize("field", DOES_NOT_COUNT)
def test_what_changes_neither_bill_nor_picture_keeps_the_fingerprint(field: str) -> None:
    assert CLIP.evolve(**{field: DOES_NOT_COUNT[field]}).fingerprint == CLIP.fingerprint


def test_each_field_is_said_to_count_or_not_to_count() -> None:
    assert COUNTS.keys() | DOES_NOT_COUNT.keys() == CLIP.to_record().keys()


def test_a_length_of_five_seconds_is_what_clips_had_before_there_was_a_choice() -> None:
    assert CLIP.evolve(duration_s=5).fingerprint == CLIP.fingerprint


def test_a_fixed_frame_is_another_picture_than_its_file() -> None:
    fixed = make_frame("a", fix="flattened on white")
    assert CLIP.evolve(first_frame=fixed).fingerprint != CLIP.fingerprint


def test_how_a_frame_is_fixed_is_only_told_to_people() -> None:
    """The words name the encoder's outcome, which changes with its version; a new recipe counts a number on."""
    one, other = make_frame("a", fix="saved as PNG"), make_frame("a", fix="saved as JPEG", size_bytes=7)
    assert CLIP.evolve(first_frame=one).fingerprint == CLIP.evolve(first_frame=other).fingerprint


def test_the_fingerprint_of_a_fixed_frame_stays_the_same_for_ever() -> None:
    """Pinned, as that of a plain one is below."""
    fixed = make_frame("a", fix="flattened on white")
    assert (
        CLIP.evolve(first_frame=fixed).fingerprint == "e964ee9427f819e9d4ad116aa690ef87f22bef4c19af733676fbcca03ac26cea"
    )


def test_a_sealed_frame_shows_nothing_of_what_signs_its_address() -> None:
    frame = make_frame("a", location="https://user:s3cret@host/a.png?Signature=s3cret")
    sealed = frame.seal()
    assert (sealed.location, sealed.sealed, sealed.sha256) == ("https://host/a.png", True, frame.sha256)
    assert CLIP.evolve(first_frame=sealed).fingerprint == CLIP.evolve(first_frame=frame).fingerprint


@pytest.mark.parametrize("location", ["/frames/a b?.png", "s3://bucket/a.png", "https://host/a.png"])
def test_an_address_that_hides_nothing_is_kept_as_it_is(location: str) -> None:
    frame = make_frame("a", location=location)
    assert frame.seal() is frame


def test_a_record_of_an_older_version_is_read() -> None:
    record = CLIP.to_record()
    del (
        record["duration_s"],
        record["aspect"],
        record["fit"],
        record["first_frame"]["fix"],
        record["first_frame"]["sealed"],
    )
    assert Clip.from_record(record) == CLIP


def test_a_clip_with_a_kept_fingerprint_finds_its_own_once_it_is_changed() -> None:
    clip = Clip.from_record(CLIP.to_record(), fingerprint="kept")
    assert clip.fingerprint == "kept"
    assert clip == CLIP
    assert clip.to_record() == CLIP.to_record()
    assert clip.evolve(seed=CLIP.seed).fingerprint == CLIP.fingerprint


def test_a_clip_that_any_lane_may_make_has_one_fingerprint_whichever_takes_it() -> None:
    clip = CLIP.evolve(service="auto", model="auto", lanes=("a/x", "b/y"))
    taken = clip.in_lane("http://host/api/v1/y")
    assert (taken.service, taken.model, taken.lane) == ("http://host/api/v1", "y", "http://host/api/v1/y")
    assert {taken.fingerprint, clip.evolve(lanes=("c/z",)).fingerprint} == {clip.fingerprint}
    assert clip.fingerprint != CLIP.fingerprint
    assert Clip.from_record(json.loads(json.dumps(taken.to_record()))) == taken


def test_a_clip_whose_author_chose_its_lane_stays_there() -> None:
    assert CLIP.in_lane("b/y") is CLIP
    assert "lanes" not in CLIP.to_record()


def test_of_a_frame_only_its_bytes_count() -> None:
    moved = make_frame("a", location="s3://bucket/elsewhere.png", width=1, height=1, size_bytes=1, format="JPEG")
    assert CLIP.evolve(first_frame=moved).fingerprint == CLIP.fingerprint


def test_exchanged_frames_are_another_video() -> None:
    exchanged = CLIP.evolve(first_frame=CLIP.last_frame, last_frame=CLIP.first_frame)
    assert exchanged.fingerprint != CLIP.fingerprint


def test_no_prompt_and_an_empty_prompt_are_told_apart() -> None:
    assert CLIP.evolve(prompt=None).fingerprint != CLIP.evolve(prompt="").fingerprint


def test_the_fingerprint_stays_the_same_for_ever() -> None:
    """Pinned: a release that changed it would pay for every stored clip once more."""
    assert CLIP.fingerprint == "9181200577000bfd49dc6bd1fc90150c3835a22f1ed5b8b37fc9402a5e1c71e2"


@given(prompt=st.none() | st.text(), negative_prompt=st.none() | st.text(), seed=st.none() | st.integers())
def test_clips_with_other_words_never_share_a_fingerprint(
    prompt: str | None, negative_prompt: str | None, seed: int | None
) -> None:
    other = CLIP.evolve(prompt=prompt, negative_prompt=negative_prompt, seed=seed)
    same = (prompt, negative_prompt, seed) == (CLIP.prompt, CLIP.negative_prompt, CLIP.seed)
    assert (other.fingerprint == CLIP.fingerprint) is same


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(prompt=st.none() | st.text(), carried=st.dictionaries(st.text(), JSON_VALUES, max_size=4))
def test_a_clip_comes_back_from_its_record_as_it_was(prompt: str | None, carried: dict[str, Any]) -> None:
    clip = CLIP.evolve(prompt=prompt, carried=carried)
    assert Clip.from_record(json.loads(json.dumps(clip.to_record()))) == clip


def test_a_clip_with_a_template_comes_back_without_a_last_frame() -> None:
    clip = CLIP.evolve(last_frame=None, template="hufu-1")
    assert Clip.from_record(json.loads(json.dumps(clip.to_record()))) == clip


def test_a_record_does_not_share_the_carried_columns_with_its_clip() -> None:
    CLIP.to_record()["carried"]["scene"] = "garden"
    assert CLIP.carried["scene"] == "kitchen"


def test_a_lane_is_a_service_and_a_model() -> None:
    assert CLIP.lane == "singapore/wan2.2-kf2v-flash"


@given(st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=128))
def test_a_clip_id_begins_with_a_letter_or_a_digit(clip_id: str) -> None:
    assert bool(CLIP_ID.fullmatch(clip_id)) is clip_id[0].isalnum()


@pytest.mark.parametrize("clip_id", ["", "a/b", "../a", ".hidden", "a b", "ä", "a\n", "a" * 129])
def test_a_clip_id_that_could_leave_its_folder_or_its_row_is_none(clip_id: str) -> None:
    assert not CLIP_ID.fullmatch(clip_id)
