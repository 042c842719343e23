"""What two pictures have to do with each other, and so how one becomes the other. Painting it belongs elsewhere."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .align import Alignment, Matches, align, match_features
from .camera import Easing, Move, virtual_move
from .canvas import Canvas, lay_out
from .checkpoint import CheckpointError
from .learned import learned_motion
from .motion import Motion, likeness, measure_motion
from .path import CameraPath, corners
from .picture import Planes
from .refine import refined
from .warp import magnification
from .words import Direction

_SPEAKER = "local engine:"  # who says so: not the model

log = logging.getLogger(__name__)

_EXPLAINED = 0.97  # agreement from which on nothing is left to explain
_CLEARLY = 0.03  # agreement that the learned flow must gain: its measure, half-way, is the kinder one
_HARDLY = 2.0  # pixels by which a corner moves where there is no question of a camera that moves or not
_NO_BETTER = 0.02  # agreement that a camera's move must gain over standing still: the points may lie on a moving thing
_WELL = 0.6  # agreement that the learned flow must reach: it bends even two scenes into each other somehow
_ONE_SCENE = 0.45  # agreement from which on motion is believed: one scene gives 0.6 and more, two hardly 0.3


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """How the film gets from its first picture to its last.

    Attributes:
        path: The camera's, out of the pictures or out of the prompt.
        motion: What moves by itself; None where nothing is believed to, and the pictures are dissolved.
        bump: A move that the prompt asks for on top of a path that the pictures give; None for none.
        alone: There is no last picture.
        related: Both pictures show one scene.
        path_taken: ``camera+flow``, ``flow``, ``camera+dissolve``, ``dissolve``, or ``camera`` for a single picture.
        story: The same in words, with figures.
    """

    path: CameraPath
    motion: Motion | None
    bump: Move | None
    alone: bool
    related: bool
    path_taken: str
    story: str

    def mixed(self, moved: float) -> float:
        """The share of the last picture, once so much of the motion is done, where both show the same."""
        return 0.0 if self.alone else _risen(moved, 0.3, 0.7)

    def dissolved(self, moved: float) -> float:
        """The share of the last picture where the two do not agree, so that only a dissolve leads there."""
        if self.alone:
            return 0.0
        return moved if self.related else _risen(moved, 0.2, 0.8)


def read_scene(
    first: Planes, last: Planes | None, direction: Direction, seed: int, weights: Path | None = None
) -> Scene:
    """Find out what the pictures share, and choose the way between them; with the learned flow if there are weights."""
    height, width = first.luma.shape
    if last is None:
        move = _chosen(direction, seed)
        path = CameraPath(virtual_move(move, width, height), width, height)
        story = f"{_SPEAKER} one picture, {move.value}, {_timing(direction)}"
        return Scene(path=path, motion=None, bump=None, alone=True, related=False, path_taken="camera", story=story)
    matches = match_features(first.luma, last.luma)
    alignment = align(matches, width, height)
    path, canvas, stands = _camera(first, last, alignment)
    motion = _motion(canvas, matches, weights) if canvas is not None and direction.flow else None
    if motion is not None and motion.agreement < _ONE_SCENE:
        motion = None
    if alignment is None and motion is None:
        return _unrelated(direction, seed, width, height)
    zoom = magnification(path.at(1), width, height)
    return _related(None if stands else alignment, motion, path, direction, zoom)


def _camera(first: Planes, last: Planes, alignment: Alignment | None) -> tuple[CameraPath, Canvas | None, bool]:
    """The camera's path, both pictures as it leaves them, and whether it stands still whatever the features say.

    Features may all lie on something that turns before a plain background, such as a globe in the dark; what has no
    features, its outline above all, then tells that the camera has not moved.
    """
    height, width = first.luma.shape
    path = CameraPath.still(width, height)
    canvas, stands = lay_out(first.luma, last.luma, path), False
    if alignment is not None:
        aligned = lay_out(first.luma, last.luma, alignment.path)
        strayed = np.abs(corners(alignment.path.at(1), width, height) - corners(np.eye(3), width, height)).max()
        if strayed > _HARDLY and canvas is not None and aligned is not None:
            stands = likeness(canvas) > likeness(aligned) - _NO_BETTER
        if not stands:
            path, canvas = alignment.path, aligned
    if canvas is None:
        return path, None, stands
    path = refined(path, canvas)
    return path, lay_out(first.luma, last.luma, path), stands


def _motion(canvas: Canvas, matches: Matches, weights: Path | None) -> Motion:
    """What moves by itself: by dense search, or by the learned flow where that explains clearly more."""
    found = measure_motion(canvas, matches)
    if weights is None or found.agreement > _EXPLAINED:
        return found
    try:
        learned = learned_motion(canvas, weights)
    except CheckpointError as error:
        log.warning("The learned flow is left out: %s", error)
        return found
    needed = max(found.agreement + _CLEARLY, _WELL)
    return learned if learned.agreement > needed else found


def _unrelated(direction: Direction, seed: int, width: int, height: int) -> Scene:
    move = _chosen(direction, seed)
    return Scene(
        path=CameraPath(virtual_move(move, width, height), width, height),
        motion=None,
        bump=None,
        alone=False,
        related=False,
        path_taken="dissolve",
        story=f"{_SPEAKER} dissolve between two pictures, {move.value}, {_timing(direction)}",
    )


def _related(
    alignment: Alignment | None, motion: Motion | None, path: CameraPath, direction: Direction, zoom: float
) -> Scene:
    told = []
    if alignment is not None:
        told.append(f"camera path from the pictures ({alignment.inliers} shared points, zoom x{zoom:.2f})")
    if motion is not None:
        movers = len(motion.layers) - 1
        told.append(f"motion from the pictures (agreement {motion.agreement:.2f}, moving things {movers})")
    else:
        told.append("dissolve")
    if direction.move is not None and direction.move is not Move.STILL:
        told.append(f"a little {direction.move.value} on the way")
    return Scene(
        path=path,
        motion=motion,
        bump=direction.move,
        alone=False,
        related=True,
        path_taken="+".join(["camera"] * (alignment is not None) + ["dissolve" if motion is None else "flow"]),
        story=f"{_SPEAKER} same scene, {', '.join(told)}, {_timing(direction)}",
    )


def _chosen(direction: Direction, seed: int) -> Move:
    """The camera's move where the pictures give none: the prompt's, else a gentle zoom whose sense the seed decides."""
    if direction.move is not None:
        return direction.move
    zooms = (Move.ZOOM_IN, Move.ZOOM_OUT)
    usual = zooms[seed % 2]
    open_to = [move for move in (usual, *zooms, Move.PAN_RIGHT) if move not in direction.unwanted]
    return open_to[0] if open_to else Move.STILL


def _risen(moved: float, begins: float, ends: float) -> float:
    """From 0 at its begin to 1 at its end, without a kink."""
    late = min(max((moved - begins) / (ends - begins), 0.0), 1.0)
    return late * late * (3 - 2 * late)


def _timing(direction: Direction) -> str:
    extras = ", handheld" * direction.handheld + ", film grain" * direction.grain
    return ("eased in and out" if direction.easing is Easing.SMOOTH else direction.easing.value) + extras
