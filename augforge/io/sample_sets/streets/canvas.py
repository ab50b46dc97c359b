"""A canvas of surfaces: picture and mask are two ways to look at one drawing, so their edges coincide.

Drawn is on a grid finer than the picture, in whole numbers only: what decides a class is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 96, 128
"""Of a picture, in px."""
FINE = 4
"""Points per px, in each direction."""
Colour = tuple[int, int, int]
Point = tuple[int, int]
"""x and y in fine points, from the top left corner."""
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Surface:
    """What a point shows: its class, its colour, the light it gives off (both 0 to 255), and how rough it is."""

    kind: int
    colour: Colour
    light: Colour = (0, 0, 0)
    rough: int = 0


class Canvas:
    """A drawing (FINE * HEIGHT, FINE * WIDTH) of surfaces; what is drawn later covers what is there."""

    def __init__(self, background: Surface) -> None:
        self.points = np.zeros((FINE * HEIGHT, FINE * WIDTH), np.int16)
        self.surfaces: list[Surface] = []
        self._numbers: dict[Surface, int] = {}
        self.number(background)

    def number(self, surface: Surface) -> int:
        """The number that stands for a surface in `points`."""
        if surface not in self._numbers:
            self._numbers[surface] = len(self.surfaces)
            self.surfaces.append(surface)
        return self._numbers[surface]

    def polygon(self, surface: Surface, corners: Sequence[Point], over: Iterable[int] | None = None) -> None:
        """Draw a convex polygon; with `over`, only where the class is one of these."""
        box = self.box(corners)
        if box is not None:
            self.paint(box, inside(corners, *self.grid(box)), self.number(surface), over)

    def rectangle(self, surface: Surface, left: int, top: int, right: int, bottom: int) -> None:
        """Draw a rectangle, at least one point wide and high."""
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        rows, columns = (slice(max(first, 0), max(last, 0)) for first, last in ((top, bottom), (left, right)))
        self.points[rows, columns] = self.number(surface)

    def ellipse(self, surface: Surface, middle: Point, radius: Point, over: Iterable[int] | None = None) -> None:
        """Draw an ellipse of half axes `radius`."""
        (x, y), (wide, high) = middle, (max(radius[0], 1), max(radius[1], 1))
        box = self.box([(x - wide, y - high), (x + wide, y + high)])
        if box is not None:
            columns, rows = self.grid(box)
            within = ((columns - 2 * x) * high) ** 2 + ((rows - 2 * y) * wide) ** 2 <= (2 * wide * high) ** 2
            self.paint(box, within, self.number(surface), over)

    def paint(
        self,
        box: tuple[slice, slice],
        within: NDArray[np.bool_],
        numbers: int | NDArray[np.int16],
        over: Iterable[int] | None = None,
    ) -> None:
        """Set the points of a box that are `within` to surfaces by their numbers."""
        part = self.points[box]
        if over is not None:
            within = within & np.isin(self._kinds()[part], list(over))
        part[within] = numbers if isinstance(numbers, int) else numbers[within]

    def grid(self, box: tuple[slice, slice]) -> tuple[Whole, Whole]:
        """(1, w) columns and (h, 1) rows of a box's points, doubled: the middle of point n lies at 2n + 1."""
        rows, columns = (2 * np.arange(side.start, side.stop, dtype=np.int64) + 1 for side in box)
        return columns[None, :], rows[:, None]

    def mask(self) -> NDArray[np.uint8]:
        """(HEIGHT, WIDTH) the class that most points of a px have; of equally many, the first."""
        kinds = self._kinds()[self._cells()]
        present = np.unique(kinds)
        counts = np.stack([(kinds == kind).sum(0, dtype=np.int16) for kind in present])
        return np.asarray(present[counts.argmax(0)], np.uint8)

    def share(self, kinds: Iterable[int]) -> NDArray[np.floating[Any]]:
        """(HEIGHT, WIDTH) which share of a px is of these classes, 0 to 1."""
        counts = np.isin(self._kinds(), list(kinds))[self._cells()].sum(0, dtype=np.int16)
        return np.asarray(counts / np.float32(FINE**2))

    def mean(self, values: Iterable[Colour | int]) -> NDArray[np.floating[Any]]:
        """(HEIGHT, WIDTH[, 3]) the mean over a px of one value (or colour) a surface, given 0 to 255, as 0 to 1."""
        table, cells = np.array(list(values), np.int16), self._cells()
        planes = [plane[cells].sum(0, dtype=np.int16) for plane in np.atleast_2d(table.T)]
        found = np.stack(planes, axis=-1) / np.float32(255 * FINE**2)
        return found if table.ndim > 1 else found[..., 0]

    def _cells(self) -> NDArray[np.int16]:
        """(FINE * FINE, HEIGHT, WIDTH) the points of each px."""
        split = self.points.reshape(HEIGHT, FINE, WIDTH, FINE)
        return np.ascontiguousarray(split.transpose(1, 3, 0, 2).reshape(-1, HEIGHT, WIDTH))

    def _kinds(self) -> NDArray[np.uint8]:
        return np.array([surface.kind for surface in self.surfaces], np.uint8)

    def box(self, corners: Sequence[Point]) -> tuple[slice, slice] | None:
        """The part of the canvas around points; None if they lie beside it."""
        columns, rows = zip(*corners, strict=True)
        left, top = max(min(columns), 0), max(min(rows), 0)
        right, bottom = min(max(columns), FINE * WIDTH), min(max(rows), FINE * HEIGHT)
        return (slice(top, bottom), slice(left, right)) if top < bottom and left < right else None


def inside(corners: Sequence[Point], columns: Whole, rows: Whole) -> NDArray[np.bool_]:
    """(h, w) which points, as `Canvas.grid` gives them, lie in a convex polygon or on its border."""
    pairs = list(zip(corners, [*corners[1:], corners[0]], strict=True))
    turning = 1 if sum(x * v - u * y for (x, y), (u, v) in pairs) >= 0 else -1
    found = np.ones((rows.size, columns.size), bool)
    for (x, y), (u, v) in pairs:
        found &= turning * ((u - x) * (rows - 2 * y) - (v - y) * (columns - 2 * x)) >= 0
    return found
