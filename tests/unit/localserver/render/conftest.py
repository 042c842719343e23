"""A studio: pictures with something to see in them, films made of them, and what it takes to look at both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from kf2v_pipeline.localserver.render import RenderReport, RenderRequest, render_film

Pixels = Any
"""A picture, ``(height, width, 3)``, blue-green-red."""


@dataclass(frozen=True, kw_only=True)
class Film:
    path: Path
    report: RenderReport

    @property
    def frames(self) -> list[Pixels]:
        with av.open(str(self.path)) as film:
            return [frame.to_ndarray(format="bgr24") for frame in film.decode(video=0)]


class Studio:
    """Everything in it depends on seeds alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    @staticmethod
    def wall(seed: int, width: int = 1400, height: int = 900) -> Pixels:
        """A wall full of shapes on soft clouds: features everywhere, no two places alike."""
        random = np.random.default_rng(seed)
        clouds = random.uniform(60, 200, (9, 14, 3)).astype(np.float32)
        wall = cv2.resize(clouds, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
        for _ in range(2500):
            centre = tuple(random.integers(0, (width, height)).tolist())
            size, turn = int(random.integers(3, 18)), float(random.uniform(0, 180))
            colour = random.integers(0, 256, 3).tolist()
            if random.random() < 0.5:
                cv2.ellipse(wall, centre, (size, max(3, size // 2)), turn, 0, 360, colour, -1, cv2.LINE_AA)
            else:
                box = cv2.boxPoints((centre, (size * 2, size), turn)).astype(np.int32)
                cv2.fillPoly(wall, [box], colour, cv2.LINE_AA)
        return cv2.GaussianBlur(wall, (0, 0), 0.8)

    @staticmethod
    def as_file(pixels: Pixels) -> bytes:
        return bytes(cv2.imencode(".png", pixels)[1])

    def film(self, first: Pixels, last: Pixels | None, **changes: Any) -> Film:
        """Render one second at 480P and steady speed; changes win."""
        asked: dict[str, Any] = {
            "first_frame": self.as_file(first),
            "last_frame": None if last is None else self.as_file(last),
            "resolution": "480P",
            "prompt": "constant speed",
            "negative_prompt": None,
            "seed": 1,
            "watermark": False,
            "prompt_extend": True,
            "duration_s": 1,
        }
        self._count += 1
        path = self._folder / f"{self._count}.mp4"
        return Film(path=path, report=render_film(RenderRequest(**(asked | changes)), path))

    @staticmethod
    def likeness(one: Pixels, other: Pixels) -> float:
        """Structural similarity of two pictures' luma, up to 1."""
        a, b = (cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float64) for picture in (one, other))

        def soft(plane: Pixels) -> Pixels:
            return cv2.GaussianBlur(plane, (11, 11), 1.5)

        mean_a, mean_b = soft(a), soft(b)
        var_a, var_b = soft(a * a) - mean_a**2, soft(b * b) - mean_b**2
        both = (2 * mean_a * mean_b + 6.5025) * (2 * (soft(a * b) - mean_a * mean_b) + 58.5225)
        return float((both / ((mean_a**2 + mean_b**2 + 6.5025) * (var_a + var_b + 58.5225))).mean())


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(tmp_path_factory.mktemp("studio"))
