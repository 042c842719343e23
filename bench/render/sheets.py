"""Contact sheets of the example clips: seven frames of each film as it is encoded, first to last.

python bench/render/sheets.py [--weights flownet.pkl] [--out docs/images/render]
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np

from kf2v_pipeline.localserver.render import RenderRequest, render_film

DATA = Path(__file__).parents[2] / "data"
SHOWN = (0, 25, 50, 75, 99, 124, 149)
HEIGHT = 200
MOST_BYTES = 150_000


def film_of(row: dict[str, str], path: Path, weights: Path | None) -> str:
    request = RenderRequest(
        first_frame=(DATA / row["first_frame"]).read_bytes(),
        last_frame=(DATA / row["last_frame"]).read_bytes(),
        resolution=row["resolution"],
        prompt=row["prompt"],
        negative_prompt=row["negative_prompt"] or None,
        seed=int(row["seed"]),
        watermark=False,
        prompt_extend=True,
        weights=weights,
    )
    return render_film(request, path).actual_prompt or ""


def sheet_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as film:
        frames = [f.to_ndarray(format="bgr24") for i, f in enumerate(film.decode(video=0)) if i in SHOWN]
    width = round(frames[0].shape[1] * HEIGHT / frames[0].shape[0])
    return np.hstack([cv2.resize(frame, (width, HEIGHT), interpolation=cv2.INTER_AREA) for frame in frames])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--weights", type=Path, help="the learned flow's weights; without them by default")
    options.add_argument("--out", type=Path, default=DATA.parent / "docs" / "images" / "render")
    options.add_argument("--clip", help="only this one")
    chosen = options.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    with (DATA / "manifest.csv").open(encoding="utf-8", newline="") as file, tempfile.TemporaryDirectory() as folder:
        for row in csv.DictReader(file):
            if chosen.clip not in (None, row["clip_id"]):
                continue
            path = Path(folder) / "film.mp4"
            story = film_of(row, path, chosen.weights)
            sheet, quality = sheet_of(path), 85
            while len(data := cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]) > MOST_BYTES:
                quality -= 5
            (chosen.out / f"{row['clip_id']}.jpg").write_bytes(data.tobytes())
            print(row["clip_id"], story[story.rfind("[") :], flush=True)


if __name__ == "__main__":
    main()
