"""Motion by the learned flow network, at a few instants. The network itself belongs to ``network``."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from .canvas import Canvas
from .motion import Layer, Motion, agreement, doubt, key_size, unlikeness
from .network import SIDE, Answer, network_of
from .picture import Bytes, Floats
from .warp import grid, sample

_LONG_SIDE = 448  # pixels of the pictures that the network sees: more costs twice and finds hardly more
_KEYS = 5  # instants, both ends included; the network is poor near the ends, so few and interpolated are best
_SAME, _OTHER = 8.0, 24.0  # grey levels by which both pictures differ where they show one thing, and two for certain


def learned_motion(canvas: Canvas, weights: Path) -> Motion:
    """Ask the network for the motion on a canvas.

    Raises:
        CheckpointError: The weights can't be read, or do not fit.
    """
    width, height = _size(canvas)
    pictures = _resized(canvas.first, width, height), _resized(canvas.last, width, height)
    network = network_of(weights, width, height)
    instants = [index / (_KEYS - 1) for index in range(1, _KEYS - 1)]
    answers = [network.ask(*pictures, instant) for instant in instants]
    leans = [_lean(answer, *pictures) for answer in answers]
    gate = _gate(canvas)
    to_first = [_on_keys(answer.to_first, canvas) * gate for answer in answers]
    to_last = [_on_keys(answer.to_last, canvas) * gate for answer in answers]
    still = np.zeros_like(gate * to_first[0])
    leans = [_resized(lean, *key_size(canvas)) for lean in leans]
    ways_first = (still, *to_first, to_first[-1] / instants[-1])
    ways_last = (to_last[0] / (1 - instants[0]), *to_last, still)
    layer = Layer(
        to_first=ways_first,
        to_last=ways_last,
        unsure=unlikeness(canvas, ways_first, ways_last),
        leans=(leans[0], *leans, leans[-1]),
        in_first=None,
        in_last=None,
    )
    middle = len(answers) // 2
    return Motion(canvas=canvas, layers=(layer,), agreement=_agreement(canvas, to_first[middle], to_last[middle]))


def _size(canvas: Canvas) -> tuple[int, int]:
    scale = _LONG_SIDE / max(canvas.width, canvas.height)
    sides = [max(SIDE, round(side * scale / SIDE) * SIDE) for side in (canvas.width, canvas.height)]
    return sides[0], sides[1]


def _resized(plane: Floats, width: int, height: int) -> Floats:
    method = cv2.INTER_AREA if width < plane.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (width, height), interpolation=method))


def _on_keys(flow: Floats, canvas: Canvas) -> Floats:
    """A flow of the network's pictures, in canvas pixels and at half the canvas's size."""
    high, wide = flow.shape[:2]
    factor = np.array([canvas.width / wide, canvas.height / high], np.float32)
    return np.asarray(_resized(flow, *key_size(canvas)) * factor)


def _gate(canvas: Canvas) -> Floats:
    """Where motion is believed at all: not where only one picture shows something, nor where nothing has changed."""
    gate = doubt(canvas) * cv2.blur(canvas.shared, (5, 5))
    return _resized(gate, *key_size(canvas))[..., None]


def _lean(answer: Answer, first: Bytes, last: Bytes) -> Floats:
    """0.5 where both pictures show what is there; towards 1 where only the first does, towards 0 where the last."""
    places = grid(first.shape[1], first.shape[0])
    met = [
        sample(picture.astype(np.float32), places + way)
        for picture, way in ((first, answer.to_first), (last, answer.to_last))
    ]
    unlike = np.clip((cv2.blur(cv2.absdiff(*met), (3, 3)) - _SAME) / (_OTHER - _SAME), 0, 1)
    return np.asarray(0.5 + (answer.share - 0.5) * unlike, np.float32)


def _agreement(canvas: Canvas, to_first: Floats, to_last: Floats) -> float:
    """How alike both pictures are half-way, once each has moved there."""
    size = (canvas.width, canvas.height)
    met = [
        sample(picture.astype(np.float32), canvas.grid + _resized(way, *size))
        for picture, way in ((canvas.first, to_first), (canvas.last, to_last))
    ]
    return agreement(met[0], met[1], canvas.shared)
