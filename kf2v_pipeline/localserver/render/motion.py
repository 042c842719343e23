"""What moves by itself between two pictures of one scene, sorted into layers. Painting them belongs elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .align import Matches
from .canvas import Canvas
from .flow import DenseFlow, consistency, dis_flow, filled, inverted
from .picture import Bytes, Floats
from .warp import carried, grid, sample

KEYS = 9
"""Instants, evenly spread from 0 to 1, for which motion is worked out; between them it is interpolated."""

_MOVERS = 2  # things that move on their own, at most
_MIN_MATCHES = 8  # that a mover must explain
_APART = 6.0  # canvas pixels by which matches must miss the camera's move to count for a mover
_NO_MATCH = 22.0  # misfit in grey levels from which on a pixel belongs to no mover
_SMALLEST = 0.0006  # of the canvas: what is smaller is no mover but noise
_RIM = 11  # canvas pixels around a mover that are not trusted to be background
_ALIKE, _UNLIKE = 4.0, 10.0  # grey levels by which places differ that are at rest, and that have moved for certain
_REACH = 31  # canvas pixels around a difference within which motion is believed
_SAME, _OTHER = 6.0, 18.0  # grey levels by which places differ that show one thing, and two for certain
_AT_REST = 0.2  # canvas pixels; what moves less everywhere, does not move


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """Things that move together.

    Attributes:
        to_first: For each key, ``(height, width, 2)`` at half the canvas's size, in canvas pixels: from a place at
            that instant to where the first picture's canvas shows the same. None where only the camera moves.
        to_last: The same for the last picture.
        unsure: For each key, or once for all, at half the canvas's size: 0 where both pictures show the same once the
            motion is undone, 1 where they do not.
        leans: For each key, at half the canvas's size: 1 where only the first picture shows what is there at that
            instant, 0 where only the last does, 0.5 where both do. None where ``in_first`` and ``in_last`` tell it.
        in_first: ``(height, width)`` of the canvas, 0 to 255: how surely the first picture shows this layer; None
            for everywhere.
        in_last: The same for the last picture.
    """

    to_first: tuple[Floats, ...] | None
    to_last: tuple[Floats, ...] | None
    unsure: tuple[Floats, ...]
    leans: tuple[Floats, ...] | None
    in_first: Bytes | None
    in_last: Bytes | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Motion:
    """What moves by itself.

    Attributes:
        canvas: What its coordinates refer to.
        layers: The scene itself first, then what moves before it.
        agreement: How alike both pictures are once the motion is undone, up to 1: pictures of one scene reach 0.6
            and more, others hardly 0.3.
    """

    canvas: Canvas
    layers: tuple[Layer, ...]
    agreement: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Side:
    """A candidate's motion as one of the pictures sees it.

    Attributes:
        base: The rigid motion that it started from, as a field.
        motion: The field that was found.
        trust: 0 to 1, where it agrees with the motion back.
        misfit: Grey levels, what speaks against a pixel's being part of it.
    """

    base: Floats
    motion: Floats
    trust: Floats
    misfit: Floats


def measure_motion(canvas: Canvas, matches: Matches, flow: DenseFlow = dis_flow) -> Motion:
    """Find the motion on a canvas."""
    seeds = [np.eye(3), *_movers(canvas, matches)]
    candidates = [_candidate(canvas, seed, flow, main=index == 0) for index, seed in enumerate(seeds)]
    labels = [_labels([pair[side] for pair in candidates]) for side in (0, 1)]
    kept = [k for k in range(len(seeds)) if k == 0 or all((label == k).any() for label in labels)]
    supports = [
        _supports(picture, label, kept) for picture, label in zip((canvas.first, canvas.last), labels, strict=True)
    ]
    fields = [[_smoothed(candidates[k][side], labels[side] == k, main=k == 0) for side in (0, 1)] for k in kept]
    changed = doubt(canvas)
    fields[0] = [field * changed[..., None] for field in fields[0]]
    layers = [_layer(canvas, *pair, *shown) for pair, shown in zip(fields, zip(*supports, strict=True), strict=True)]
    whole = fields[0][0]
    for k, (there, _) in zip(kept[1:], fields[1:], strict=True):
        whole = np.where((labels[0] == k)[..., None], there, whole)
    return Motion(canvas=canvas, layers=tuple(layers), agreement=_agreement(canvas, whole))


def _layer(canvas: Canvas, there: Floats, back: Floats, in_first: Bytes | None, in_last: Bytes | None) -> Layer:
    moves = max(float(np.abs(field).max()) for field in (there, back)) >= _AT_REST
    rest = (np.zeros((*key_size(canvas)[::-1], 2), np.float32),)
    to_first, to_last = (_keys(there), _keys(back)[::-1]) if moves else (rest, rest)
    return Layer(
        to_first=to_first if moves else None,
        to_last=to_last if moves else None,
        unsure=unlikeness(canvas, to_first, to_last),
        leans=None,
        in_first=in_first,
        in_last=in_last,
    )


def key_size(canvas: Canvas) -> tuple[int, int]:
    """Width and height of the fields that are given for each key."""
    return (canvas.width + 1) // 2, (canvas.height + 1) // 2


def unlikeness(canvas: Canvas, to_first: tuple[Floats, ...], to_last: tuple[Floats, ...]) -> tuple[Floats, ...]:
    """For each key, 0 where both pictures show the same, once each has moved there, and 1 where they do not."""
    width, height = key_size(canvas)
    pictures = [
        cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA) for picture in (canvas.first, canvas.last)
    ]
    places = grid(width, height)
    found = []
    for ways in zip(to_first, to_last, strict=True):
        met = [sample(picture, places + way / 2) for picture, way in zip(pictures, ways, strict=True)]
        difference = cv2.blur(cv2.absdiff(*met).astype(np.float32), (7, 7))
        found.append(np.clip((difference - _SAME) / (_OTHER - _SAME), 0, 1))
    return tuple(found)


def doubt(canvas: Canvas) -> Floats:
    """0 where both pictures show the same at the same place, so that nothing can have moved; 1 near differences."""
    difference = cv2.blur(cv2.absdiff(canvas.first, canvas.last).astype(np.float32) * canvas.shared, (9, 9))
    risen = np.clip((difference - _ALIKE) / (_UNLIKE - _ALIKE), 0, 1)
    near = cv2.dilate(risen * risen * (3 - 2 * risen), np.ones((_REACH, _REACH), np.uint8))
    return np.asarray(cv2.blur(near, (_REACH // 2, _REACH // 2)))


def _movers(canvas: Canvas, matches: Matches) -> list[Floats]:
    """Rigid motions on the canvas of things that do not follow the camera, the best supported first."""
    if not len(matches.first):
        return []
    first, last = carried(canvas.from_first, matches.first), carried(canvas.from_last, matches.last)
    left = np.linalg.norm(first - last, axis=1) > _APART
    found: list[Floats] = []
    while len(found) < _MOVERS and left.sum() >= _MIN_MATCHES:
        similarity, fits = cv2.estimateAffinePartial2D(
            first[left], last[left], method=cv2.RANSAC, ransacReprojThreshold=2.0, maxIters=2000, confidence=0.999
        )
        if similarity is None or fits.sum() < _MIN_MATCHES:
            break
        left[np.flatnonzero(left)[fits.ravel() > 0]] = False
        along, across = float(similarity[0, 0]), float(similarity[1, 0])
        if 0.5 < np.hypot(along, across) < 2 and along > abs(across):  # half to twice the size, turned by 45 degrees
            found.append(np.vstack([similarity, [0, 0, 1]]))
    return found


def _candidate(canvas: Canvas, seed: Floats, flow: DenseFlow, *, main: bool) -> list[_Side]:
    """The motion near a rigid one, as the first and as the last picture sees it."""
    views = ((canvas.first, canvas.last, seed), (canvas.last, canvas.first, np.linalg.inv(seed)))
    fields = [_near(seen, other, matrix, flow, main=main) for seen, other, matrix in views]
    return [
        _side(canvas, seen, other, base=base, motion=motion, back=back, main=main)
        for (seen, other, _), (base, motion), (_, back) in zip(views, fields, fields[::-1], strict=True)
    ]


def _near(seen: Bytes, other: Bytes, seed: Floats, flow: DenseFlow, *, main: bool) -> tuple[Floats, Floats]:
    """A rigid motion as a field, and the motion that was found by starting from it."""
    height, width = seen.shape
    places = grid(width, height)
    met = cv2.warpPerspective(
        other, seed, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    residual = flow(seen, np.asarray(met, np.uint8), near=not main)
    return carried(seed, places) - places, carried(seed, places + residual) - places


def _side(
    canvas: Canvas, seen: Bytes, other: Bytes, *, base: Floats, motion: Floats, back: Floats, main: bool
) -> _Side:
    target = canvas.grid + motion
    trust = consistency(motion, back, 2.0) * canvas.shared * sample(canvas.shared, target)
    difference = np.minimum(np.abs(seen - sample(other.astype(np.float32), target)), 40)
    strayed = np.clip(np.linalg.norm(motion - base, axis=2) - 2, 0, 40)  # a mover explains it better than a bend
    misfit = difference + 20 * (1 - trust) + 0.4 * strayed + (0 if main else 2)
    return _Side(base=base, motion=motion, trust=trust, misfit=np.asarray(cv2.blur(misfit, (9, 9))))


def _labels(sides: list[_Side]) -> Bytes:
    """For each pixel of one picture, which candidate it follows; 0 where nothing else fits."""
    misfits = np.stack([side.misfit for side in sides])
    misfits[0] = np.minimum(misfits[0], _NO_MATCH)
    labels = cv2.medianBlur(misfits.argmin(axis=0).astype(np.uint8), 5)
    for k in range(1, len(sides)):
        _, pieces, statistics, _ = cv2.connectedComponentsWithStats((labels == k).astype(np.uint8))
        small = statistics[:, cv2.CC_STAT_AREA] < _SMALLEST * labels.size
        labels[small[pieces] & (labels == k)] = 0
    return np.asarray(labels, np.uint8)


def _supports(picture: Bytes, labels: Bytes, kept: list[int]) -> list[Bytes | None]:
    """For each layer, where the picture shows it: soft, its edges drawn to those of the picture."""
    if len(kept) == 1:
        return [None]
    fronts = [np.clip(_snapped(picture, (labels == k).astype(np.float32)), 0, 1) for k in kept[1:]]
    front = np.isin(labels, kept[1:]).astype(np.float32)
    rim = cv2.GaussianBlur(cv2.dilate(front, np.ones((_RIM, _RIM), np.uint8)), (0, 0), 1.5)
    return [np.asarray(np.rint(np.clip(280 * support - 12, 0, 255)), np.uint8) for support in (1 - rim, *fronts)]


def _snapped(picture: Bytes, mask: Floats) -> Floats:
    """A mask whose edges follow the picture's (guided filter of He, Sun and Tang, 2010)."""
    size = (13, 13)
    guide = picture.astype(np.float32) / 255
    mean, mean_mask = cv2.blur(guide, size), cv2.blur(mask, size)
    slope = (cv2.blur(guide * mask, size) - mean * mean_mask) / (cv2.blur(guide * guide, size) - mean * mean + 1e-3)
    offset = mean_mask - slope * mean
    return np.asarray(cv2.blur(slope, size) * guide + cv2.blur(offset, size))


def _smoothed(side: _Side, mine: NDArray[np.bool_], *, main: bool) -> Floats:
    """A layer's motion where it can be trusted, carried on smoothly elsewhere."""
    bend = side.motion - side.base
    trust = side.trust * mine
    if main:  # what lies hidden is more likely still than following what hides it
        trust = trust * np.exp(-np.square(bend).sum(axis=2) / 30**2)
    return side.base + filled(bend, trust.astype(np.float32))


def _keys(motion: Floats) -> tuple[Floats, ...]:
    """The way back to where a motion starts, after each key's share of it."""
    size = ((motion.shape[1] + 1) // 2, (motion.shape[0] + 1) // 2)
    small = cv2.resize(motion, size, interpolation=cv2.INTER_AREA) / 2
    return tuple(2 * inverted(small, index / (KEYS - 1)) for index in range(KEYS))


def _agreement(canvas: Canvas, motion: Floats) -> float:
    """How alike both pictures are once the last one's motion is undone."""
    moved = sample(canvas.last.astype(np.float32), canvas.grid + motion)
    return agreement(canvas.first.astype(np.float32), moved, canvas.shared)


def likeness(canvas: Canvas) -> float:
    """How alike both pictures are as they lie on a canvas."""
    return agreement(canvas.first.astype(np.float32), canvas.last.astype(np.float32), canvas.shared)


def agreement(first: Floats, last: Floats, shared: Floats) -> float:
    """Mean structural similarity of two pictures at low resolution, where both show something with structure."""
    height, width = shared.shape
    scale = min(1.0, 256 / max(width, height))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    a, b, both = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (first, last, shared))
    mean_a, mean_b = _soft(a), _soft(b)
    var_a, var_b = _soft(a * a) - mean_a**2, _soft(b * b) - mean_b**2
    likeness = (2 * mean_a * mean_b + 6.5) * (2 * (_soft(a * b) - mean_a * mean_b) + 58.5)
    likeness /= (mean_a**2 + mean_b**2 + 6.5) * (var_a + var_b + 58.5)
    weight = both * np.minimum(np.sqrt(np.maximum(var_a + var_b, 0)), 20)
    return float((likeness * weight).sum() / max(float(weight.sum()), 1e-6))


def _soft(plane: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(plane, (11, 11), 1.5))
