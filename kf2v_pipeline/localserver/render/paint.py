"""Single frames at full size: both pictures warped to where things are at an instant, and blended.

Where things are comes from ``path`` and ``motion``; when, from ``film``.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .motion import KEYS, Layer, Motion
from .path import CameraPath
from .picture import Bytes, Floats, Planes
from .warp import Source, carried, grid, magnification, sample, spread

_CELL = 4  # output pixels, each way, for which places and weights are worked out; between them they are interpolated
_FADE = 32.0  # pixels over which a picture gives way to the other near its edge
_TRACE = 1e-3  # share that a picture keeps where it does not show a layer, for where neither does
_NOTHING = 1e-20
_TO_KEY = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]])  # the keys have half the canvas's size
_UNSEEN = 1 / 512  # weight below which a picture is left out


@dataclass(frozen=True, kw_only=True, eq=False)
class Instant:
    """What a frame shows.

    Attributes:
        moved: Share of the motion that is done, 0 to 1.
        mixed: Share of the last picture, 0 to 1.
        sway: Homography of the output, added to the camera's path.
    """

    moved: float
    mixed: float
    sway: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sheet:
    """One layer at an instant, on the grid of cells.

    Attributes:
        first: Places ``(x, y)`` in the first picture.
        last: Places in the last picture.
        weight: Of the first picture against the last one, 0 to 1.
        cover: How much of what lies behind is hidden; None for all.
    """

    first: Floats
    last: Floats
    weight: Floats
    cover: Floats | None


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
        self._first = Source(first, self._appears(path.at(1)))
        self._last = Source(last, self._appears(path.at(-1)))
        self._cells = grid(self._width // _CELL + 2, self._height // _CELL + 2)  # one more around the picture
        offset = (_CELL - 1) / 2 - _CELL
        self._to_output = np.array([[_CELL, 0, offset], [0, _CELL, offset], [0, 0, 1]])

    def paint(self, instant: Instant, out: Planes) -> None:
        """Paint what an instant shows."""
        if self._motion is None:
            sheets = [self._flat(instant)]
        else:
            sheets = [self._sheet(self._motion, layer, instant) for layer in self._motion.layers]
        sizes = (
            self._appears(instant.sway @ self._path.at(instant.moved)),
            self._appears(instant.sway @ self._path.at(instant.moved - 1)),
        )
        for sheet in sheets:
            window = _whole(self._cells) if sheet.cover is None else _hull(sheet.cover)
            if window is not None:
                self._lay(sheet, window, sizes, out)

    def _appears(self, matrix: Floats) -> float:
        return magnification(matrix, self._width, self._height)

    def _from_cells(self, matrix: Floats, instant: Instant) -> Floats:
        """A homography of the unswayed output, made one of the cells."""
        return np.asarray(matrix @ np.linalg.inv(instant.sway) @ self._to_output)

    def _flat(self, instant: Instant) -> _Sheet:
        """Both pictures, carried by the camera alone."""
        first = carried(self._from_cells(self._path.at(-instant.moved), instant), self._cells)
        last = carried(self._from_cells(self._path.at(1 - instant.moved), instant), self._cells)
        if self._mirror:
            weight = np.full(self._cells.shape[:2], 1 - instant.mixed, np.float32)
        else:
            weight = self._weight(instant, self._outside(first), self._outside(last))
        return _Sheet(first=first, last=last, weight=weight, cover=None)

    def _sheet(self, motion: Motion, layer: Layer, instant: Instant) -> _Sheet:
        canvas, moved = motion.canvas, instant.moved
        matrix = self._from_cells(canvas.from_middle @ self._path.at(0.5 - moved), instant)
        offsets = cv2.warpPerspective(
            _between(layer.offsets, moved),
            _TO_KEY @ matrix,
            (self._cells.shape[1], self._cells.shape[0]),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        places = carried(matrix, self._cells)
        on_first, on_last = places + offsets[..., :2], places + offsets[..., 2:]
        first = carried(np.linalg.inv(canvas.from_first), on_first)
        last = carried(np.linalg.inv(canvas.from_last), on_last)
        outside = self._outside(first), self._outside(last)
        if layer.in_first is None or layer.in_last is None:
            return _Sheet(first=first, last=last, weight=self._weight(instant, *outside), cover=None)
        shown = sample(layer.in_first, on_first), sample(layer.in_last, on_last)
        cover = None
        if layer is not motion.layers[0]:
            soft = (1 - moved) * shown[0] * (outside[0] < 0) + moved * shown[1] * (outside[1] < 0)
            cover = np.clip(2 * soft - 0.5, 0, 1)
        return _Sheet(first=first, last=last, weight=self._weight(instant, *outside, *shown), cover=cover)

    def _weight(
        self,
        instant: Instant,
        outside_first: Floats,
        outside_last: Floats,
        shown_first: Floats | float = 1.0,
        shown_last: Floats | float = 1.0,
    ) -> Floats:
        """The first picture's share against the last one's: of both, where both show the layer, else of one."""
        first = (1 - instant.mixed) * ((shown_first + _TRACE) * _inside(outside_first) + _faint(outside_first))
        last = instant.mixed * ((shown_last + _TRACE) * _inside(outside_last) + _faint(outside_last))
        return np.asarray(first / np.maximum(first + last, _NOTHING))

    def _outside(self, places: Floats) -> Floats:
        """How many pixels beyond the picture's edges places lie; negative inside."""
        x, y = places[..., 0], places[..., 1]
        beside = np.abs(x - (self._width / 2 - 0.5)) - self._width / 2
        above = np.abs(y - (self._height / 2 - 0.5)) - self._height / 2
        return np.asarray(np.maximum(beside, above))

    def _lay(self, sheet: _Sheet, window: _Window, sizes: tuple[float, float], out: Planes) -> None:
        """Paint one sheet over what is there, within a window of cells."""
        weight = sheet.weight[window.padded]
        wanted = (float(weight.max()) > _UNSEEN, float(weight.min()) < 1 - _UNSEEN)
        taken = [
            source.take(places[window.padded], _CELL, size)
            for source, places, size, needed in zip(
                (self._first, self._last), (sheet.first, sheet.last), sizes, wanted, strict=True
            )
            if needed
        ]
        weights = [spread(weight, _CELL), *[spread(weight, _CELL // 2)] * 2]
        covers: list[Floats | None] = [None] * 3
        if sheet.cover is not None:
            cover = sheet.cover[window.padded]
            covers = [spread(cover, _CELL), *[spread(cover, _CELL // 2)] * 2]
        for index, target in enumerate(out):
            part = target[window.pixels(_CELL if index == 0 else _CELL // 2)]
            painted = taken[0][index]
            if len(taken) == 2:
                painted = _blend(painted, taken[1][index], weights[index])
            shade = covers[index]
            part[:] = painted if shade is None else _blend(painted, part, shade)


@dataclass(frozen=True, kw_only=True)
class _Window:
    """A range of cells of the picture, without the ones around it: ``left <= x < right``."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def padded(self) -> tuple[slice, slice]:
        """The cells with one more on each side."""
        return slice(self.top - 1, self.bottom + 1), slice(self.left - 1, self.right + 1)

    def pixels(self, size: int) -> tuple[slice, slice]:
        """The samples of a plane that has so many of them to a cell."""
        return slice((self.top - 1) * size, (self.bottom - 1) * size), slice(
            (self.left - 1) * size, (self.right - 1) * size
        )


def _whole(cells: Floats) -> _Window:
    return _Window(left=1, top=1, right=cells.shape[1] - 1, bottom=cells.shape[0] - 1)


def _hull(cover: Floats) -> _Window | None:
    """The cells that a layer touches; None where it is nowhere to be seen."""
    touched = cv2.dilate((cover > 0.004).astype(np.uint8), np.ones((3, 3), np.uint8))
    left, top, width, height = cv2.boundingRect(touched)
    right, bottom = min(left + width, cover.shape[1] - 1), min(top + height, cover.shape[0] - 1)
    left, top = max(left, 1), max(top, 1)
    return _Window(left=left, top=top, right=right, bottom=bottom) if left < right and top < bottom else None


def _blend(one: Bytes, other: Bytes, weight: Floats) -> Bytes:
    return np.asarray(cv2.blendLinear(one, other, weight, 1 - weight), np.uint8)


def _inside(outside: Floats) -> Floats:
    """1 within a picture, towards 0 near its edges and beyond."""
    return np.asarray(np.clip((_FADE / 4 - outside) / _FADE, 0, 1))


def _faint(outside: Floats) -> Floats:
    """A trace of weight for places outside a picture, the nearer the more, so that somebody paints them."""
    return np.asarray(np.exp(np.maximum(outside, 0) / -40) * 1e-6 + 1e-12)


def _between(keys: tuple[Floats, ...], moved: float) -> Floats:
    place = moved * (KEYS - 1)
    before = min(int(place), KEYS - 2)
    return np.asarray(cv2.addWeighted(keys[before], 1 - (place - before), keys[before + 1], place - before, 0.0))
