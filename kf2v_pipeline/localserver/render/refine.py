"""The camera's path made exact: what is left of it once both pictures lie on one canvas. Matching belongs elsewhere."""

from __future__ import annotations

import cv2
import numpy as np

from .canvas import Canvas
from .flow import dis_flow
from .path import CameraPath, corners

_STEP = 8  # canvas pixels from one measured place to the next
_TEXTURE = 8.0  # deviation of grey levels about a place below which motion can't be told there
_TOLERANCE = 0.35  # canvas pixels by which a place may miss the camera's move
_MIN_PLACES = 60
_MIN_SHARE = 0.5  # of the measured places that must obey
_STILL = 0.15  # output pixels by which a corner may move and the camera still stand
_MOST = 6.0  # canvas pixels by which the path is corrected at most


def refined(path: CameraPath, canvas: Canvas) -> CameraPath:
    """The path with the camera's remaining motion on the canvas taken in, as far as most of the scene agrees.

    Features alone miss by some tenths of a pixel, which shows as softness where both pictures are mixed.
    """
    height, width = canvas.first.shape
    motion = dis_flow(canvas.first, canvas.last, near=True)
    places = canvas.grid[_STEP // 2 :: _STEP, _STEP // 2 :: _STEP].reshape(-1, 2)
    seen = canvas.first.astype(np.float32)
    deviation = np.sqrt(np.maximum(cv2.blur(seen * seen, (15, 15)) - np.square(cv2.blur(seen, (15, 15))), 0))
    columns, rows = places.astype(int).T
    telling = (canvas.shared[rows, columns] > 0) & (deviation[rows, columns] > _TEXTURE)
    if telling.sum() < _MIN_PLACES:
        return path
    from_places = places[telling]
    to_places = from_places + motion[rows, columns][telling]
    matrix, obeying = cv2.findHomography(from_places, to_places, cv2.USAC_MAGSAC, _TOLERANCE, maxIters=2000)
    if np.size(matrix) != 9 or obeying.sum() < _MIN_SHARE * len(from_places):
        return path
    if np.abs(corners(matrix, width, height) - corners(np.eye(3), width, height)).max() > _MOST:
        return path
    whole = np.linalg.inv(canvas.from_last) @ matrix @ canvas.from_first
    return _snapped(whole, path)


def _snapped(matrix: np.ndarray, path: CameraPath) -> CameraPath:
    width, height = path.size
    if np.abs(corners(matrix, width, height) - corners(np.eye(3), width, height)).max() < _STILL:
        return CameraPath.still(width, height)
    try:
        return CameraPath(matrix, width, height)
    except ValueError:
        return path
