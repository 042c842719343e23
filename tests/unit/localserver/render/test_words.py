"""What is read out of a prompt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.localserver.render.camera import Easing, Move
from kf2v_pipeline.localserver.render.words import read_direction


@pytest.mark.parametrize(
    ("prompt", "move"),
    [
        ("The camera zooms in on the cup", Move.ZOOM_IN),
        ("Slow dolly-in", Move.ZOOM_IN),
        ("the camera pulls back", Move.ZOOM_OUT),
        ("camera panning to the left", Move.PAN_LEFT),
        ("Pan right across the valley", Move.PAN_RIGHT),
        ("A kitten looks up; the camera rises from eye level", Move.TILT_UP),
        ("crane down", Move.TILT_DOWN),
        ("The camera slowly orbits the statue", Move.ROLL),
        ("static shot of a lake", Move.STILL),
        ("镜头从平视逐渐上升，最后俯拍它的好奇的眼神", Move.TILT_UP),
        ("镜头缓缓推近", Move.ZOOM_IN),
        ("固定镜头", Move.STILL),
    ],
)
def test_camera_words_are_followed(prompt, move):
    assert read_direction(prompt, None).move is move


@pytest.mark.parametrize("prompt", ["The sun rises over a pan of soup", "she looks left", "太阳上升", "", None])
def test_words_about_other_things_are_not_taken_for_the_camera(prompt):
    assert read_direction(prompt, None).move is None


def test_of_two_moves_the_first_counts():
    assert read_direction("pan left, then zoom in", None).move is Move.PAN_LEFT


@pytest.mark.parametrize(
    ("prompt", "easing"),
    [
        ("", Easing.SMOOTH),
        ("at constant speed", Easing.STEADY),
        ("匀速", Easing.STEADY),
        ("slowing down at the end", Easing.START_FAST),
        ("accelerating", Easing.START_SLOW),
    ],
)
def test_words_of_speed_set_the_timing(prompt, easing):
    assert read_direction(prompt, None).easing is easing


@pytest.mark.parametrize(
    ("prompt", "negative", "field", "value"),
    [
        ("handheld", None, "handheld", True),
        ("handheld", "shaky", "handheld", False),
        ("film grain", None, "grain", True),
        ("film grain", "noise, blur", "grain", False),
        ("cross dissolve", None, "flow", False),
        ("", "morphing", "flow", False),
        ("", "low quality, extra fingers", "flow", True),
    ],
)
def test_the_negative_prompt_takes_away_what_would_be_added(prompt, negative, field, value):
    assert getattr(read_direction(prompt, negative), field) is value


def test_a_move_that_the_negative_prompt_names_is_not_made():
    assert read_direction("zoom in", "zoom").move is Move.STILL


def test_no_camera_movement_rules_out_every_move():
    assert read_direction("", "camera movement").unwanted == set(Move) - {Move.STILL}


@given(st.text(), st.text())
def test_no_text_is_too_strange_to_be_read(prompt, negative):
    assert read_direction(prompt, negative).easing in Easing
