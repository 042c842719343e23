"""A camera over real photographs, and light: what films are made with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from .film import MadeFilm, Pixels

PHOTOGRAPHS = sorted((Path(__file__).parents[2] / "data" / "frames").glob("*.jpg"))


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Where a camera looks: at a point in shares of the photograph, so close, and so turned."""

    x: float = 0.5
    y: float = 0.5
    zoom: float = 1.0
    turn: float = 0.0

    def towards(self, other: Camera, share: float) -> Camera:
        """The way to another place, at a share of it; zooms are even in their logarithm."""
        return Camera(
            x=self.x + (other.x - self.x) * share,
            y=self.y + (other.y - self.y) * share,
            zoom=self.zoom * (other.zoom / self.zoom) ** share,
            turn=self.turn + (other.turn - self.turn) * share,
        )


class Studio:
    """Makes films of one size and length; the same seed makes the same film."""

    def __init__(self, size: tuple[int, int] = (640, 360), frames: int = 150, fps: int = 30) -> None:
        self.size = size
        self.frames = frames
        self.fps = fps

    def view(self, photograph: Pixels, camera: Camera) -> Pixels:
        """What the camera sees of a photograph; its borders are mirrored."""
        width, height = self.size
        high, wide = photograph.shape[:2]
        scale = max(width / wide, height / high) * camera.zoom
        cos, sin = scale * math.cos(math.radians(camera.turn)), scale * math.sin(math.radians(camera.turn))
        x, y = camera.x * wide, camera.y * high
        matrix = np.array([[cos, -sin, width / 2 - cos * x + sin * y], [sin, cos, height / 2 - sin * x - cos * y]])
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        return cv2.warpAffine(photograph, matrix, self.size, flags=method, borderMode=cv2.BORDER_REFLECT_101)

    def move(self, photograph: Pixels, way: Callable[[float], Camera]) -> list[Pixels]:
        """A film along a way of cameras, by the share of the film."""
        return [self.view(photograph, way(n / (self.frames - 1))) for n in range(self.frames)]

    def film(self, pictures: Sequence[Pixels], **changes: object) -> MadeFilm:
        """A film whose frames are its own ends."""
        made = MadeFilm(pictures=pictures, first=pictures[0], last=pictures[-1], fps=self.fps)
        return replace(made, **changes)  # type: ignore[arg-type]


@cache
def photograph(number: int) -> Pixels:
    """One of the example batch's photographs, 1280 pixels wide or high at most."""
    return cv2.imread(str(PHOTOGRAPHS[number % len(PHOTOGRAPHS)]))


def lit(picture: Pixels, gain: float, lift: float = 0.0) -> Pixels:
    """The picture brighter or darker."""
    return (picture.astype(np.float32) * gain + lift).clip(0, 255).astype(np.uint8)


def mixed(first: Pixels, last: Pixels, share: float) -> Pixels:
    return cv2.addWeighted(first, 1 - share, last, share, 0)


def eased(share: float) -> float:
    return share * share * (3 - 2 * share)


Maker = Callable[[Studio, int], MadeFilm]


def drawn(name: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, *name.encode()])
