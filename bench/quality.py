"""Whether the quality checks tell good films from ones with a fault, and what they cost: a confusion table.

    python -m bench.quality [--seeds 12] [--first-seed 0] [--size 640x360]

The films are those of ``tests/made_films``, each encoded and measured as the collector would do it, and the local
renderer's films of the example batch. Then one film of 1280x720 is measured alone, for its CPU seconds.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from kf2v_pipeline.domain.quality import CHECKS, FIELDS, Quality, flaws
from kf2v_pipeline.localserver.render import RenderRequest, render_film
from kf2v_pipeline.media.quality import Promise, measure_film
from tests.made_films import FAULTS, GOOD, MadeFilm, Studio, as_file, slow_pan, write_film

ROOT = Path(__file__).parents[1]
FRAMES = 150


def measure(made: MadeFilm, folder: Path) -> Quality:
    path = write_film(made, folder / f"{os.getpid()}.mp4")
    promise = Promise(duration_s=FRAMES / 30, fps=30, ratio=made.first.shape[1] / made.first.shape[0], silent=True)
    frames = as_file(made.first), as_file(made.last)
    return measure_film(path, promise=promise, first_frame=frames[0], last_frame=frames[1]).quality


def made_film(kind: str, name: str, seed: int, size: tuple[int, int], folder: Path) -> tuple[str, str, Quality]:
    maker = (GOOD if kind == "good" else FAULTS)[name]
    return kind, f"{name} {seed}", measure(maker(Studio(size, FRAMES), seed), folder)


def rendered_film(row: dict[str, str], folder: Path) -> tuple[str, str, Quality]:
    first, last = ((ROOT / "data" / row[column]).read_bytes() for column in ("first_frame", "last_frame"))
    path = folder / f"{row['clip_id']}.mp4"
    request = RenderRequest(
        first_frame=first,
        last_frame=last,
        resolution="480P",
        prompt=row["prompt"],
        negative_prompt=None,
        seed=1,
        watermark=False,
        prompt_extend=False,
    )
    report = render_film(request, path)
    promise = Promise(duration_s=5, fps=30, ratio=report.width / report.height, silent=True)
    quality = measure_film(path, promise=promise, first_frame=first, last_frame=last).quality
    return "good", f"renderer {row['clip_id']}", quality


def judge(first: int, seeds: int, size: tuple[int, int], folder: Path) -> Iterator[tuple[str, str, Quality]]:
    with ProcessPoolExecutor(2) as pool:
        tasks = [
            pool.submit(made_film, kind, name, seed, size, folder)
            for kind, makers in (("good", GOOD), *((check, {check: FAULTS[check]}) for check in FAULTS))
            for name in makers
            for seed in range(first, first + (max(1, seeds // 4) if kind == "good" else seeds))
        ]
        with (ROOT / "data" / "manifest.csv").open(encoding="utf-8", newline="") as file:
            tasks += [pool.submit(rendered_film, row, folder) for row in csv.DictReader(file)]
        for task in tasks:
            yield task.result()


def cost(folder: Path) -> float:
    """CPU seconds of one film of 1280x720, the better of two."""
    made = slow_pan(Studio((1280, 720), FRAMES), 0)
    path, first, last = write_film(made, folder / "cost.mp4"), as_file(made.first), as_file(made.last)
    spent = []
    for _ in range(2):
        start = time.process_time()
        measure_film(path, promise=Promise(duration_s=5, fps=30), first_frame=first, last_frame=last)
        spent.append(time.process_time() - start)
    return min(spent)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("--seeds", type=int, default=12, help="films of each fault; a quarter of it of each good kind")
    parser.add_argument(
        "--first-seed",
        type=int,
        default=0,
        help="12: other films than the thresholds were set on (to some 30: darker, longer)",
    )
    parser.add_argument("--size", default="640x360")
    options = parser.parse_args()
    width, _, height = options.size.partition("x")
    films: dict[str, list[tuple[str, Quality]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for kind, name, quality in judge(options.first_seed, options.seeds, (int(width), int(height)), Path(folder)):
            films[kind].append((name, quality))
        spent = cost(Path(folder))
    errors = print_table(films)
    print(f"\n{spent:.2f} CPU seconds for one film of 1280x720, {FRAMES} pictures (goal: under 1.5)")
    if errors or spent > 1.5:
        sys.exit(f"{errors} errors")


def print_table(films: dict[str, list[tuple[str, Quality]]]) -> int:
    """The confusion table, and the nearest that good and faulty films come to each threshold; gives the errors."""
    good, errors = films["good"], 0
    print(f"{len(good)} good films\n")
    print(
        f"{'check':12} {'threshold':>9} | {'good: flagged':>13} {'nearest':>8} | {'faulty: found':>13} {'nearest':>8}"
    )
    for name, check in CHECKS.items():
        false = [film for film, quality in good if name in flagged(quality)]
        missed = [film for film, quality in films[name] if name not in flagged(quality)]
        nearest = []
        for group, pick in ((good, min if check.at_least else max), (films[name], max if check.at_least else min)):
            nearest.append(pick(value for _, quality in group if (value := check.measure(quality)) is not None))
        errors += len(false) + len(missed)
        found = f"{len(films[name]) - len(missed)}/{len(films[name])}"
        print(f"{name:12} {check.threshold:9g} | {len(false):13} {nearest[0]:8.3f} | {found:>13} {nearest[1]:8.3f}")
        for film in (*false, *missed):
            print(f"    wrong: {film}")
    print("\nwhat else was flagged in faulty films:")
    for name in CHECKS:
        others = [flaw for _, quality in films[name] for flaw in flagged(quality) if flaw != name]
        if others:
            print(f"    {name}: {', '.join(f'{each} {others.count(each)}x' for each in sorted(set(others)))}")
    print("\nworst of good films:")
    for field in FIELDS:
        values = sorted((getattr(quality, field), film) for film, quality in good)
        print(f"    {field:18} {values[0][0]:8.3f} {values[0][1]:28} {values[-1][0]:8.3f} {values[-1][1]}")
    return errors


def flagged(quality: Quality) -> list[str]:
    return [flaw.check for flaw in flaws(quality)]


if __name__ == "__main__":
    main()
