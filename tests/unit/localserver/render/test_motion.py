"""Motion that is not the camera's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from kf2v_pipeline.localserver.render.align import match_features
from kf2v_pipeline.localserver.render.canvas import lay_out
from kf2v_pipeline.localserver.render.flow import consistency, filled, inverted
from kf2v_pipeline.localserver.render.motion import measure_motion
from kf2v_pipeline.localserver.render.path import CameraPath
from kf2v_pipeline.localserver.render.warp import grid, sample

WIDTH, HEIGHT = 640, 352


@pytest.fixture(scope="module")
def gray(studio):
    return {seed: cv2.cvtColor(studio.wall(seed), cv2.COLOR_BGR2GRAY) for seed in (7, 8, 9)}


def _motion(first, last):
    canvas = lay_out(first, last, CameraPath.still(WIDTH, HEIGHT))
    assert canvas is not None
    return measure_motion(canvas, match_features(first, last))


@pytest.fixture(scope="module")
def scene(gray):
    """A thing of 160 by 150 pixels that moves 120 to the right before a wall."""

    def at(left):
        picture = gray[7][:HEIGHT, :WIDTH].copy()
        picture[100:250, left : left + 160] = gray[9][:150, :160]
        return picture

    return _motion(at(200), at(320))


def test_what_moves_before_a_scene_is_a_layer_of_its_own(scene):
    assert len(scene.layers) == 2


def test_a_layer_knows_where_each_picture_shows_it(scene):
    front = scene.layers[1]
    assert (int(front.in_first[175, 280]), int(front.in_first[175, 500])) == pytest.approx((255, 0), abs=12)
    assert (int(front.in_last[175, 400]), int(front.in_last[175, 240])) == pytest.approx((255, 0), abs=12)


def test_a_layer_knows_how_far_it_moves(scene):
    mover = scene.layers[1]
    assert mover.to_first[4][88, 170] == pytest.approx([-60, 0], abs=1.0)  # half-way; at half the canvas's size
    assert mover.to_last[4][88, 170] == pytest.approx([60, 0], abs=1.0)


def test_the_scene_behind_stays_where_it_is(scene):
    behind = scene.layers[0]
    assert behind.to_first is None or np.median(np.abs(behind.to_first[4])) < 0.1


def test_pictures_of_one_scene_agree_and_strangers_do_not(scene, gray):
    strangers = _motion(gray[7][:HEIGHT, :WIDTH].copy(), gray[8][:HEIGHT, :WIDTH].copy())
    assert scene.agreement > 0.8
    assert strangers.agreement < 0.4


def test_pictures_that_share_hardly_anything_are_not_laid_out(gray):
    away = CameraPath(np.array([[1, 0, 0.99 * WIDTH], [0, 1, 0], [0, 0, 1]]), WIDTH, HEIGHT)
    assert lay_out(gray[7][:HEIGHT, :WIDTH].copy(), gray[8][:HEIGHT, :WIDTH].copy(), away) is None


def test_a_motion_there_and_back_is_consistent():
    there = np.full((20, 30, 2), 3.0, np.float32)
    assert consistency(there, -there, 2.0) == pytest.approx(1)
    assert consistency(there, there, 2.0).max() < 0.01


def test_filling_keeps_what_is_trusted_and_carries_it_on():
    field = np.zeros((32, 48, 2), np.float32)
    field[:, :16] = 5
    trust = np.zeros((32, 48), np.float32)
    trust[:, :16] = 1
    assert filled(field, trust) == pytest.approx(5, abs=1e-4)


def test_an_inverted_motion_leads_back_to_where_things_came_from():
    places = grid(60, 40)
    motion = np.dstack([4 + np.sin(places[..., 1] / 8), np.cos(places[..., 0] / 9)]).astype(np.float32)
    back = inverted(motion, 0.5)
    came = places + back
    assert (came + 0.5 * sample(motion, came) - places)[8:-8, 8:-8] == pytest.approx(0, abs=1e-3)
