"""How long a lane is expected to take."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kf2v_pipeline.domain.makespan import expected_makespan

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(("tasks", "minutes"), [(0, 0), (1, 2), (3, 4), (4, 4), (200, 200)])
def test_tasks_run_in_rounds_as_wide_as_the_quota(tasks: int, minutes: int) -> None:
    learned = [MINUTE, 3 * MINUTE]
    expected = expected_makespan(tasks, learned, tasks_in_process=2, creates_per_second=1000)
    assert expected == minutes * MINUTE


def test_short_tasks_wait_for_their_creates() -> None:
    expected = expected_makespan(11, [timedelta(seconds=1)], tasks_in_process=100, creates_per_second=2)
    assert expected == timedelta(seconds=6)


def test_nothing_is_expected_where_nothing_was_learned() -> None:
    assert expected_makespan(3, [], tasks_in_process=2, creates_per_second=2) is None
