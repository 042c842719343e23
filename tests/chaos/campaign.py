"""A campaign of kills: processes drive one manifest and die at random, while the service misbehaves at random.

``PYTHONPATH=tests python -m chaos.campaign --kills 200 --seed 1`` prints what it came to, and fails unless nothing was
paid twice, nothing is lost, and every task is known. The same seed draws the same deaths and the same faults; when they
come is up to the machine.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from chaos.child import POINTS
from chaos.story import Story, Verdict
from scenarios import QUICK

from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.localserver.scenario import Duration, Scenario

CLIPS = 24
"""Clips to begin with."""

MORE_CLIPS = 4
"""Clips that the manifest grows by where all are stored and kills are left."""

FAULTS = (
    *(Fault(on="create", kind=kind, rate=0.04) for kind in ("throttle", "html", "error_late", "cut", "garbage")),
    *(Fault(on="get", kind=kind, rate=0.04) for kind in ("html", "cut", "truncated", "throttle")),
    *(Fault(on="list", kind=kind, rate=0.04) for kind in ("html", "cut", "truncated", "throttle")),
    *(Fault(on="download", kind=kind, rate=0.06) for kind in ("cut", "html", "expired")),
    Fault(on="task", kind="fail", rate=0.03, code="InternalError", message="inference internal error."),
)
"""What goes wrong on the service's side."""


@dataclass
class Tally:
    """How often processes died, and where."""

    kills: int = 0
    lives: int = 0
    by_place: dict[str, int] = field(default_factory=dict)

    def count(self, place: str, *, died: bool) -> None:
        """One life is over."""
        self.lives += 1
        self.kills += died
        if died:
            self.by_place[place] = self.by_place.get(place, 0) + 1


def run(folder: Path, *, kills: int, seed: int, clips: int = CLIPS) -> tuple[Tally, Verdict]:
    """Kills so many lives, then lets one live to the end, and judges."""
    rng = random.Random(seed)
    scenario = Scenario(
        seed=seed,
        **QUICK,
        in_process=4,
        list_delay_s=0.2,
        durations=(Duration(median_s=0.4, sigma=0.6),),
        faults=FAULTS,
    )
    tally = Tally()
    with LocalServer(folder / "server", scenario=scenario) as server:
        story = Story(folder, server)
        story.want(clips)
        while tally.kills < kills:
            lived = _one_life(story, tally, rng)
            if lived and story.are_all_stored():
                story.want(MORE_CLIPS)
        while True:
            tally.count("", died=not story.live(ask=True))
            if story.are_all_stored():
                return tally, story.verdict()


def _one_life(story: Story, tally: Tally, rng: random.Random) -> bool:
    """A life that dies at a named point, or at any instant at all; whether it came through."""
    if rng.random() < 0.6:
        point = rng.choice(POINTS)
        lived = story.live(point, rng.choice((1, 1, 1, 2, 3)))
    else:
        point = "at any instant"
        lived = story.live(for_s=rng.uniform(0.3, 4.0))
    tally.count(point, died=not lived)
    return lived


def show(tally: Tally, verdict: Verdict, *, seed: int, seconds: float) -> str:
    """The campaign as a table."""
    lines = {
        "seed": seed,
        "clips": verdict.clips,
        "lives": tally.lives,
        "kills": tally.kills,
        **{f"  {place.replace('_', ' ')}": tally.by_place[place] for place in sorted(tally.by_place)},
        "creates that reached the service": verdict.creates,
        "tasks made": verdict.tasks,
        "videos billed": verdict.billed,
        "paid twice": verdict.duplicates,
        "lost": verdict.lost,
        "orphans": verdict.orphans,
        "rows in the table": verdict.rows,
        "materializations": verdict.materializations,
        "each clip exactly once": "yes" if verdict.once else "no",
        "took": f"{seconds:.0f} s",
    }
    return "\n".join(f"{name:<34}{value:>8}" for name, value in lines.items())


def is_clean(verdict: Verdict) -> bool:
    """Whether nothing was paid twice, nothing is lost, and each task is known."""
    return verdict.once and not (verdict.duplicates or verdict.lost or verdict.orphans)


def main() -> int:
    """Runs one campaign; 0 where it ended clean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--clips", type=int, default=CLIPS)
    parser.add_argument("--seed", type=int, default=None, help="drawn where none is given")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10_000) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)  # noqa: T201 - a program that prints its table
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kf2v-chaos-") as folder:
        tally, verdict = run(Path(folder), kills=given.kills, seed=seed, clips=given.clips)
    print(show(tally, verdict, seed=seed, seconds=time.monotonic() - began))  # noqa: T201 - the same
    return 0 if is_clean(verdict) else 1


if __name__ == "__main__":
    sys.exit(main())
