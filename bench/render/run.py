"""How well and how fast the local renderer works, against a cross-dissolve and FFmpeg's motion interpolation.

    python bench/render/run.py [--sheet sheet.png] [--only quality|speed] [--weights flownet.pkl]

Quality: known sequences (``sequences``) at 1280 x 720 and real films (``films``), only their ends given; mean PSNR and
SSIM against the truth at a quarter, a half and three quarters of the way, of frames as they are before encoding (ours
include 4:2:0). The mean of real films is that of their means, however many pairs each has; that of the pairs like the
prototype's is over pairs.
Speed: 150 frames of 1280 x 720 to a finished file, each job in a process of its own, second of two runs.
Needs scikit-image for the photographs.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import av.filter
import cv2
import numpy as np
from films import FILMS, FilmError, fetch_films, read_film, real_sequences
from sequences import HEIGHT, WIDTH, Sequence, all_sequences, parallax
from skimage.metrics import structural_similarity

from kf2v_pipeline.localserver.render import RenderRequest, render_film
from kf2v_pipeline.localserver.render.encode import FPS, write_film
from kf2v_pipeline.localserver.render.paint import Instant, Painter
from kf2v_pipeline.localserver.render.picture import Planes, output_size, to_planes
from kf2v_pipeline.localserver.render.scene import read_scene
from kf2v_pipeline.localserver.render.words import read_direction

INSTANTS = (0.25, 0.5, 0.75)
GOALS = {  # PSNR and SSIM of the prototype without learned weights, which this renderer must reach
    "zoom 1.6": (39.1, 0.992),
    "zoom 3 off-centre": (37.9, 0.993),
    "pan 35 %": (40.0, 0.994),
    "pan 60 % diagonal": (23.5, 0.938),
    "rotation 25": (31.7, 0.971),
    "perspective": (38.2, 0.992),
    "parallax 6%": (31.4, 0.98),
    "parallax 20%": (26.7, 0.95),
    "parallax 40%": (16.7, 0.79),
}
GLOBE_GOALS = ((32.2, 0.926), (37.3, 0.965))
"""The same on its real film of a globe, without learned weights and with them."""
ALIKE_GOALS = ((24.7, 0.851), (25.1, 0.862))
"""The same on all its real films."""

FRAMES = 150

Pixels = np.ndarray
Method = Callable[[Pixels, Pixels], list[Pixels]]


def ours(first: Pixels, last: Pixels, weights: Path | None = None) -> list[Pixels]:
    """Painted at the size that a request would get, and brought back to that of the pictures."""
    height, width = first.shape[:2]
    size = output_size(width, height, "720P")
    a, b = (to_planes(resized(picture, size)) for picture in (first, last))
    scene = read_scene(a, b, read_direction("constant speed", None), seed=0, weights=weights)
    painter = Painter(a, b, scene.path, scene.motion, mirror=not scene.related)
    painted = []
    for moved in INSTANTS:
        out = Planes(*(np.empty_like(plane) for plane in a))
        instant = Instant(moved=moved, mixed=scene.mixed(moved), dissolved=scene.dissolved(moved), sway=np.eye(3))
        painter.paint(instant, out)
        painted.append(resized(from_planes(out), (width, height)))
    return painted


def resized(picture: Pixels, size: tuple[int, int]) -> Pixels:
    if picture.shape[1::-1] == size:
        return picture
    method = cv2.INTER_AREA if size[0] < picture.shape[1] else cv2.INTER_LANCZOS4
    return cv2.resize(picture, size, interpolation=method)


def dissolve(first: Pixels, last: Pixels) -> list[Pixels]:
    return [cv2.addWeighted(first, 1 - t, last, t, 0) for t in INSTANTS]


def minterpolate(first: Pixels, last: Pixels) -> list[Pixels]:
    """FFmpeg's motion-compensated interpolation, its scene-change detection off, since it would give up."""
    return list(interpolated(first, last, steps=4, layout="yuv444p"))[1:4]


def interpolated(first: Pixels, last: Pixels, steps: int, layout: str) -> Iterator[Pixels]:
    """From the first picture to the last in so many steps, both included; computed in a pixel layout of FFmpeg's."""
    height, width = first.shape[:2]
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format=layout, time_base=Fraction(1, 1))
    motion = graph.add("minterpolate", f"fps={steps}:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1:scd=none")
    sink = graph.add("buffersink")
    source.link_to(motion)
    motion.link_to(sink)
    graph.configure()
    for second, picture in enumerate([first, last, last, None]):  # it wants to see one more
        frame = None
        if picture is not None:
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format=layout)
            frame.pts, frame.time_base = second, Fraction(1, 1)
        source.push(frame)
        while True:
            try:
                yield sink.pull().to_ndarray(format="bgr24")
            except (av.BlockingIOError, av.EOFError):
                break


def from_planes(planes: Planes) -> Pixels:
    """Back to blue, green, red, BT.709."""
    size = planes.luma.shape[::-1]
    u, v = (cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR).astype(np.float32) - 128 for plane in planes[1:])
    y = (planes.luma.astype(np.float32) - 16) * 1.164384
    rows = (y + 2.112402 * u, y - 0.213249 * u - 0.532909 * v, y + 1.792741 * v)
    return np.rint(np.dstack(rows)).clip(0, 255).astype(np.uint8)


def likeness(one: Pixels, other: Pixels) -> tuple[float, float]:
    """PSNR over colours, and SSIM over luma as scikit-image computes it, which gives the prototype's figures again."""
    a, b = (cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in (one, other))
    return cv2.PSNR(one, other), float(structural_similarity(a, b))


def quality(sheet_path: Path | None, weights: Path | None) -> None:
    methods: dict[str, Method] = {"dissolve": dissolve, "minterpolate": minterpolate, "ours": ours}
    if weights is not None:
        methods["learned"] = partial(ours, weights=weights)
    print(f"{'PSNR dB / SSIM':24s}" + "".join(f"{name:>16s}" for name in [*methods, "goal"]))
    sheet: list[Pixels] = []
    synthetic = []
    for sequence in all_sequences():
        synthetic.append(scored(sequence, methods, sheet))
        print_row(sequence.name, synthetic[-1], (GOALS[sequence.name],))
    print_row("mean synthetic", np.mean(synthetic, axis=0), ((31.7, 0.956),))
    try:
        films = [read_film(path) for path in fetch_films().values()]
    except FilmError as error:
        print(error)
    else:
        real_quality(films, methods, sheet)
    if sheet_path is not None:
        cv2.imwrite(str(sheet_path), np.vstack(sheet))


def real_quality(films: list[list[Pixels]], methods: dict[str, Method], sheet: list[Pixels]) -> None:
    means = []
    for film, frames in zip(FILMS, films, strict=True):
        scores = scored_all(real_sequences(film, frames, film.spread), methods, sheet)
        means.append(np.mean(scores, axis=0))
        print_row(f"mean {film.name}", means[-1])
    print_row("mean real", np.mean(means, axis=0))
    print("pairs like the prototype's")
    alike = []
    for film, frames in zip(FILMS, films, strict=True):
        scores = scored_all(real_sequences(film, frames, film.alike), methods, sheet)
        alike.extend(scores)
        print_row(f"mean {film.name}", np.mean(scores, axis=0), GLOBE_GOALS if film.name == "world" else ())
    print_row("mean of the pairs", np.mean(alike, axis=0), ALIKE_GOALS)


def scored_all(pairs: list[Sequence], methods: dict[str, Method], sheet: list[Pixels]) -> list[np.ndarray]:
    scores = []
    for pair in pairs:
        scores.append(scored(pair, methods, sheet))
        print_row(f"  {pair.name}", scores[-1])
    return scores


def scored(sequence: Sequence, methods: dict[str, Method], sheet: list[Pixels]) -> np.ndarray:
    """PSNR and SSIM of each method; adds what ours made, above the truth, to the sheet."""
    first, last = sequence.truth(0), sequence.truth(1)
    truths = [sequence.truth(t) for t in INSTANTS]
    scores = []
    for name, method in methods.items():
        made = method(first, last)
        scores.append(np.mean([likeness(*pair) for pair in zip(made, truths, strict=True)], axis=0))
        if name == "ours":
            sheet.extend(
                np.hstack([cv2.resize(each, (480, 270)) for each in (first, *row, last)]) for row in (made, truths)
            )
    return np.array(scores)


def print_row(name: str, scores: np.ndarray, goals: tuple[tuple[float, float], ...] = ()) -> None:
    """A line of figures, and of our methods' goals as far as there are any."""
    line = "".join(f"{psnr:8.1f} / {ssim:.3f}" for psnr, ssim in scores)
    for score, goal in zip(scores[2:], goals, strict=False):  # without weights there is no learned flow to judge
        reached = all(have >= want for have, want in zip(score, goal, strict=True))
        line += f"{goal[0]:8.1f} / {goal[1]:.3f} {'reached' if reached else 'MISSED'}"
    print(f"{name:24s}{line}", flush=True)


def render_job(folder: Path) -> None:
    first, last = (parallax(0.2).truth(t) for t in (0, 1))
    files = [bytes(cv2.imencode(".png", picture)[1]) for picture in (first, last)]
    request = RenderRequest(
        first_frame=files[0],
        last_frame=files[1],
        resolution="720P",
        prompt=None,
        negative_prompt=None,
        seed=0,
        watermark=False,
        prompt_extend=True,
    )
    timed("ours", lambda: render_film(request, folder / "film.mp4"))


def encode_job(folder: Path) -> None:
    """The very frames of our film, encoded just as we do."""
    with av.open(str(folder / "film.mp4")) as film:
        frames = [frame.to_ndarray(format="yuv420p") for frame in film.decode(video=0)]

    def paint(index: int, out: Planes) -> None:
        packed = frames[index]
        out.luma[:] = packed[:HEIGHT]
        out.u[:] = packed[HEIGHT : HEIGHT * 5 // 4].reshape(out.u.shape)
        out.v[:] = packed[HEIGHT * 5 // 4 :].reshape(out.v.shape)

    timed("encode only", lambda: write_film(paint, folder / "e.mp4", width=WIDTH, height=HEIGHT, frames=FRAMES))


def minterpolate_job(folder: Path) -> None:
    first, last = (parallax(0.2).truth(t) for t in (0, 1))

    def run() -> None:
        frames = [to_planes(picture) for picture in interpolated(first, last, steps=FRAMES - 1, layout="yuv420p")]

        def paint(index: int, out: Planes) -> None:
            for plane, target in zip(frames[index], out, strict=True):
                target[:] = plane

        write_film(paint, folder / "m.mp4", width=WIDTH, height=HEIGHT, frames=FRAMES)

    timed("minterpolate", run, runs=1)


def timed(name: str, work: Callable[[], object], runs: int = 2) -> None:
    for _ in range(runs):
        wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        work()
        wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"name": name, "wall_s": wall, "cpu_s": cpu, "peak_mb": peak_mb()}))


def peak_mb() -> float:
    """The process's own peak; ``ru_maxrss`` would tell the parent's, if that is larger."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def speed() -> None:
    print(f"\n{FRAMES} frames, {FRAMES // FPS} s{'wall s':>14s}{'CPU s':>9s}{'peak MB':>9s}")
    with tempfile.TemporaryDirectory() as folder:
        for job in ("render", "encode", "minterpolate"):
            command = [sys.executable, __file__, "--job", job, "--folder", folder]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            figures = json.loads(answer.splitlines()[-1])
            print("{name:18s}{wall_s:12.1f}{cpu_s:9.1f}{peak_mb:9.0f}".format(**figures), flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sheet", type=Path, help="write what we made of each sequence to this picture")
    options.add_argument("--weights", type=Path, help="the learned flow's weights, for a column of its own")
    options.add_argument("--only", choices=("quality", "speed"))
    options.add_argument("--job", choices=("render", "encode", "minterpolate"), help=argparse.SUPPRESS)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.job:
        jobs = {"render": render_job, "encode": encode_job, "minterpolate": minterpolate_job}
        jobs[chosen.job](chosen.folder)
        return
    if chosen.only != "speed":
        quality(chosen.sheet, chosen.weights)
    if chosen.only != "quality":
        speed()


if __name__ == "__main__":
    main()
