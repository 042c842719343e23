"""How soon the gallery shows and can be used in a browser, beside its former page, and what writing it costs.

Both pages show the same clips with the same small pictures, opened from disk in headless chromium. "Usable" is when a
search that is typed as soon as the page has loaded shows its one result. Medians of a few loads, pages in turn.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import av
import numpy as np
from playwright.sync_api import Browser, sync_playwright

from bench.gallery.former import former_page
from kf2v_pipeline.media.preview import previews, shrink_frame
from kf2v_pipeline.storage.layout import (
    GALLERY,
    PREVIEWS,
    first_frame_path,
    last_frame_path,
    loop_path,
    poster_path,
    strip_path,
    video_path,
)
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.storage.tables import VIDEOS_SCHEMA
from kf2v_pipeline.workflow.gallery import build_gallery

FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
FORMER = "gallery/former.html"
FINGERPRINT = "0123456789abcdef" * 4
WORDS = (
    "slow",
    "aerial",
    "push",
    "in",
    "across",
    "a",
    "still",
    "lake",
    "towards",
    "the",
    "summit",
    "cloud",
    "drifting",
)


def a_row(number: int, status: str = "stored") -> dict[str, Any]:
    """A clip as long as real ones: a prompt of 30 words, another of 60 as the model read it."""
    chance = random.Random(number)  # noqa: S311  # the same clips in each run
    clip_id = f"clip-{number}"
    instant = datetime(2026, 9, 1, tzinfo=timezone.utc)
    row: dict[str, Any] = dict.fromkeys(VIDEOS_SCHEMA.names)
    row |= {"clip_id": clip_id, "status": status, "fingerprint": f"{number:012x}{FINGERPRINT[12:]}", "service": "local"}
    row |= {"prompt": f"needle{number} " + " ".join(chance.choices(WORDS, k=30)), "resolution": "720P", "model": "wan"}
    row |= {"actual_prompt": " ".join(chance.choices(WORDS, k=60)), "task_id": f"{chance.getrandbits(128):032x}"}
    if status == "stored":
        row |= {"width": 1280, "height": 720, "fps": 30.0, "frames": 150, "duration_s": 5.0, "size_bytes": 1_500_000}
        row |= {"video_path": video_path(clip_id, row["fingerprint"]), "cost": 0.5, "currency": "CNY", "attempt": 1}
        row |= {"submitted_at": instant, "stored_at": instant, "sha256": f"{chance.getrandbits(256):064x}"}
    return row


def lay_pictures(root: Path, rows: list[dict[str, Any]]) -> None:
    """One film's small pictures, linked to each clip."""
    film = root / "film.mp4"
    with av.open(str(film), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        ramp = np.linspace(0, 200, 1280, dtype=np.uint8)[None, :, None].repeat(720, 0).repeat(3, 2)
        for number in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(ramp, 20 * number, 1), format="rgb24")))
        container.mux(stream.encode())
    made = previews(film)
    kinds = {poster_path: made.poster, strip_path: made.strip, loop_path: made.loop}
    kinds |= {first_frame_path: shrink_frame(made.poster), last_frame_path: shrink_frame(made.poster)}
    for path, content in kinds.items():
        original = root / f"{path.__name__}.bin"
        original.write_bytes(content)
        for row in rows:
            link = root / path(row["clip_id"], row["fingerprint"])
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(original, link)


def load(browser: Browser, address: str, needle: str) -> dict[str, float]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    tools = context.new_cdp_session(page)
    tools.send("Performance.enable")
    page.goto(address)
    elements = page.evaluate("document.querySelectorAll('*').length")
    page.locator("input[type=search]").fill(needle)
    page.wait_for_selector(f".card:not([hidden]) >> text={needle}")
    page.locator(".card:not([hidden])").nth(1).wait_for(state="hidden")
    usable = page.evaluate("performance.now()")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    found = {metric["name"]: metric["value"] for metric in tools.send("Performance.getMetrics")["metrics"]}
    context.close()
    return {
        "first paint, s": paint / 1000,
        "usable, s": usable / 1000,
        "work of the page, s": found["TaskDuration"],
        "elements": elements,
        "script heap, MB": found["JSHeapUsedSize"] / 1e6,
    }


def compare(clips: int, loads: int, browser: Browser, *, with_former: bool) -> None:
    root = Path(tempfile.mkdtemp(prefix="kf2v-gallery-"))
    try:
        rows = [a_row(number) for number in range(clips)]
        if with_former:
            lay_pictures(root, rows)
        else:
            rows = [{**row, "status": "planned", "video_path": None} for row in rows]
        store = Store.open(str(root))
        build_gallery(store, rows, title="Videos", rejected=())
        pages = {"ours": root / GALLERY}
        if with_former:
            (root / FORMER).write_text(former_page(rows, set(store.sizes(PREVIEWS))), "utf-8")
            pages = {"former page": root / FORMER, **pages}
        needle = f"needle{clips - 3}"
        found: dict[str, list[dict[str, float]]] = {name: [] for name in pages}
        for _ in range(loads):
            for name, page in pages.items():
                found[name].append(load(browser, f"file://{page}", needle))
        weights = {name: page.stat().st_size / 1e6 for name, page in pages.items()}
        data = sum(path.stat().st_size for path in (root / "gallery" / "data").iterdir()) / 1e6
        table = {name: {"page, MB": weights[name]} for name in pages}
        for name, loaded in found.items():
            table[name]["data, read after it, MB"] = data if name == "ours" else 0.0
            table[name] |= {key: statistics.median(one[key] for one in loaded) for key in loaded[0]}
        show(f"{clips:,} clips in headless chromium, medians of {loads} loads", table)
    finally:
        shutil.rmtree(root)


def show(title: str, table: dict[str, dict[str, float]]) -> None:
    names = [*table, "ratio"] if len(table) == 2 else [*table]
    print(f"\n{title}\n\n| {'':26} | " + " | ".join(f"{name:>12}" for name in names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for key in next(iter(table.values())):
        values = [row[key] for row in table.values()]
        cells = [f"{value:12,.2f}" if value < 1000 else f"{value:12,.0f}" for value in values]
        if len(values) == 2:
            cells.append(f"{values[0] / values[1]:12.1f}" if min(values) else f"{'':12}")
        print(f"| {key:26} | " + " | ".join(cells) + " |")


def write(clips: int) -> None:
    """Writes one gallery, in a process of its own, and says what it took."""
    rows: Iterator[dict[str, Any]] = (a_row(number, "planned") for number in range(clips))
    with tempfile.TemporaryDirectory(prefix="kf2v-gallery-") as folder:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.process_time()
        build_gallery(Store.open(folder), rows, title="Videos", rejected=())
        spent = time.process_time() - started
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        files = len(list((Path(folder) / "gallery" / "data").iterdir()))
    print(f"| {clips:9,} | {spent:11.2f} | {1e6 * spent / clips:9.0f} | {grown:11.0f} | {files:5} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench gallery", description=__doc__)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--many", type=int, default=100_000, help="clips of a page that has no former peer; 0 for none")
    parser.add_argument("--loads", type=int, default=3)
    parser.add_argument("--write", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.write:
        write(chosen.write)
        return
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("no chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        compare(chosen.clips, chosen.loads, browser, with_former=True)
        if chosen.many:
            compare(chosen.many, 1, browser, with_former=False)
        browser.close()
    print("\nWriting the page, each in a process of its own; small pictures are there already\n")
    print("| clips     | CPU seconds | µs a clip | MB of memory | files |\n|---|---|---|---|---|", flush=True)
    for clips in (1000, 10_000, chosen.many):
        if clips:
            subprocess.run([sys.executable, "-m", "bench.gallery", "--write", str(clips)], check=True)


if __name__ == "__main__":
    main()
