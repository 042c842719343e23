"""One layer of a frame laid down at full size: each part of it from no more pictures than it shows.

Where its places and weights come from belongs to ``paint``; how a picture is sampled, to ``warp``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import cv2
import numpy as np

from .cells import Cells
from .picture import Bytes, Floats, Planes
from .warp import Source, spread

_TILE = 128  # pixels, each way, that are looked at as one when it is decided which pictures a part needs
_UNSEEN = 1 / 100  # share below which a picture is left out
_EVEN = 1 / 200  # spread of shares within which one share serves a whole part
_AT_REST = 1 / 32  # pixels: what moves less, is copied and not sampled


@dataclass(frozen=True, kw_only=True, eq=False)
class Sheet:
    """One layer at an instant.

    Attributes:
        cells: What all that follows is given for.
        first: Places ``(x, y)`` in the first picture.
        last: Places in the last picture.
        weight: Of the first picture against the last one, 0 to 1.
        cover: How much of what lies behind is hidden; None for all.
    """

    cells: Cells
    first: Floats
    last: Floats
    weight: Floats
    cover: Floats | None


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A rectangle of cells that is painted in one go: ``left <= x < right``, counted with the ones around.

    Attributes:
        first: The first picture is seen in it.
        last: The last one is.
        even: Both have the same shares all over it.
        opaque: It hides all that lies behind.
        still: Nothing in it moves.
    """

    left: int
    top: int
    right: int
    bottom: int
    first: bool
    last: bool
    even: bool
    opaque: bool
    still: bool

    @property
    def padded(self) -> tuple[slice, slice]:
        """The cells with one more on each side."""
        return slice(self.top - 1, self.bottom + 1), slice(self.left - 1, self.right + 1)

    def pixels(self, cells: Cells, sampling: int) -> tuple[slice, slice]:
        """Rows and columns of a plane of the frame that has one sample for so many pixels, each way."""
        size, left, top = cells.size // sampling, cells.left // sampling, cells.top // sampling
        return (
            slice(top + (self.top - 1) * size, top + (self.bottom - 1) * size),
            slice(left + (self.left - 1) * size, left + (self.right - 1) * size),
        )


def lay(sheet: Sheet, sources: tuple[Source, Source], sizes: tuple[float, float], out: Planes) -> None:
    """Paint a sheet over what is there.

    Args:
        sheet: What to paint.
        sources: The first and the last picture.
        sizes: How large each of them appears.
        out: The frame.
    """
    cells = sheet.cells
    for part in _parts(sheet):
        weight = sheet.weight[part.padded]
        areas = [part.pixels(cells, sampling) for sampling in (1, 2, 2)]
        taken = [
            source.cut(*areas[0]) if part.still else source.take(places[part.padded], cells.size, size)
            for source, places, size, needed in zip(
                sources, (sheet.first, sheet.last), sizes, (part.first, part.last), strict=True
            )
            if needed
        ]
        painted = taken[0]
        if len(taken) == 2:
            painted = _even(taken, float(weight.mean())) if part.even else _mixed(taken, weight, cells.size)
        below = Planes(*(plane[area] for plane, area in zip(out, areas, strict=True)))
        if sheet.cover is not None and not part.opaque:
            painted = _mixed([painted, below], sheet.cover[part.padded], cells.size)
        for target, plane in zip(below, painted, strict=True):
            target[:] = plane


def _even(pair: list[Planes], share: float) -> Planes:
    """Both mixed, one share for all."""
    mixed = (cv2.addWeighted(a, share, b, 1 - share, 0) for a, b in zip(*pair, strict=True))
    return Planes(*(np.asarray(plane, np.uint8) for plane in mixed))


def _mixed(pair: list[Planes], shares: Floats, size: int) -> Planes:
    """Both mixed, the first one's share given cell by cell, with one more on each side."""
    fine, coarse = spread(shares, size), spread(shares, size // 2)
    a, b = pair
    rest = 1 - coarse
    return Planes(
        luma=_blend(a.luma, b.luma, fine, 1 - fine), u=_blend(a.u, b.u, coarse, rest), v=_blend(a.v, b.v, coarse, rest)
    )


def _blend(one: Bytes, other: Bytes, share: Floats, rest: Floats) -> Bytes:
    return np.asarray(cv2.blendLinear(one, other, share, rest), np.uint8)


def _parts(sheet: Sheet) -> Iterator[_Part]:
    """The frame cut into as few rectangles as show one and the same need; what shows nothing is left out."""
    rows, columns = (np.arange(1, side - 1, _TILE // sheet.cells.size) for side in sheet.weight.shape)
    least, most = _range(sheet.weight, rows, columns)
    first, last = most > _UNSEEN, least < 1 - _UNSEEN
    even = ~(first & last) | (most - least < _EVEN)
    seen, opaque = np.ones_like(first), np.ones_like(first)
    if sheet.cover is not None:
        thin, thick = _range(sheet.cover, rows, columns)
        seen, opaque = thick > _UNSEEN, thin > 1 - _UNSEEN
    still = _at_rest(sheet, rows, columns)
    codes = np.where(seen, first + 2 * last + 4 * even + 8 * opaque + 16 * still, 0)
    edges = [[*starts.tolist(), side - 1] for starts, side in zip((rows, columns), sheet.weight.shape, strict=True)]
    for top, bottom, left, right, code in _rectangles(codes):
        yield _Part(
            left=edges[1][left],
            top=edges[0][top],
            right=edges[1][right],
            bottom=edges[0][bottom],
            first=bool(code & 1),
            last=bool(code & 2),
            even=bool(code & 4),
            opaque=bool(code & 8),
            still=bool(code & 16),
        )


def _rectangles(codes: Floats) -> list[tuple[int, int, int, int, int]]:
    """Runs of one code along the rows, joined with equal ones above: top, bottom, left, right, code; 0 is left out."""
    done: list[tuple[int, int, int, int, int]] = []
    standing: dict[tuple[int, int, int], int] = {}  # left, right, code: the row that it began in
    for row, line in enumerate([*codes.tolist(), []]):
        runs, left = set(), 0
        for code, group in groupby(line):
            right = left + len(list(group))
            if code:
                runs.add((left, right, code))
            left = right
        ended = [run for run in standing if run not in runs]
        done.extend((standing.pop(run), row, *run) for run in ended)
        for run in runs:
            standing.setdefault(run, row)
    return sorted(done)


def _range(field: Floats, rows: Floats, columns: Floats) -> tuple[Floats, Floats]:
    """The least and the most of each tile and of the cells around it, which are interpolated with it."""
    around = np.ones((3, 3), np.uint8)
    least = np.minimum.reduceat(np.minimum.reduceat(cv2.erode(field, around)[:-1], rows), columns, axis=1)
    most = np.maximum.reduceat(np.maximum.reduceat(cv2.dilate(field, around)[:-1], rows), columns, axis=1)
    return least, most


def _at_rest(sheet: Sheet, rows: Floats, columns: Floats) -> Floats:
    """The tiles that both pictures show just where the output does."""
    home = sheet.cells.home
    places = [(0, 0), tuple(side // 2 for side in sheet.weight.shape)]
    if all(float(np.abs(sheet.first[place] - home[place]).max()) > _AT_REST for place in places):
        return np.zeros((len(rows), len(columns)), bool)  # a moving camera: hardly a tile can be at rest
    strayed = np.maximum(*(cv2.absdiff(places, home).max(axis=2) for places in (sheet.first, sheet.last)))
    return np.asarray(_range(strayed, rows, columns)[1] < _AT_REST)
