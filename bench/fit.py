"""What a cut to an exact aspect costs, and what it loses: time, processor and likeness to the raw picture.

    python -m bench fit [--frames 150]

Films of 816x1104 and 1280x720 as the service makes them, cut to each aspect in each way. The loss is the PSNR of luma
where raw film and cut show the same, over all pictures; a cut without encoding has none.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from kf2v_pipeline.domain.aspect import FITS, cut_size
from kf2v_pipeline.media.fit import fit_film
from tests.made_films import Studio, handheld, write_film

SIZES = ((816, 1104), (1280, 720))
ASPECTS = ("9:16", "3:4", "4:5", "1:1")


def luma(path: Path) -> Iterator[np.ndarray]:
    with av.open(path) as film:
        film.streams.video[0].thread_type = "AUTO"
        for frame in film.decode(video=0):
            plane = np.frombuffer(frame.planes[0], np.uint8).reshape(-1, frame.planes[0].line_size)
            yield plane[: frame.height, : frame.width]


def loss(raw: Path, cut: Path) -> float:
    """PSNR in dB of the part that both show; infinite where they are the same."""
    errors = []
    for a, b in zip(luma(raw), luma(cut), strict=True):
        height, width = min(a.shape[0], b.shape[0]), min(a.shape[1], b.shape[1])
        shown = [each[(y := (each.shape[0] - height) // 4 * 2) : y + height] for each in (a, b)]
        shown = [each[:, (x := (each.shape[1] - width) // 4 * 2) : x + width] for each in shown]
        errors.append(np.mean((shown[0].astype(np.float32) - shown[1]) ** 2))
    error = float(np.mean(errors))
    return 10 * np.log10(255**2 / error) if error else np.inf


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.fit", description=__doc__)
    parser.add_argument("--frames", type=int, default=150)
    frames = parser.parse_args().frames
    print(f"{frames} pictures each\n\n| raw | aspect | fit | cut | way | wall s | CPU s | PSNR dB | size of raw |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            raw, cut = write_film(handheld(Studio(size, frames), 3), Path(folder) / "raw.mp4"), Path(folder) / "cut.mp4"
            for aspect in ASPECTS:
                for fit in FITS:
                    goal = cut_size(size, aspect, fit, first_frame=(0, 0))
                    assert goal is not None
                    wall, cpu = time.perf_counter(), time.process_time()
                    way = fit_film(raw, cut, size=goal, fit=fit)
                    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                    share = cut.stat().st_size / raw.stat().st_size
                    shapes = f"{size[0]}x{size[1]} | {aspect} | {fit} | {goal[0]}x{goal[1]}"
                    print(f"| {shapes} | {way.value} | {wall:.2f} | {cpu:.2f} | {loss(raw, cut):.1f} | {share:.0%} |")


if __name__ == "__main__":
    main()
