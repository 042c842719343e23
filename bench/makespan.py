"""How long a night of 200 clips takes: this package, a thread pool around the vendor's SDK, and the lower bound.

Run as ``python -m bench.makespan``. Engine, lanes, policy and ledger are the real ones; service and clock are
simulated, without faults: tasks take lognormal 60 to 300 s, C at a time. The SDK's ``VideoSynthesis.call`` in C threads
is played by its own schedule of polls (1, 1, 2, 2, 2, 4, 4, 4, then 5 s apart; dashscope 2.0.2). No schedule of any
kind ends before max(sum p / C, max p, (N - 1) / R + min p); one that can't foresee lengths, and notices every end at
once, ends where ``no delay at all`` says. Calls are creates, lists and gets; the bound beside them says what mean
delay any schedule has at least that makes so many, even if it knows the distribution of lengths (``bench.frontier``).
"""

from __future__ import annotations

import argparse
import heapq
import sys
import tempfile
from dataclasses import dataclass, replace
from itertools import chain, repeat
from pathlib import Path
from statistics import mean, median

from rich.console import Console

from bench.frontier import least_mean_s, most_soon

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from unit.workflow.simulated_service import MIDNIGHT, SERVICE
from unit.workflow.simulation import Night

from bench import figures_table
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
    median_s: float
    mean_s: float
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
        calls_per_clip=sum(night.wan.calls[name] for name in ("create", "list", "get")) / CLIPS,
        throttled=night.wan.throttled,
        median_s=median(waits) - 1,  # the simulated download takes one second
        mean_s=mean(waits) - 1,
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
        median_s=median(waits),
        mean_s=mean(waits),
        lengths_s=lengths_s,
    )


def lower_bound_s(lengths_s: tuple[float, ...], places: int) -> float:
    creates_s = (len(lengths_s) - 1) / places  # as many creates a second as places
    return max(sum(lengths_s) / places, creates_s + min(lengths_s), *lengths_s)


def no_delay_s(lengths_s: tuple[float, ...], places: int) -> float:
    """Every place takes the next clip the moment that it is free."""
    free = [0.0] * places
    for length_s in lengths_s:
        heapq.heappush(free, heapq.heappop(free) + length_s)
    return max(free)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    seed = parser.parse_args().seed
    table = figures_table(
        f"{CLIPS} clips, lognormal 60 to 300 s, simulated service, seed {seed}",
        "",
        "makespan",
        "x lower bound",
        "429 we caused",
        "calls a clip",
        "end to stored, mean",
        "median",
        "at best",
    )
    for places in (2, 5):
        for queues in (True, False):
            mode = f"C={places}, {'queues' if queues else 'rejects'}"
            own = ours(places, queues=queues, seed=seed)
            bound_s = lower_bound_s(own.lengths_s, places)
            for name, figures in (("ours", own), ("SDK in C threads", sdk_in_threads(own.lengths_s, places))):
                calls = figures.calls_per_clip
                table.add_row(
                    f"{mode}: {name}",
                    f"{figures.makespan_s:.0f} s",
                    f"{figures.makespan_s / bound_s:.3f}",
                    str(figures.throttled),
                    f"{calls:.1f}",
                    f"{figures.mean_s:.1f} s",
                    f"{figures.median_s:.1f} s",
                    f"mean {least_mean_s(calls, places):.1f} s, {most_soon(calls, places):.0%} in 5 s",
                )
            ideal_s = no_delay_s(own.lengths_s, places)
            table.add_row(f"{mode}: no delay at all", f"{ideal_s:.0f} s", f"{ideal_s / bound_s:.3f}")
            table.add_section()
    Console(width=132).print(table)


if __name__ == "__main__":
    main()
