"""Matching and aligning."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from kf2v_pipeline.localserver.render.align import align, match_features

WIDTH, HEIGHT = 640, 360


@pytest.fixture(scope="module")
def plane(studio):
    return cv2.cvtColor(studio.wall(7), cv2.COLOR_BGR2GRAY)


def _view(plane, zoom=1.0, degrees=0.0, x=0.0, y=0.0):
    """The plane's middle seen by a camera, and the homography that carries the unmoved view to it."""
    centre = np.array([[1, 0, WIDTH / 2], [0, 1, HEIGHT / 2], [0, 0, 1]])
    turn = np.vstack([cv2.getRotationMatrix2D((0, 0), degrees, zoom), [0, 0, 1]])
    move = centre @ np.array([[1, 0, x], [0, 1, y], [0, 0, 1]]) @ turn @ np.linalg.inv(centre)
    start = np.array([[1, 0, -380.0], [0, 1, -270.0], [0, 0, 1]])
    return cv2.warpPerspective(plane, move @ start, (WIDTH, HEIGHT), flags=cv2.INTER_AREA), move


@pytest.mark.parametrize(
    "change",
    [{"x": -220}, {"zoom": 1.6}, {"zoom": 2.5, "x": 60}, {"degrees": 40}, {"degrees": -90, "zoom": 0.8}],
    ids=str,
)
def test_a_camera_move_is_found_to_half_a_pixel(plane, change):
    first, _ = _view(plane)
    last, move = _view(plane, **change)
    found = align(match_features(first, last), WIDTH, HEIGHT)
    assert found is not None
    points = np.array([[[x, y] for x in range(0, WIDTH, 80) for y in range(0, HEIGHT, 60)]], np.float64)
    miss = cv2.perspectiveTransform(points, found.path.at(1)) - cv2.perspectiveTransform(points, move)
    assert np.median(np.linalg.norm(miss, axis=2)) < 0.5


def test_pictures_that_share_nothing_are_not_aligned(plane, studio):
    first, _ = _view(plane)
    last, _ = _view(cv2.cvtColor(studio.wall(8), cv2.COLOR_BGR2GRAY))
    assert align(match_features(first, last), WIDTH, HEIGHT) is None


def test_a_mirrored_picture_is_not_aligned(plane):
    first, _ = _view(plane)
    assert align(match_features(first, np.ascontiguousarray(first[:, ::-1])), WIDTH, HEIGHT) is None


@pytest.mark.parametrize("shade", [0, 128])
def test_a_blank_picture_has_nothing_to_match(plane, shade):
    first, _ = _view(plane)
    blank = np.full_like(first, shade)
    assert len(match_features(first, blank).first) == len(match_features(blank, blank).first) == 0
