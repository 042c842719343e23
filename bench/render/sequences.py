"""Moving pictures whose every instant is known: camera moves over a wall of photographs, and things in front of it.

The photographs come with scikit-image (public domain or CC0, see its ``skimage.data`` documentation).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from skimage import data

from kf2v_pipeline.localserver.render.path import CameraPath

WIDTH, HEIGHT = 1280, 720

Truth = Callable[[float], np.ndarray]
"""The picture at an instant of 0 to 1, blue-green-red."""


@dataclass(frozen=True)
class Sequence:
    name: str
    truth: Truth


TILE_WIDTH, TILE_HEIGHT = 640, 480

PHOTOGRAPHS = (
    ("rocket", "brick", "hubble_deep_field", "moon"),
    ("coffee", "astronaut", "immunohistochemistry", "page"),
    ("clock", "retina", "camera", "coffee"),
    ("grass", "coins", "gravel", "rocket"),
)


@cache
def wall() -> np.ndarray:
    """A plane of photographs side by side, blue-green-red."""
    return np.vstack([np.hstack([_tile(getattr(data, name)()) for name in row]) for row in PHOTOGRAPHS])


def _tile(picture: np.ndarray) -> np.ndarray:
    colour = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR if picture.ndim == 2 else cv2.COLOR_RGB2BGR)
    scale = max(TILE_WIDTH / colour.shape[1], TILE_HEIGHT / colour.shape[0])
    method = cv2.INTER_LANCZOS4 if scale > 1 else cv2.INTER_AREA
    large = cv2.resize(colour, None, fx=scale, fy=scale, interpolation=method)
    top, left = (large.shape[0] - TILE_HEIGHT) // 2, (large.shape[1] - TILE_WIDTH) // 2
    return large[top : top + TILE_HEIGHT, left : left + TILE_WIDTH]


def view(plane: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """What a camera sees whose homography maps the plane's pixels to the picture's; four samples a pixel each way."""
    fine = np.array([[4, 0, 1.5], [0, 4, 1.5], [0, 0, 1.0]])
    size = (WIDTH * 4, HEIGHT * 4)
    sharp = cv2.warpPerspective(plane, fine @ matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return cv2.resize(sharp, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def camera(name: str, start: np.ndarray, move: np.ndarray) -> Sequence:
    """A camera that starts with a homography and carries the picture's points along a move."""
    path = CameraPath(move, WIDTH, HEIGHT)
    return Sequence(name, lambda t: view(wall(), path.at(t) @ start))


def parallax(share: float) -> Sequence:
    """A cat before a wall: the wall drifts by a thirtieth of the width, the cat by ``share`` of it."""
    face = cv2.resize(data.chelsea()[:, 75:375, ::-1], (420, 420), interpolation=cv2.INTER_LANCZOS4)
    mask = np.zeros((420, 420), np.float32)
    cv2.ellipse(mask, (210, 210), (190, 160), 0, 0, 360, 1.0, -1, cv2.LINE_AA)

    def truth(t: float) -> np.ndarray:
        back = view(wall(), _shift(-650 + WIDTH / 30 * t, -600))
        left = WIDTH * (0.5 - share / 2 + share * t) - 210
        place = _shift(left, 180)
        alpha = cv2.warpPerspective(mask, place, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)[..., None]
        front = cv2.warpPerspective(face, place, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
        return np.rint(back * (1 - alpha) + front * alpha).clip(0, 255).astype(np.uint8)

    return Sequence(f"parallax {share:.0%}", truth)


def all_sequences() -> list[Sequence]:
    start = _shift(-420, -330)
    perspective = np.array([[1.06, 0.06, -40.0], [0.02, 1.08, -20.0], [9e-5, 5e-5, 1.0]])
    return [
        camera("zoom 1.6", start, _turn(0, 1.6)),
        camera("zoom 3 off-centre", start, _turn(0, 3.0, 0.3, 0.35)),
        camera("pan 35 %", start, _shift(-0.35 * WIDTH, 0)),
        camera("pan 60 % diagonal", start, _shift(-0.6 * WIDTH, -0.35 * HEIGHT)),
        camera("rotation 25", start, _turn(25, 1.0)),
        camera("perspective", start, perspective),
        parallax(0.06),
        parallax(0.20),
        parallax(0.40),
    ]


def _shift(right: float, down: float) -> np.ndarray:
    return np.array([[1, 0, right], [0, 1, down], [0, 0, 1.0]])


def _turn(degrees: float, zoom: float, x: float = 0.5, y: float = 0.5) -> np.ndarray:
    """Turn and zoom about a point given in shares of the picture."""
    cos, sin = zoom * np.cos(np.radians(degrees)), zoom * np.sin(np.radians(degrees))
    there = _shift(x * WIDTH, y * HEIGHT)
    return there @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]]) @ np.linalg.inv(there)
