"""What is possible at best: how soon an ending is noticed, by looks, where the distribution of lengths is known.

Run as ``python -m bench.frontier``; ``bench.makespan`` prints the same beside what this package does. A schedule of
looks at one task is a list of ages. Which is the best for a price per look is found by dynamic programming over the
age (Barlow, Hunter and Proschan 1963); all prices together give the frontier: no schedule has fewer looks and a
shorter mean delay, whatever it knows, since lengths are independent.

From looks at one task to calls per clip: a clip takes one create and one ``get`` for its video's address, which is a
look too; a ``list`` looks at no more than the C tasks that run. So k looks per ending take at least 2 + (k - 1) / C
calls. Downloads come from the object store, and are not counted.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache

import numpy as np
from rich.console import Console
from rich.table import Table

MEDIAN_S, SIGMA, LEAST_S, MOST_S = math.exp(4.8), 0.4, 60.0, 300.0
"""The lengths of ``bench.makespan``: lognormal, what is shorter or longer takes just these bounds."""

STEP_S = 0.25
SOON_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Point:
    """One schedule.

    Attributes:
        looks: Expected, per ending.
        mean_s: Expected time from an ending to the look that sees it.
        soon: Probability that it is at most five seconds.
    """

    looks: float
    mean_s: float
    soon: float


@cache
def lengths() -> tuple[np.ndarray, np.ndarray]:
    """The ages at which a task may end, and how probable each is."""
    ages = np.arange(LEAST_S, MOST_S + STEP_S / 2, STEP_S)
    z = (np.log(ages) - math.log(MEDIAN_S)) / SIGMA
    below = np.array([0.5 * (1 + math.erf(each / math.sqrt(2))) for each in z])
    below[-1] = 1.0
    return ages, np.diff(below, prepend=0.0)


def mean_length_s() -> float:
    ages, chance = lengths()
    return float(ages @ chance)


def best_schedule(price: float, *, soon: bool = False) -> Point:
    """The schedule that costs least, each look at its price.

    Args:
        price: Of a look: in seconds of mean delay; or, where ``soon``, in endings that are seen too late.
        soon: Whether the share that is seen late is to be small, instead of the mean delay.
    """
    ages, chance = lengths()
    count = len(ages)
    alive = 1 - np.concatenate([[0.0], np.cumsum(chance)])  # before the first age, and after each
    delays = np.subtract.outer(ages, ages).T.clip(0)  # [ended, seen]
    late = (delays > SOON_S).astype(float)
    cost = late if soon else delays
    # weights[i][j]: what the endings from age i on cost, if the next look is at age j.
    paid = np.cumsum((chance[:, None] * cost)[::-1], axis=0)[::-1]
    best, choice = np.zeros(count + 1), np.zeros(count, dtype=int)
    for first in range(count - 1, -1, -1):
        seen = np.arange(first, count)
        ended = paid[first, seen] - paid[np.minimum(seen + 1, count - 1), seen] * (seen + 1 < count)
        total = ended + price * max(alive[first], 0.0) + best[seen + 1]
        choice[first] = seen[int(np.argmin(total))]
        best[first] = total.min()
    looks = mean_s = in_time = 0.0
    first = 0
    while first < count:
        seen = choice[first]
        looks += alive[first]
        mean_s += chance[first : seen + 1] @ delays[first : seen + 1, seen]
        in_time += chance[first : seen + 1] @ (1 - late[first : seen + 1, seen])
        first = seen + 1
    return Point(looks=float(looks), mean_s=float(mean_s), soon=float(in_time))


@cache
def frontier(*, soon: bool = False) -> tuple[Point, ...]:
    """The best schedules, from few looks to many."""
    prices = np.geomspace(0.002, 0.6, 24) if soon else np.geomspace(0.001, 60, 36)
    return tuple(sorted({best_schedule(float(price), soon=soon) for price in prices}, key=lambda point: point.looks))


def looks_of(calls: float, places: int) -> float:
    """The looks at each task that so many calls per clip are good for at most."""
    return max(1.0, 1 + (calls - 2) * places)


def _at(looks: float, *, soon: bool) -> float:
    points = frontier(soon=soon)
    place = min(max(bisect_left([point.looks for point in points], looks), 1), len(points) - 1)
    one, other = points[place - 1], points[place]
    part = min(max((looks - one.looks) / (other.looks - one.looks), 0.0), 1.0)
    values = (one.soon, other.soon) if soon else (one.mean_s, other.mean_s)
    return values[0] + part * (values[1] - values[0])


def least_mean_s(calls: float, places: int) -> float:
    """The shortest mean delay that so many calls per clip allow."""
    return _at(looks_of(calls, places), soon=False)


def most_soon(calls: float, places: int) -> float:
    """The largest share of the endings that can be seen within five seconds with so many calls per clip."""
    return _at(looks_of(calls, places), soon=True)


def least_ratio(calls: float, places: int) -> float:
    """What a service that rejects the surplus lets a makespan be at least, against its lower bound."""
    return 1 + least_mean_s(calls, places) / mean_length_s()


def print_frontier(console: Console) -> None:
    table = Table(title="What is possible at best, lengths known: by calls per clip (create, list, get)")
    columns = ("calls", "C", "looks per task", "mean delay", "seen within 5 s", "idle, if surplus is rejected")
    for column in columns:
        table.add_column(column, justify="right")
    for places in (2, 5):
        for calls in (3, 4, 5, 6, 8, 12, 16, 24):
            table.add_row(
                str(calls),
                str(places),
                f"{looks_of(calls, places):.0f}",
                f"{least_mean_s(calls, places):.1f} s",
                f"{most_soon(calls, places):.0%}",
                f"{least_ratio(calls, places) - 1:.1%}",
            )
        table.add_section()
    console.print(table)


if __name__ == "__main__":
    print_frontier(Console(width=110))
