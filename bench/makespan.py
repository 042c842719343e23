"""How long a night of 200 clips takes: this package, a thread pool around the vendor's SDK, and the lower bound.

Run as ``python -m bench.makespan``. Engine, lanes, policy and ledger are the real ones; service and clock are
simulated, without faults: tasks take lognormal 60 to 300 s, C at a time. The SDK's ``VideoSynthesis.call`` in C threads
is played by its own schedule of polls (1, 1, 2, 2, 2, 4, 4, 4, then 5 s apart; dashscope 2.0.2). No schedule of any
kind ends before max(sum p / C, max p, (N - 1) / R + min p).
"""

from __future__ import annotations

import heapq
import sys
import tempfile
from dataclasses import dataclass, replace
from itertools import chain, repeat
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit" / "workflow"))

from simulation import MIDNIGHT, SERVICE, Night

from kf2v_pipeline.wan.catalog import Quota

CLIPS = 200
MODEL = "wan2.2-kf2v-flash"
CREATE_S = 0.3
"""What a create takes, about as long as in the simulation."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    makespan_s: float
    calls_per_clip: float
    throttled: int
    stored_after_s: float
    lengths_s: tuple[float, ...]


def ours(places: int, *, queues: bool, seed: int = 1) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        night = Night(Path(folder), seed, clips=CLIPS, queues=queues, places=places)
        model = SERVICE.models[MODEL]
        quota = Quota(creates_per_second=places, tasks_in_process=places)
        night.wan.service = SERVICE.evolve(models={**SERVICE.models, MODEL: replace(model, quota=quota)})
        night.drive()
        attempts = night.ledger.attempts()
        night.close()
    ended_at = {attempt.task_id: attempt.ended_at for attempt in attempts}
    waits = [(attempt.stored_at - ended_at[attempt.task_id]).total_seconds() for attempt in attempts]
    return Figures(
        makespan_s=max((attempt.stored_at - MIDNIGHT).total_seconds() for attempt in attempts),
        calls_per_clip=sum(night.wan.calls.values()) / CLIPS,
        throttled=night.wan.throttled,
        stored_after_s=median(waits) - 1,  # the simulated download takes one second
        lengths_s=tuple(task.length.total_seconds() for task in night.wan.tasks),
    )


def sdk_in_threads(lengths_s: tuple[float, ...], places: int) -> Figures:
    """As many threads as places, each: create, poll until the end, take the next clip."""
    free = [0.0] * places
    calls, waits = 0, []
    for length_s in lengths_s:
        begun = heapq.heappop(free) + CREATE_S
        calls += 1
        seen = begun
        for pause_s in chain((1, 1, 2, 2, 2, 4, 4, 4), repeat(5)):
            seen += pause_s
            calls += 1
            if seen >= begun + length_s:
                break
        waits.append(seen - begun - length_s)
        heapq.heappush(free, seen + 1)
    return Figures(
        makespan_s=max(free),
        calls_per_clip=calls / len(lengths_s),
        throttled=0,
        stored_after_s=median(waits),
        lengths_s=lengths_s,
    )


def lower_bound_s(lengths_s: tuple[float, ...], places: int) -> float:
    creates_s = (len(lengths_s) - 1) / places  # as many creates a second as places
    return max(sum(lengths_s) / places, creates_s + min(lengths_s), *lengths_s)


def main() -> None:
    table = Table(title=f"{CLIPS} clips, lognormal 60 to 300 s, simulated service")
    for column in ("", "makespan", "x lower bound", "calls per clip", "429 we caused", "median s, end to stored"):
        table.add_column(column, justify="left" if not column else "right")
    for places in (2, 5):
        for queues in (True, False):
            mode = f"C={places}, {'queues' if queues else 'rejects'} the surplus"
            own = ours(places, queues=queues)
            bound_s = lower_bound_s(own.lengths_s, places)
            for name, figures in (("ours", own), ("SDK in C threads", sdk_in_threads(own.lengths_s, places))):
                table.add_row(
                    f"{mode}: {name}",
                    f"{figures.makespan_s:.0f} s",
                    f"{figures.makespan_s / bound_s:.3f}",
                    f"{figures.calls_per_clip:.1f}",
                    str(figures.throttled),
                    f"{figures.stored_after_s:.1f}",
                )
            table.add_section()
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
