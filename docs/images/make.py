"""Makes the guide's pictures of the screenshots that ``make e2e`` left in ``build/e2e``; looking at them is yours.

Run as ``python docs/images/make.py [NAME ...]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

SCREENSHOTS = Path(__file__).parents[2] / "build" / "e2e"
MOST_BYTES = 150_000

PICTURES: dict[str, tuple[str, tuple[int, int]]] = {
    "lineage": ("lineage", (1440, 560)),
    "partition": ("partition", (1440, 700)),
    "automation": ("automation", (1440, 380)),
    "failed-partitions": ("failed-skyline-pan-1", (1440, 700)),
    "failed-partition": ("reason-skyline-pan-1", (1440, 760)),
    "materialize-failed": ("materialize-failed", (1440, 760)),
    "out-of-date": ("out-of-date", (1440, 640)),
    "runs": ("runs", (1440, 560)),
    "manifest-checks": ("manifest-checks", (1440, 560)),
}
"""Name of a picture, the screenshot that it is made of, and how much of it is shown, from its upper left corner."""


def make(name: str) -> int:
    """Writes one picture, as good as its bytes allow; gives their number."""
    source, size = PICTURES[name]
    with Image.open(SCREENSHOTS / f"{source}.png") as screenshot:
        picture = screenshot.convert("RGB").crop((0, 0, *size))
    path = Path(__file__).with_name(f"{name}.jpg")
    for quality in range(88, 40, -4):
        picture.save(path, "JPEG", quality=quality, optimize=True, progressive=True)
        if path.stat().st_size <= MOST_BYTES:
            break
    return path.stat().st_size


if __name__ == "__main__":
    for one in sys.argv[1:] or PICTURES:
        print(f"{one}.jpg: {make(one)} bytes")  # noqa: T201  a script that says what it made
