"""Cuts the frames of the example batch out of the photographs that data/README.md names; no pipeline runs this.

Usage: pip install pillow pillow-jxl-plugin && python data/make_frames.py FOLDER_WITH_THE_PHOTOGRAPHS
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pillow_jxl  # noqa: F401 - importing it teaches Pillow JPEG XL
from PIL import Image

FRAMES = Path(__file__).parent / "frames"
QUALITY = 85

WIDE = (1280, 720)
"""16:9 at 720P; the other sizes are named in the table."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What a camera sees of one photograph.

    Attributes:
        center: Where it looks, as fractions of the photograph's width and height.
        width: How much of the photograph's width it sees, 0 to 1.
        turn: Degrees that the camera is turned clockwise.
        night: Whether the view is graded from day to night.
    """

    photograph: str
    center: tuple[float, float]
    width: float
    size: tuple[int, int]
    turn: float = 0.0
    night: bool = False


VIEWS = {
    "lake-1": View(photograph="lake-sherburne", center=(0.5, 0.5), width=1.0, size=WIDE),
    "lake-2": View(photograph="lake-sherburne", center=(0.33, 0.3), width=0.5, size=WIDE),
    "nightfall-1": View(photograph="lake-sherburne", center=(0.7, 0.62), width=0.6, size=(832, 468)),
    "nightfall-2": View(photograph="lake-sherburne", center=(0.7, 0.62), width=0.6, size=(832, 468), night=True),
    "dune-1": View(photograph="extreme-desert-hike", center=(0.37, 0.83), width=0.3, size=(800, 600)),
    "dune-2": View(photograph="extreme-desert-hike", center=(0.47, 0.5), width=0.88, size=(800, 600)),
    "skyline-1": View(photograph="singaporean-cityscape", center=(0.32, 0.5), width=0.56, size=(960, 540)),
    "skyline-2": View(photograph="singaporean-cityscape", center=(0.68, 0.5), width=0.56, size=(960, 540)),
    "colosseum-1": View(photograph="roman-colosseum", center=(0.36, 0.62), width=0.24, size=(720, 1280)),
    "colosseum-2": View(photograph="roman-colosseum", center=(0.48, 0.38), width=0.24, size=(720, 1280)),
    "spices-1": View(photograph="the-spices-of-life", center=(0.53, 0.56), width=0.5, size=(640, 640)),
    "spices-2": View(photograph="the-spices-of-life", center=(0.53, 0.56), width=0.38, size=(640, 640), turn=30),
    "heron-1": View(photograph="pondering-heron", center=(0.52, 0.5), width=0.42, size=(750, 1000)),
    "heron-2": View(photograph="pondering-heron", center=(0.53, 0.38), width=0.22, size=(750, 1000)),
    "match-cut-1": View(photograph="saturnian-profile", center=(0.5, 0.46), width=0.55, size=(960, 640)),
    "match-cut-2": View(photograph="casa-mila", center=(0.5, 0.5), width=1.0, size=(960, 640)),
    "terraces-1": View(photograph="tea-gardens", center=(0.37, 0.55), width=0.66, size=(1120, 480)),
    "terraces-2": View(photograph="tea-gardens", center=(0.63, 0.68), width=0.66, size=(1120, 480)),
    "otter-1": View(photograph="oakland-zoo-otters", center=(0.5, 0.5), width=0.68, size=(800, 640)),
    "otter-2": View(photograph="oakland-zoo-otters", center=(0.37, 0.4), width=0.36, size=(800, 640)),
}


def look(view: View, photograph: Image.Image) -> Image.Image:
    """The picture of one view."""
    x, y = view.center[0] * photograph.width, view.center[1] * photograph.height
    wide = view.width * photograph.width
    high = wide * view.size[1] / view.size[0]
    box = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
    turned = photograph.rotate(view.turn, Image.Resampling.BICUBIC, center=(x, y)) if view.turn else photograph
    picture = turned.resize(view.size, Image.Resampling.LANCZOS, box=box)
    return turn_to_night(picture) if view.night else picture


def turn_to_night(day: Image.Image) -> Image.Image:
    """The picture as moonlight would show it: little colour, a blue cast, deep shadows."""
    color = 0.25
    red, green, blue = ((1 - color) * share for share in (0.2126, 0.7152, 0.0722))
    rows = [
        [cast * (share + color * (row == column)) for column, share in enumerate((red, green, blue))]
        for row, cast in enumerate((0.6, 0.74, 1.0))
    ]
    moonlit = day.convert("RGB", [value for row in rows for value in (*row, 0.0)])
    return moonlit.point([round(6 + 150 * (value / 255) ** 1.7) for value in range(256)] * 3)


def main(folder: Path) -> None:
    """Writes every frame as a JPEG without metadata."""
    FRAMES.mkdir(exist_ok=True)
    for name, view in VIEWS.items():
        with Image.open(folder / f"{view.photograph}.jxl") as photograph:
            picture = look(view, photograph.convert("RGB"))
        picture.save(FRAMES / f"{name}.jpg", quality=QUALITY, optimize=True, progressive=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
