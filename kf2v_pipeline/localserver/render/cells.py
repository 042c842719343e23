"""The coarse grid on which it is worked out where things are; between its cells that is interpolated."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .picture import Floats
from .warp import carried, grid

_SPARSE = 4  # cells, each way, of which one is looked at to find where something is


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """A window of square cells over the output, with one cell more on each side than it fills.

    Attributes:
        size: Output pixels to a cell, each way; even.
        left: Output pixels to the left of what the window fills.
        top: The same above.
        home: ``(height, width, 2)``, the middle of each cell as a place ``(x, y)`` of the output, in pixels.
        to_output: Homography from the cells' indices to such places.
    """

    size: int
    left: int
    top: int
    home: Floats
    to_output: Floats

    @classmethod
    def over(cls, width: int, height: int, size: int) -> Cells:
        """Cells over a whole output, whose sides are multiples of their size."""
        return cls._window(size, (0, 0), (height // size + 2, width // size + 2))

    @classmethod
    def _window(cls, size: int, start: tuple[int, int], shape: tuple[int, int], step: int = 1) -> Cells:
        """So many rows and columns of cells, from a row and a column on, every ``step``-th of them."""
        row, column = start
        first = (size - 1) / 2 - size
        to_output = np.array([[size * step, 0, first + size * column], [0, size * step, first + size * row], [0, 0, 1]])
        home = carried(to_output, grid(shape[1], shape[0]))
        return cls(size=size, left=size * column, top=size * row, home=home, to_output=to_output)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.home.shape[:2]

    def sparse(self) -> Cells:
        """A few of the cells, all over; to look at, not to paint."""
        rows, columns = (-(-side // _SPARSE) for side in self.shape)
        return self._window(self.size, (0, 0), (rows, columns), _SPARSE)

    def around(self, cover: Floats) -> Cells | None:
        """The window that something touches, by what covers the sparse cells; None where it is nowhere to be seen."""
        left, top, width, height = cv2.boundingRect((cover > 0).astype(np.uint8))
        if not width:
            return None
        rows, columns = self.shape
        column, row = max((left - 2) * _SPARSE, 0), max((top - 2) * _SPARSE, 0)
        right, bottom = min((left + width + 1) * _SPARSE, columns), min((top + height + 1) * _SPARSE, rows)
        return self._window(self.size, (row, column), (bottom - row, right - column))
