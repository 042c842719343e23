"""How long a lane will take for its tasks, by its quota and by how long tasks took before. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from math import ceil


def expected_makespan(
    tasks: int, learned: Sequence[timedelta], *, tasks_in_process: int, creates_per_second: float
) -> timedelta | None:
    """How long a lane will probably take: rounds of tasks of the mean length, or the creates where those are slower.

    Args:
        tasks: How many are to be made, those in flight among them.
        learned: How long this lane's newest tasks took.
        tasks_in_process: How many run side by side.
        creates_per_second: How many begin in a second.

    Returns:
        None where nothing was learned yet.
    """
    if not tasks:
        return timedelta(0)
    if not learned:
        return None
    mean = sum(learned, timedelta(0)) / len(learned)
    last_begins = timedelta(seconds=(tasks - 1) / creates_per_second)
    return max(ceil(tasks / tasks_in_process) * mean, last_begins + mean)
