"""Rows that change or go while their tasks are in flight: what is paid for is collected all the same.

Service and clock are simulated; engine, lanes, policy and ledger are real.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from unit.workflow.simulated_service import MIDNIGHT
from unit.workflow.simulation import Night, make_clip

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.domain.clip import Clip
from kf2v_pipeline.storage import schema
from kf2v_pipeline.storage.layout import video_path
from kf2v_pipeline.workflow.outcome import DriveReport, Verdict


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    """A night whose one clip is in flight when its drive ends."""
    opened = Night(tmp_path, 0, clips=1)
    yield opened
    opened.close()


def want(night: Night, *clips: Clip) -> None:
    """Gives the manifest other rows, while nobody drives."""
    night.clips = list(clips)
    night.ledger.want("manifest.csv", clips, at=night.wan.now())


def states(night: Night) -> dict[str, str]:
    return {attempt.prompt or "": attempt.state.value for attempt in night.ledger.attempts()}


def videos(night: Night) -> dict[str, str]:
    """Prompts of the tasks whose videos are in the storage, by path."""
    prompts = {task.task_id: task.prompt for task in night.wan.tasks}
    paths = (path for path in night.store.sizes("videos") if path.endswith(".mp4"))
    return {path: prompts[night.store.read_bytes(path).decode()] for path in paths}


def test_the_video_of_a_row_that_changed_is_stored_beside_the_new_one_each_under_its_own_fingerprint(
    night: Night,
) -> None:
    night.drive(for_s=3)
    before, after = night.clips[0], make_clip(0, prompt="Another take")
    want(night, after)

    report = night.drive()

    paths = {clip.prompt: video_path(clip.clip_id, clip.fingerprint) for clip in (before, after)}
    assert videos(night) == {path: prompt for prompt, path in paths.items()}
    assert {clip_id: outcome.clip for clip_id, outcome in report.outcomes.items()} == {"c000": after}


def test_the_video_of_a_row_that_went_is_stored_by_a_drive_that_has_no_clips(night: Night) -> None:
    night.drive(for_s=3)
    want(night)

    report = night.drive()

    assert report.outcomes == {}
    assert list(videos(night).values()) == ["Take 0"]


def test_a_row_that_is_put_back_once_the_video_was_collected_costs_nothing(night: Night) -> None:
    row = night.clips[0]
    night.drive(for_s=3)
    want(night)
    night.drive()
    want(night, row)

    assert night.drive().outcomes["c000"].verdict is Verdict.ALREADY_STORED
    assert len(night.wan.tasks) == 1


def test_a_person_reads_what_became_of_it(night: Night) -> None:
    night.drive(for_s=3)
    path = video_path("c000", night.clips[0].fingerprint)
    want(night)

    night.drive()

    assert night.notices == [f"Clip c000: its row changed or went; the video that was paid for is {path}."]


@pytest.mark.parametrize("fate", ["fails", "lost before"])
def test_what_no_row_asks_for_is_not_tried_again(fate: str, night: Night) -> None:
    night.wan.script = {"Take 0": [fate]}
    night.drive(for_s=3)
    want(night, make_clip(1))

    night.drive()

    assert night.wan.calls["create"] == 2
    assert states(night) == {"Take 0": "failed" if fate == "fails" else "refused", "Take 1": "stored"}


def test_a_create_whose_reply_was_lost_is_found_although_its_row_went(night: Night) -> None:
    night.wan.script = {"Take 0": ["lost after"]}
    night.drive(for_s=3)
    want(night)

    night.drive()

    assert states(night) == {"Take 0": "stored"}


def test_its_place_in_the_quota_is_free_once_it_ends(tmp_path: Path) -> None:
    """Both of the lane's places and the one in the queue are held by rows that went."""
    night = Night(tmp_path, 0, clips=3)
    night.drive(for_s=3)
    want(night, make_clip(3))

    night.drive(for_s=1200)

    assert states(night) == {f"Take {number}": "stored" for number in range(4)}
    night.close()


def test_a_drive_that_is_cut_off_leaves_it_to_the_next_one(night: Night) -> None:
    night.drive(for_s=3)
    want(night)

    night.drive(for_s=1)
    assert states(night) == {"Take 0": "submitted"}
    night.drive()

    assert states(night) == {"Take 0": "stored"}


def test_a_row_that_changes_again_and_again_loses_nothing(night: Night) -> None:
    takes = [make_clip(0, prompt=f"Take {number}") for number in range(4)]
    for take in takes:
        want(night, take)
        night.drive(for_s=3)

    night.drive()

    assert sorted(videos(night).values()) == [take.prompt for take in takes]


def test_only_the_manifest_that_named_the_clip_last_collects_what_is_left_of_it(night: Night) -> None:
    """Another manifest may have another storage."""
    night.drive(for_s=3)
    want(night)
    night.ledger.want("other.csv", [make_clip(0, prompt="Of another manifest")], at=night.wan.now())

    night.drive()

    assert states(night) == {"Take 0": "submitted"}


def test_an_attempt_from_before_clips_were_kept_with_attempts_stays_as_it_is(night: Night) -> None:
    night.drive(for_s=3)
    with night.ledger._write() as connection:
        connection.execute(sa.delete(schema.attempt_clip))
    want(night)

    report: DriveReport = night.drive()

    assert (report.outcomes, states(night)) == ({}, {"Take 0": "submitted"})


def test_tasks_that_nobody_looks_at_hold_no_place_in_the_quota_for_long(tmp_path: Path) -> None:
    night = Night(tmp_path, 0, clips=3)
    night.drive(for_s=3)
    night.ledger.want("manifest.csv", [make_clip(number) for number in range(4)], at=MIDNIGHT + timedelta(seconds=3))
    night.clips = [make_clip(3)]

    report = night.drive(for_s=1800)

    assert report.of(Verdict.STORED)
    assert {attempt.state for attempt in night.ledger.attempts()} == {State.SUBMITTED, State.STORED}
    night.close()


@pytest.mark.parametrize("fate", ["fine", "fails"])
def test_the_old_video_is_stored_although_the_new_row_is_decided_already(fate: str, night: Night) -> None:
    night.drive(for_s=3)
    night.wan.unreadable = {"task-0"}
    night.wan.script = {"Another take": [fate] * 3}
    want(night, make_clip(0, prompt="Another take"))
    night.drive(for_s=3600)
    night.wan.unreadable = set()

    night.drive()

    assert states(night)["Take 0"] == "stored"
