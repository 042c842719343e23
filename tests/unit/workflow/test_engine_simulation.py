"""The engine against a simulated service on a simulated clock: whole nights in milliseconds, with seeded faults.

The service, the clock and the collector are simulated; engine, lanes, policy and ledger are real. A failing seed
is part of the test's name and reproduces the night.
"""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from unit.workflow.simulation import Night, make_clip

from kf2v_pipeline.domain.attempt import State
from kf2v_pipeline.domain.policy import MAX_FAILED_TRIES
from kf2v_pipeline.storage import schema
from kf2v_pipeline.workflow.outcome import Outcome, Silence, Verdict


@pytest.mark.parametrize("queues", [True, False], ids=["queueing", "rejecting"])
@pytest.mark.parametrize("seed", range(12))
def test_every_clip_is_stored_once_whatever_goes_wrong(seed: int, queues: bool, tmp_path: Path) -> None:
    night = Night(tmp_path, seed, clips=6, faults=0.15, queues=queues)

    report = night.drive()

    failed = {outcome.clip.clip_id for outcome in report.of(Verdict.FAILED)}
    night.clips = [clip for clip in night.clips if clip.clip_id not in failed]
    assert {outcome.clip.clip_id for outcome in report.of(Verdict.STORED)} == {clip.clip_id for clip in night.clips}
    night.assert_nothing_was_paid_twice_or_lost()
    assert {attempt.state for attempt in night.ledger.attempts()} <= {State.STORED, State.REFUSED, State.FAILED}
    night.close()


@pytest.mark.parametrize("seed", range(8))
def test_drives_that_are_cut_off_again_and_again_end_with_the_same_videos(seed: int, tmp_path: Path) -> None:
    night = Night(tmp_path, seed, clips=5, faults=0.1)
    rng = random.Random(seed)

    for _ in range(200):
        report = night.drive(for_s=rng.uniform(0.1, 60))
        if not report.of(Verdict.LEFT):
            break

    failed = {outcome.clip.clip_id for outcome in report.of(Verdict.FAILED)}
    night.clips = [clip for clip in night.clips if clip.clip_id not in failed]
    night.assert_nothing_was_paid_twice_or_lost()
    night.close()


def test_a_list_that_is_older_than_a_lost_reply_says_nothing_about_it(tmp_path: Path) -> None:
    """While the service takes a minute for each get, a create loses its reply after the list was read."""
    slow = timedelta(seconds=90)
    night = Night(tmp_path, 0, clips=5, get_takes=slow, task_takes=timedelta(seconds=60))
    night.wan.script = {"Take 3": ["lost after"], "Take 4": ["lost after"]}

    night.drive_to_the_end()

    night.assert_nothing_was_paid_twice_or_lost()
    night.close()


def test_a_lost_reply_that_nobody_looked_for_within_a_day_is_given_up_and_not_paid_again(tmp_path: Path) -> None:
    night = Night(tmp_path, 0, clips=1)
    night.wan.script = {"Take 0": ["lost after"]}
    night.drive(for_s=1)
    night.loop.pass_time(timedelta(hours=25))

    report = night.drive()

    assert report.outcomes["c000"].code == "NeverConfirmed"
    assert len(night.wan.tasks) == 1
    night.close()


def test_a_task_of_somebody_else_on_the_account_is_not_taken_for_ours(tmp_path: Path) -> None:
    """Ours never landed; theirs was made in the same seconds."""
    night = Night(tmp_path, 0, clips=1)
    night.wan.script = {"Take 0": ["lost after"]}
    night.drive(for_s=1)
    night.wan.tasks[0].prompt = "Somebody else's"

    night.drive_to_the_end()

    night.assert_nothing_was_paid_twice_or_lost()
    night.close()


def test_a_task_that_cannot_be_read_keeps_no_other_from_being_collected(tmp_path: Path) -> None:
    night = Night(tmp_path, 0, clips=3, places=3)
    night.wan.unreadable.add("task-0")

    night.drive(for_s=1200)

    assert set(night.collector.videos) == {"c001", "c002"}
    night.close()


def test_a_failed_clip_that_a_person_asks_for_waits_for_no_backoff(tmp_path: Path) -> None:
    night = Night(tmp_path, 0, clips=1)
    night.wan.script = {"Take 0": ["fails"] * MAX_FAILED_TRIES}
    assert not night.drive().of(Verdict.STORED)
    asked_at = night.wan.now()

    assert night.drive(asked=["c000"]).of(Verdict.STORED)

    assert night.wan.tasks[-1].created_at - asked_at < timedelta(seconds=5)
    night.close()


def test_prompts_that_differ_only_where_the_service_may_cut_them_are_not_asked_for_in_one_unconfirmed_window(
    tmp_path: Path,
) -> None:
    """Both replies are lost; at the same time, the two tasks could not be told apart."""
    style = "In the style of a very long description. " * 6
    clips = [make_clip(number, prompt=f"{style} Take {number}") for number in range(2)]
    night = Night(tmp_path, 0, clips=clips)
    night.wan.script = {clip.prompt or "": ["lost after"] for clip in clips}

    night.drive_to_the_end()

    night.assert_nothing_was_paid_twice_or_lost()
    night.close()


def test_a_task_whose_reply_is_still_on_its_way_is_not_taken_for_another_ones(tmp_path: Path) -> None:
    """Tasks that fail at once and replies that take their time: a list shows tasks that no attempt knows yet."""
    night = Night(tmp_path, 0, clips=6, task_takes=timedelta(seconds=1), reply_takes=timedelta(seconds=55))
    night.wan.script = {"Take 0": ["lost before"], **{f"Take {number}": ["fails"] for number in range(1, 6)}}

    night.drive_to_the_end()

    task_ids = [attempt.task_id for attempt in night.ledger.attempts() if attempt.task_id]
    assert len(task_ids) == len(set(task_ids)) == 11
    night.close()


def test_a_task_that_the_list_shows_is_not_gone_whatever_a_lagging_replica_says(tmp_path: Path) -> None:
    night = Night(tmp_path, 0, clips=1)
    night.wan.lagging_gets = 10

    night.drive_to_the_end()

    night.assert_nothing_was_paid_twice_or_lost()
    night.close()


@pytest.mark.parametrize("hours", [3, -3], ids=["later", "earlier"])
def test_a_service_that_takes_the_window_of_a_list_for_another_time_is_soon_asked_without_one(
    hours: int, tmp_path: Path
) -> None:
    """Hours off it shows none of the tasks, and a get for each task that runs would be all of the rate."""
    night = Night(tmp_path, 0, clips=60, places=20, window_off=timedelta(hours=hours))

    night.drive()

    night.assert_nothing_was_paid_twice_or_lost()
    assert not night.wan.windows[-1]
    assert night.wan.calls["get"] < 60 + 20 * 3
    night.close()


def test_tasks_that_are_too_old_for_a_window_say_nothing_against_it(tmp_path: Path) -> None:
    """A list takes a day at most, and a margin for the clocks is kept; the service knows a task for a day."""
    night = Night(tmp_path, 0, clips=2, task_takes=timedelta(hours=23, minutes=57))
    night.drive(for_s=60)
    night.loop.pass_time(timedelta(hours=23, minutes=55, seconds=30))

    night.drive()

    night.assert_nothing_was_paid_twice_or_lost()
    assert all(night.wan.windows)
    night.close()


def test_a_task_that_the_list_does_not_show_yet_says_nothing_against_the_window(tmp_path: Path) -> None:
    night = Night(tmp_path, 0, clips=8, list_lags=timedelta(seconds=30))

    night.drive()

    assert night.wan.calls["get"] > 8
    assert all(night.wan.windows)
    night.close()


def test_a_service_that_cannot_be_used_any_more_keeps_no_clip_of_another_one_waiting(tmp_path: Path) -> None:
    clips = [make_clip(0).evolve(service="singapore"), make_clip(1)]
    night = Night(tmp_path, 0, clips=clips)
    night.unusable = {"singapore"}

    report = night.drive()

    assert [outcome.verdict for outcome in map(report.outcomes.get, ("c000", "c001")) if outcome] == [
        Verdict.LEFT,
        Verdict.STORED,
    ]
    assert report.outcomes["c000"].code == "ServiceUnusable"
    night.close()


class Pulse(Silence):
    """Keeps how long the driver had said nothing at most, where an event takes a tenth of a second to be told."""

    def __init__(self, night: Night) -> None:
        self.longest_silence = timedelta(0)
        self._night = night

    def ended(self, _outcome: Outcome) -> None:
        self._night.loop.pass_time(timedelta(seconds=0.1))
        with self._night.ledger._read() as connection:
            beat_at = connection.execute(sa.select(schema.driver.c.heartbeat_at)).scalar_one()
        self.longest_silence = max(self.longest_silence, self._night.wan.now() - beat_at)


def test_a_drive_says_that_it_lives_also_while_it_tells_of_a_thousand_clips_that_failed_for_good(
    tmp_path: Path,
) -> None:
    """A driver that is silent for too long counts as gone, and its run as lost."""
    night = Night(tmp_path, 0, clips=1_000)
    fail_for_good(night)
    night.listener = pulse = Pulse(night)

    report = night.drive()

    assert len(report.of(Verdict.FAILED)) == 1_000
    assert pulse.longest_silence < night.tempo.stale_after
    night.close()


def fail_for_good(night: Night) -> None:
    """Puts a failure of each clip on record: that of the first is real, the others are copied from it."""
    wanted, night.clips = night.clips, night.clips[:1]
    night.wan.script = {"Take 0": ["fails"] * MAX_FAILED_TRIES}
    night.drive()
    night.clips = wanted
    table = schema.attempt
    with night.ledger._write() as connection:
        rows = [row._asdict() for row in connection.execute(sa.select(table))]
        copies = [
            {**row, "attempt_id": f"{row['attempt_id']}-{clip.clip_id}", "clip_id": clip.clip_id}
            | {"fingerprint": clip.fingerprint, "task_id": None}
            for clip in wanted[1:]
            for row in rows
        ]
        connection.execute(sa.insert(table), copies)
