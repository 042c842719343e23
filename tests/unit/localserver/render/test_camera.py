"""Camera moves and timing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.localserver.render.camera import Easing, Move, eased, handheld_phases, sway, virtual_move

WIDTH, HEIGHT = 1280, 720
easings = st.sampled_from(Easing)
shares = st.floats(0, 1)


@given(easings)
def test_time_starts_at_0_and_ends_at_1(easing):
    assert (eased(easing, 0.0), eased(easing, 1.0)) == pytest.approx((0, 1))


@given(easings, shares, shares)
def test_time_never_runs_backwards(easing, one, other):
    early, late = sorted((one, other))
    assert eased(easing, early) <= eased(easing, late) + 1e-12


@given(st.sampled_from([None, *Move]), st.integers(0, 99), st.sampled_from([0.0, 1.0]))
def test_what_is_added_to_a_path_is_gone_at_both_ends(move, seed, end):
    assert np.allclose(sway(move, handheld_phases(seed), end, WIDTH, HEIGHT), np.eye(3), atol=1e-9)


def test_a_hand_trembles_in_the_middle():
    assert not np.allclose(sway(None, handheld_phases(1), 0.5, WIDTH, HEIGHT), np.eye(3), atol=1e-3)


@pytest.mark.parametrize(
    ("move", "right", "down"),
    [(Move.PAN_RIGHT, -1, 0), (Move.PAN_LEFT, 1, 0), (Move.TILT_UP, 0, 1), (Move.TILT_DOWN, 0, -1), (Move.STILL, 0, 0)],
)
def test_things_drift_against_the_camera(move, right, down):
    centre = np.array([WIDTH / 2 - 0.5, HEIGHT / 2 - 0.5, 1])
    drift = (virtual_move(move, WIDTH, HEIGHT) @ centre - centre)[:2]
    assert tuple(np.sign(np.round(drift, 6))) == (right, down)


@pytest.mark.parametrize("move", [Move.ZOOM_IN, Move.PAN_LEFT, Move.PAN_RIGHT, Move.TILT_UP, Move.TILT_DOWN])
def test_a_move_over_one_picture_never_shows_its_edges(move):
    seen = np.linalg.inv(virtual_move(move, WIDTH, HEIGHT))
    corners = np.array([[-0.5, -0.5, 1], [WIDTH - 0.5, HEIGHT - 0.5, 1]]).T
    (left, right), (top, bottom), _ = seen @ corners
    assert left >= -0.5 - 1e-9
    assert top >= -0.5 - 1e-9
    assert right <= WIDTH - 0.5 + 1e-9
    assert bottom <= HEIGHT - 0.5 + 1e-9
