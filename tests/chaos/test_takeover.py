"""Processes that die, stand still, or run beside each other: what the one began, the other ends, and says so."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from chaos.child import TEMPO
from chaos.story import LIFE_S, Story
from scenarios import QUICK
from waiting import wait_for

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.scenario import Scenario
from kf2v_pipeline.media.probe import probe


@pytest.fixture
def story(tmp_path: Path, empty_home: Path) -> Iterator[Story]:
    with LocalServer(tmp_path / "server", scenario=Scenario(**QUICK)) as server:
        yield Story(tmp_path, server, empty_home)


def test_a_new_video_of_a_changed_row_is_told_to_dagster_by_the_next_run_if_the_first_dies_before(story: Story) -> None:
    story.want(1)
    assert story.live()
    story.want(0, "Another film of {}.")

    assert not story.live("before_dagster_event")
    assert story.live()

    fingerprints = [attempt.fingerprint for attempt in story.attempts(State.STORED)]
    assert story.materializations() == [("clip-000", fingerprint) for fingerprint in reversed(fingerprints)]


def test_a_run_of_the_sensors_tells_what_the_dead_one_could_not_tell_any_more(story: Story) -> None:
    story.want(2)

    assert not story.live("before_dagster_event")
    assert story.live(only_missing=True)

    assert story.verdict().once


def test_a_process_that_stood_still_before_its_create_sends_nothing_once_another_took_over(story: Story) -> None:
    """A suspended machine wakes up: its claim is another's, and its intent was taken for a lost reply."""
    story.want(1)
    tempo = replace(TEMPO, heartbeat_every=timedelta(seconds=1), stale_after=timedelta(seconds=6))
    frozen = story.begin("after_intent", freezes=True, tempo=tempo)
    wait_for("the frozen process has prepared an attempt", lambda: story.attempts(State.PREPARED), within_s=LIFE_S)

    assert story.live(tempo=tempo)
    os.kill(frozen.pid, signal.SIGCONT)
    assert story.end(frozen)

    assert story.verdict().once


def test_a_video_whose_row_changed_after_its_run_died_is_stored_and_the_partition_tells_of_the_new_one(
    story: Story,
) -> None:
    story.want(1)
    assert not story.live("after_record")
    story.want(0, "Another film of {}.")

    assert story.live()

    before, after = story.attempts(State.STORED)
    assert story.materializations() == [("clip-000", after.fingerprint)]
    assert (before.prompt, after.prompt) == ("Film of clip-000.", "Another film of clip-000.")
    for attempt in (before, after):
        path = story.folder / "out" / str(attempt.video_path)
        assert probe(path).frames == 150
        assert path.with_suffix(".json").exists()


def test_two_processes_over_one_manifest_make_one_task_and_one_video_per_clip(story: Story) -> None:
    story.want(4)

    lives = [story.begin(), story.begin()]

    assert [story.end(life) for life in lives] == [True, True]
    verdict = story.verdict()
    assert (verdict.billed, verdict.duplicates, verdict.lost, verdict.orphans, verdict.rows) == (4, 0, 0, 0, 4)
    assert set(Counter(clip_id for clip_id, _ in story.materializations())) == set(story.clip_ids)
