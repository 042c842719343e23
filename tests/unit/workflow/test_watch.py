"""What a lane knows of its tasks in flight: which of them run, and since when."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from kf2v_pipeline.domain.attempt import Attempt, State
from kf2v_pipeline.domain.policy import Pace
from kf2v_pipeline.domain.reading import TaskStatus
from kf2v_pipeline.workflow.watch import Watch

NOON = datetime(2025, 6, 1, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
LEARNED = [second * SECOND for second in range(100, 121)]
PACE = Pace(patience=1.5 * SECOND)
FIRST = Attempt(
    attempt_id="first",
    clip_id="cat",
    fingerprint="f",
    number=1,
    service="singapore",
    model="wan2.2-kf2v-flash",
    lane="singapore/wan2.2-kf2v-flash",
    owner="driver-1",
    prompt="A cat wakes up.",
    prepared_at=NOON,
    submitted_at=NOON,
    state=State.SUBMITTED,
)
SECOND_ONE = replace(FIRST, attempt_id="second", submitted_at=NOON + SECOND)


def wait(watch: Watch, *attempts: Attempt, after_s: float) -> timedelta:
    return watch.until_next_look(attempts, pace=PACE, now=NOON + after_s * SECOND)


def test_a_task_that_nobody_has_seen_running_is_taken_to_run_while_a_place_is_free() -> None:
    assert wait(Watch(1, lambda: LEARNED), FIRST, after_s=110) == wait(Watch(2, lambda: LEARNED), FIRST, after_s=110)
    assert wait(Watch(1, lambda: LEARNED), FIRST, after_s=110) < 8 * SECOND


def test_a_task_that_waits_for_a_place_counts_from_when_another_one_left_it() -> None:
    watch = Watch(1, lambda: LEARNED)
    watch.ended(FIRST, NOON + 100 * SECOND)
    assert wait(watch, SECOND_ONE, after_s=110) == Pace().widest
    assert wait(watch, SECOND_ONE, after_s=210) < 8 * SECOND


def test_a_task_that_is_seen_running_counts_from_when_the_service_says_it_started() -> None:
    watch = Watch(1, lambda: LEARNED)
    watch.saw(FIRST, TaskStatus.RUNNING, started_at=NOON + 60 * SECOND, at=NOON + 70 * SECOND)
    assert wait(watch, FIRST, after_s=110) == Pace().widest
    assert wait(watch, FIRST, after_s=170) < 8 * SECOND


def test_what_is_learned_is_asked_for_again_when_a_task_ends_and_every_minute() -> None:
    asked = []
    watch = Watch(2, lambda: asked.append(1) or LEARNED)
    for after_s in (0, 10, 59):
        wait(watch, FIRST, after_s=after_s)
    assert len(asked) == 1

    watch.ended(SECOND_ONE, NOON + 59 * SECOND)
    wait(watch, FIRST, after_s=60)
    assert len(asked) == 2

    wait(watch, FIRST, after_s=130)
    assert len(asked) == 3
