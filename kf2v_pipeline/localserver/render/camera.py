"""How the camera moves where the pictures leave that open, and how time passes. What asks for it, is ``words``."""

from __future__ import annotations

from enum import Enum
from math import cos, pi, radians, sin

import numpy as np

from .picture import Floats


class Move(Enum):
    """A camera move, named by what the camera does: panning right, things drift to the left."""

    ZOOM_IN = "zoom in"
    ZOOM_OUT = "zoom out"
    PAN_LEFT = "pan left"
    PAN_RIGHT = "pan right"
    TILT_UP = "tilt up"
    TILT_DOWN = "tilt down"
    ROLL = "roll"
    STILL = "no camera move"


class Easing(Enum):
    """How speed is spread over the film."""

    SMOOTH = "eased in and out"
    STEADY = "steady speed"
    START_FAST = "fast start"
    START_SLOW = "slow start"
    HOLD = "rest at both ends"


_ANCHOR = {  # the point about which each move zooms, in shares of the picture; at an edge it makes a pan
    Move.ZOOM_IN: (0.5, 0.5),
    Move.ZOOM_OUT: (0.5, 0.5),
    Move.PAN_LEFT: (0.0, 0.5),
    Move.PAN_RIGHT: (1.0, 0.5),
    Move.TILT_UP: (0.5, 0.0),
    Move.TILT_DOWN: (0.5, 1.0),
    Move.ROLL: (0.5, 0.5),
    Move.STILL: (0.5, 0.5),
}


def eased(easing: Easing, share: float) -> float:
    """How much of the motion is done after that share of the time; 0 and 1 stay what they are."""
    if easing is Easing.STEADY:
        return share
    if easing is Easing.START_FAST:
        return sin(pi / 2 * share)
    if easing is Easing.START_SLOW:
        return 1 - cos(pi / 2 * share)
    if easing is Easing.HOLD:
        share = min(max((share - 0.15) / 0.7, 0.0), 1.0)
    return (1 - cos(pi * share)) / 2


def virtual_move(move: Move, width: int, height: int) -> Floats:
    """The whole move over one picture, as a homography.

    A pan zooms in about a point of the picture's edge: things drift, and no border comes into view.
    """
    zoom, turn = {Move.ZOOM_OUT: (1 / 1.15, 0.0), Move.ROLL: (1.15, 6.0), Move.STILL: (1.0, 0.0)}.get(move, (1.15, 0.0))
    return _about(_ANCHOR[move], zoom, turn, width, height)


def sway(move: Move | None, handheld: Floats | None, share: float, width: int, height: int) -> Floats:
    """What is added to a path that the pictures give: a bump that is gone at both ends, as a homography of the output.

    Args:
        move: The move that the prompt asks for; None for none.
        handheld: Phases from ``handheld_phases``; None for a camera on a tripod.
        share: Of the time, 0 to 1.
        width: Of the output, in pixels.
        height: Of the output, in pixels.
    """
    bump = sin(pi * share) ** 2
    result: Floats = np.eye(3)
    if move is not None and move is not Move.STILL:
        zoom, turn = {Move.ZOOM_OUT: (1 / 1.04, 0.0), Move.ROLL: (1.04, 1.5)}.get(move, (1.06, 0.0))
        result = _about(_ANCHOR[move], zoom**bump, turn * bump, width, height)
    if handheld is not None:
        beats = np.sin(2 * pi * np.array([1.1, 2.3, 1.7, 2.9, 0.8]) * 5 * share / 2 + handheld)
        right, down = 0.003 * width * (beats[0] + beats[1] / 2), 0.003 * width * (beats[2] + beats[3] / 2)
        shift = np.array([[1, 0, right * bump], [0, 1, down * bump], [0, 0, 1]])
        result = shift @ _about((0.5, 0.5), 1 + 0.012 * bump, 0.25 * beats[4] * bump, width, height) @ result
    return result


def handheld_phases(seed: int) -> Floats:
    """Where in its swing each of the camera's tremors starts."""
    return np.random.default_rng(seed).uniform(0, 2 * pi, 5)


def _about(anchor: tuple[float, float], zoom: float, degrees: float, width: int, height: int) -> Floats:
    """Zoom and turn about a point given in shares of the picture."""
    x, y = anchor[0] * width - 0.5, anchor[1] * height - 0.5
    along, across = zoom * cos(radians(degrees)), zoom * sin(radians(degrees))
    return np.array(
        [
            [along, -across, x - along * x + across * y],
            [across, along, y - across * x - along * y],
            [0, 0, 1],
        ]
    )
