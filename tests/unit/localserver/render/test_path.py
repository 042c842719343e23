"""Fractional powers of homographies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.localserver.render.path import CameraPath

WIDTH, HEIGHT = 1280, 720


def _about_centre(degrees, zoom):
    cos, sin = zoom * np.cos(np.radians(degrees)), zoom * np.sin(np.radians(degrees))
    there = np.array([[1, 0, WIDTH / 2], [0, 1, HEIGHT / 2], [0, 0, 1.0]])
    return there @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]]) @ np.linalg.inv(there)


def _same(one, other):
    return np.allclose(one / one[2, 2], other / other[2, 2], rtol=1e-6, atol=1e-6)


moves = st.builds(
    lambda turn, zoom, right, down, tip: (
        _about_centre(turn, zoom) @ np.array([[1, 0, right], [0, 1, down], [tip, tip / 2, 1]])
    ),
    st.floats(-100, 100),
    st.floats(0.4, 2.5),
    st.floats(-600, 600),
    st.floats(-400, 400),
    st.floats(-1e-4, 1e-4),
)


@given(moves)
def test_the_whole_path_is_the_homography(move):
    assert _same(CameraPath(move, WIDTH, HEIGHT).at(1), move)


@given(moves, st.floats(-1, 1), st.floats(-1, 1))
def test_two_parts_of_a_path_make_their_sum(move, one, other):
    path = CameraPath(move, WIDTH, HEIGHT)
    assert _same(path.at(one) @ path.at(other), path.at(one + other))


def test_half_a_pan_goes_half_the_way():
    """A pure translation has a single eigenvector, on which other ways to take powers fail."""
    pan = np.array([[1, 0, 400], [0, 1, -60], [0, 0, 1.0]])
    assert _same(CameraPath(pan, WIDTH, HEIGHT).at(0.5), np.array([[1, 0, 200], [0, 1, -30], [0, 0, 1.0]]))


def test_half_a_zoom_magnifies_by_the_root():
    assert _same(CameraPath(_about_centre(0, 4.0), WIDTH, HEIGHT).at(0.5), _about_centre(0, 2.0))


def test_half_a_turn_turns_by_half_the_angle():
    assert _same(CameraPath(_about_centre(50, 1.0), WIDTH, HEIGHT).at(0.5), _about_centre(25, 1.0))


@pytest.mark.parametrize("impossible", [np.diag([-1.0, 1.0, 1.0]), _about_centre(180, 1.0), np.zeros((3, 3))])
def test_where_no_steady_move_leads_there_is_no_path(impossible):
    with pytest.raises(ValueError, match="homography"):
        CameraPath(impossible, WIDTH, HEIGHT)
