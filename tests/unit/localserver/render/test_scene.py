"""What two pictures have to do with each other."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from kf2v_pipeline.localserver.render.paint import Instant, Painter
from kf2v_pipeline.localserver.render.path import corners
from kf2v_pipeline.localserver.render.picture import Planes, to_planes
from kf2v_pipeline.localserver.render.scene import read_scene
from kf2v_pipeline.localserver.render.words import read_direction

WIDTH, HEIGHT = 832, 480


def _scene(first, last):
    return read_scene(to_planes(first), to_planes(last), read_direction("constant speed", None), seed=0)


def _frame(first, last, moved):
    """The luma of what is painted once so much of the motion is done."""
    scene = _scene(first, last)
    a, b = to_planes(first), to_planes(last)
    out = Planes(*(np.empty_like(plane) for plane in a))
    instant = Instant(moved=moved, mixed=scene.mixed(moved), dissolved=scene.dissolved(moved), sway=np.eye(3))
    Painter(a, b, scene.path, scene.motion, mirror=not scene.related).paint(instant, out)
    return out.luma


@pytest.fixture(scope="module")
def globe(studio):
    """A ball before the dark whose surface goes by 24 pixels while its bright rim stays where it is."""
    surface = studio.wall(3) // 6

    def at(left):
        ball = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.circle(ball, (416, 240), 200, 255, -1, cv2.LINE_AA)
        picture = np.where(ball[..., None] > 127, surface[:HEIGHT, left : left + WIDTH], 4)
        cv2.circle(picture, (416, 240), 200, (230, 200, 160), 10, cv2.LINE_AA)
        return picture.astype(np.uint8)

    return at(124), at(100)


def test_the_camera_stands_still_where_only_the_surface_of_a_thing_goes_by(globe):
    scene = _scene(*globe)
    assert corners(scene.path.at(1), WIDTH, HEIGHT) == pytest.approx(corners(np.eye(3), WIDTH, HEIGHT), abs=2)
    assert scene.path_taken == "flow"


def test_a_still_outline_stays_sharp_while_what_is_within_it_moves(globe):
    rim = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(rim, (416, 240), 200, 255, 6)
    for moved in (0.25, 0.5, 0.75):
        difference = cv2.absdiff(_frame(*globe, moved), to_planes(globe[0]).luma)
        assert difference[rim > 0].mean() < 8


def test_a_pan_is_the_cameras(studio):
    wall = studio.wall(3)
    scene = _scene(wall[:HEIGHT, :WIDTH], wall[:HEIGHT, 60 : 60 + WIDTH])
    assert scene.path.at(1)[0, 2] == pytest.approx(-60, abs=0.2)
    assert scene.path_taken.startswith("camera")


@pytest.fixture(scope="module")
def changed(studio):
    """One wall, with something else in the middle of the last picture."""
    first = studio.wall(3)[:HEIGHT, :WIDTH]
    last = first.copy()
    last[140:340, 300:540] = studio.wall(4)[:200, :240] // 4
    return first, last


def test_what_no_motion_explains_is_dissolved_evenly_from_the_first_frame_to_the_last(changed):
    first, last = (to_planes(picture).luma[190:290, 360:480].astype(float) for picture in changed)
    for moved in (0.1, 0.25, 0.5, 0.9):
        share = (_frame(*changed, moved)[190:290, 360:480] - first).mean() / (last - first).mean()
        assert share == pytest.approx(moved, abs=0.12)


def test_what_has_not_changed_beside_it_stays_as_sharp_as_it_is(changed):
    there = to_planes(changed[0]).luma[:, :200]
    for moved in (0.1, 0.5, 0.9):
        assert cv2.absdiff(_frame(*changed, moved)[:, :200], there).mean() < 0.2
