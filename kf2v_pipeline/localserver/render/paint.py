"""Single frames at full size: where both pictures show what an instant shows, and how much of each is seen.

Where things are comes from ``path`` and ``motion``; when, from ``film``; how it is laid down, from ``sheet``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from .cells import Cells
from .motion import Layer, Motion
from .path import CameraPath, corners
from .picture import Floats, Planes
from .sheet import Sheet, lay
from .warp import Source, carried, magnification, sample

_SCENE_CELL, _MOVER_CELL = 8, 4  # output pixels to a cell, each way: what moves by itself has finer edges
_FADE = 24.0  # pixels over which a picture gives way to the other near its edge, at most
_TRACE = 1e-4  # claim that a picture keeps where it does not show a layer, for where neither does
_FAINT = 1e-6  # the same where it ends
_NOTHING = 1e-12
_TO_KEY = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]])  # the keys have half the canvas's size


@dataclass(frozen=True, kw_only=True, eq=False)
class Instant:
    """What a frame shows.

    Attributes:
        moved: Share of the motion that is done, 0 to 1.
        mixed: Share of the last picture where both show the same once the motion is undone, 0 to 1.
        dissolved: Its share where they do not, so that no motion is believed.
        sway: Homography of the output, added to the camera's path.
    """

    moved: float
    mixed: float
    dissolved: float
    sway: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class _Camera:
    """What the camera sees at an instant.

    Attributes:
        unsway: From the output to the output without what was added to the path.
        sizes: How large the first and the last picture appear.
        fades: For each of them, pixels ``(x, y)`` over which it gives way near its edge: not more than it has moved,
            so that nothing changes suddenly when the film begins.
    """

    unsway: Floats
    sizes: tuple[float, float]
    fades: tuple[Floats, Floats]


class Painter:
    """Paints the frames between two pictures. Safe to use from several threads."""

    def __init__(self, first: Planes, last: Planes, path: CameraPath, motion: Motion | None, *, mirror: bool) -> None:
        """Prepare the pictures.

        Args:
            first: What the film starts with.
            last: What it ends with, of the same size.
            path: The camera's.
            motion: What moves by itself; None for nothing.
            mirror: Beyond its edges each picture is mirrored, as suits strangers; else the other one shows there.
        """
        self._height, self._width = first.luma.shape
        self._path, self._motion, self._mirror = path, motion, mirror
        self._sources = Source(first, self._appears(path.at(1))), Source(last, self._appears(path.at(-1)))
        self._scene_cells = Cells.over(self._width, self._height, _SCENE_CELL)
        self._mover_cells = Cells.over(self._width, self._height, _MOVER_CELL)
        self._sparse_cells = self._mover_cells.sparse()
        self._corners = corners(np.eye(3), self._width, self._height)

    def paint(self, instant: Instant, out: Planes) -> None:
        """Paint what an instant shows."""
        camera = self._camera(instant)
        sheets = [self._flat(instant, camera)] if self._motion is None else self._sheets(self._motion, instant, camera)
        for sheet in sheets:
            lay(sheet, self._sources, camera.sizes, out)

    def _camera(self, instant: Instant) -> _Camera:
        views = [instant.sway @ self._path.at(share) for share in (instant.moved, instant.moved - 1)]
        strayed = [corners(view, self._width, self._height) - self._corners for view in views]
        fades = [np.clip(np.abs(shift).max(axis=0), 0.5, _FADE).astype(np.float32) for shift in strayed]
        return _Camera(
            unsway=np.linalg.inv(instant.sway),
            sizes=(self._appears(views[0]), self._appears(views[1])),
            fades=(fades[0], fades[1]),
        )

    def _appears(self, matrix: Floats) -> float:
        return magnification(matrix, self._width, self._height)

    def _flat(self, instant: Instant, camera: _Camera) -> Sheet:
        """Both pictures, carried by the camera alone."""
        cells = self._scene_cells
        first, last = (
            carried(self._path.at(share) @ camera.unsway, cells.home) for share in (-instant.moved, 1 - instant.moved)
        )
        if self._mirror:
            weight = np.full(cells.shape, 1 - instant.dissolved, np.float32)
        else:
            weight = _weight(instant.dissolved, *self._outside(first, last, camera), None, None)
        return Sheet(cells=cells, first=first, last=last, weight=weight, cover=None)

    def _sheets(self, motion: Motion, instant: Instant, camera: _Camera) -> Iterator[Sheet]:
        """The scene, and what moves before it where that is to be seen."""
        scene, *movers = motion.layers
        yield self._sheet(motion, scene, instant, camera, self._scene_cells)
        for mover in movers:
            sparse = self._sheet(motion, mover, instant, camera, self._sparse_cells)
            cells = None if sparse.cover is None else self._mover_cells.around(sparse.cover)
            if cells is not None:
                yield self._sheet(motion, mover, instant, camera, cells)

    def _sheet(self, motion: Motion, layer: Layer, instant: Instant, camera: _Camera, cells: Cells) -> Sheet:
        canvas, moved = motion.canvas, instant.moved
        matrix = canvas.from_middle @ self._path.at(0.5 - moved) @ camera.unsway
        on_first = on_last = places = carried(matrix, cells.home)
        if layer.to_first is not None and layer.to_last is not None:
            on_first, on_last = (
                cv2.add(places, _at(cells, matrix, _between(keys, moved))) for keys in (layer.to_first, layer.to_last)
            )
        first = carried(np.linalg.inv(canvas.from_first), on_first)
        last = carried(np.linalg.inv(canvas.from_last), on_last)
        outside = self._outside(first, last, camera)
        cover = in_first = in_last = None
        if layer.in_first is not None and layer.in_last is not None:
            in_first, in_last = _shown(layer.in_first, on_first), _shown(layer.in_last, on_last)
            if layer is not motion.layers[0]:
                soft = (1 - moved) * in_first * (outside[0] < 0) + moved * in_last * (outside[1] < 0)
                cover = np.clip(2 * soft - 0.5, 0, 1)
        elif layer.leans is not None:
            lean = _at(cells, matrix, _between(layer.leans, moved))
            in_first, in_last = np.clip(2 * lean, 0, 1), np.clip(2 - 2 * lean, 0, 1)
        unsure = _at(cells, matrix, _between(layer.unsure, moved))
        mixed = np.float32(instant.mixed) + np.float32(instant.dissolved - instant.mixed) * unsure
        if cover is None:
            weight = _weight(mixed, *outside, in_first, in_last)
        else:  # at a mover's soft edge it is its cover that fades, not its pictures; beyond, nothing counts
            weight = _weight(mixed, *outside, _firm(in_first), _firm(in_last))
            weight[cover == 0] = 1 - instant.mixed
        return Sheet(cells=cells, first=first, last=last, weight=weight, cover=cover)

    def _outside(self, first: Floats, last: Floats, camera: _Camera) -> tuple[Floats, Floats]:
        """How far beyond each picture's edges places lie, in units of its fades; negative inside."""
        beyond = [self._beyond(places, fades) for places, fades in zip((first, last), camera.fades, strict=True)]
        return beyond[0], beyond[1]

    def _beyond(self, places: Floats, fades: Floats) -> Floats:
        x, y = cv2.split(places)
        beside = (np.abs(x - np.float32(self._width / 2 - 0.5)) - np.float32(self._width / 2)) / fades[0]
        above = (np.abs(y - np.float32(self._height / 2 - 0.5)) - np.float32(self._height / 2)) / fades[1]
        return np.asarray(cv2.max(beside, above))


def _at(cells: Cells, matrix: Floats, key: Floats) -> Floats:
    """A field of the keys' grid as cells see it."""
    rows, columns = cells.shape
    return cv2.warpPerspective(
        key,
        _TO_KEY @ matrix @ cells.to_output,
        (columns, rows),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _shown(mask: Floats, places: Floats) -> Floats:
    return np.asarray(sample(mask, places).astype(np.float32) * np.float32(1 / 255))


def _firm(shown: Floats | None) -> Floats | None:
    return None if shown is None else np.clip(4 * shown, 0, 1)


def _weight(
    mixed: Floats | float, outside_first: Floats, outside_last: Floats, in_first: Floats | None, in_last: Floats | None
) -> Floats:
    """The first picture's share against the last one's: of both, where both show the layer, else of one."""
    first, last = _claim(outside_first, in_first), _claim(outside_last, in_last)
    late = np.asarray(mixed, np.float32)
    ours = first * (1 - late * last)
    theirs = last * (1 - (1 - late) * first)
    share = cv2.divide(ours, cv2.add(ours, theirs))
    share[0], share[-1] = share[1], share[-2]  # the cells around lie outside the frame, where pictures end
    share[:, 0], share[:, -1] = share[:, 1], share[:, -2]
    return np.asarray(share)


def _claim(outside: Floats, shown: Floats | None) -> Floats:
    """What speaks for a picture, place by place: that it shows the layer, and that the place is inside it.

    Places that neither picture shows go to the one whose edge is nearer, so that somebody paints them.
    """
    most = np.float32(1 - _TRACE)
    if outside.max() < -1:
        return np.full_like(outside, most) if shown is None else shown * most + np.float32(_TRACE / 2)
    inside = np.clip(-outside, 0, 1)
    if shown is not None:
        inside *= shown + np.float32(_TRACE)
    faint = _FAINT * np.exp(-np.maximum(outside, 0))
    return np.asarray(inside * most + faint + _NOTHING, np.float32)


def _between(keys: tuple[Floats, ...], moved: float) -> Floats:
    if len(keys) == 1:
        return keys[0]
    place = moved * (len(keys) - 1)
    before = min(int(place), len(keys) - 2)
    return np.asarray(cv2.addWeighted(keys[before], 1 - (place - before), keys[before + 1], place - before, 0.0))
