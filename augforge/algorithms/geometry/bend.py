"""Operations that change the shape of things: sheared, seen from aside, and cut into tiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.geometry.base import Lines, Op, Points, Size, grid, nearest, size_of
from augforge.data.ids import rng

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shear(Op):
    """Slant about the middle: rows move sideways (`across`), or columns up and down (`down`), by an angle in degrees.

    Give one of the two; an angle is under 90 degrees either way.
    """

    across: float = 0.0
    down: float = 0.0
    name: ClassVar[str] = "shear"

    def __post_init__(self) -> None:
        if self.across and self.down:
            raise ValueError("a shear goes across or down, not both")
        if max(abs(self.across), abs(self.down)) >= 90:
            raise ValueError("the angle of a shear is under 90 degrees")

    def source(self, points: Points, size: Size) -> Points:
        """Slanted back."""
        return self._slant(points, size, -1.0)

    def target(self, points: Points, size: Size) -> Points:
        """Slanted."""
        return self._slant(points, size, 1.0)

    def _slant(self, points: Points, size: Size, way: float) -> Points:
        rows, columns = points
        across, down = (way * float(np.tan(np.deg2rad(angle))) for angle in (self.across, self.down))
        return rows + down * (columns - (size[1] - 1) / 2), columns + across * (rows - (size[0] - 1) / 2)


@dataclass(frozen=True, slots=True)
class Linear(Op):
    """Any affine map on a canvas that stays: the output's (x, y) comes from (ax + by + c, dx + ey + f).

    `matrix` is (a, b, c, d, e, f), the coordinates counted from the corner of the first pixel, as Pillow has it; the
    pixels of a label map are those that Pillow takes.
    """

    matrix: tuple[float, float, float, float, float, float]
    name: ClassVar[str] = "linear"

    def __post_init__(self) -> None:
        a, b, c, d, e, f = self.matrix
        object.__setattr__(self, "matrix", (a, b, c, d, e, f))
        if a * e == b * d:
            raise ValueError("a linear map has an inverse")

    @property
    def mirrors(self) -> bool:
        """Where the map turns a plane over."""
        a, b, _, d, e, _ = self.matrix
        return a * e < b * d

    def source(self, points: Points, size: Size) -> Points:
        """By the matrix."""
        a, b, c, d, e, f = self.matrix
        x, y = points[1] + 0.5, points[0] + 0.5
        return d * x + e * y + f - 0.5, a * x + b * y + c - 0.5

    def target(self, points: Points, size: Size) -> Points:
        """By its inverse."""
        a, b, c, d, e, f = self.matrix
        x, y, area = points[1] + 0.5 - c, points[0] + 0.5 - f, a * e - b * d
        return (a * y - d * x) / area - 0.5, (e * x - b * y) / area - 0.5

    def move_label(self, labels: NDArray[Any], void: float | None) -> NDArray[Any]:
        """By Pillow, which moves images by the same map."""
        from PIL import Image

        if labels.dtype != np.uint8 or labels.ndim != 2 or void is None:
            return nearest(labels, self.source(grid(size_of(labels)), size_of(labels)), void)
        canvas = Image.fromarray(labels)
        return np.asarray(canvas.transform(canvas.size, Image.Transform.AFFINE, self.matrix, fillcolor=int(void)))


@dataclass(frozen=True)
class Perspective(Op):
    """Each corner moves inwards by up to `amount` of the sides; straight lines stay straight.

    `amount` is under a half, so that the corners never meet.
    """

    seed: int
    amount: float
    name: ClassVar[str] = "perspective"

    def __post_init__(self) -> None:
        if not 0 <= self.amount < 0.5:
            raise ValueError("the amount of a perspective is in [0, 0.5)")

    def source(self, points: Points, size: Size) -> Points:
        """Through the inverse of the homography."""
        return _through(np.linalg.inv(self._matrix).astype(np.float64), points, size)

    def target(self, points: Points, size: Size) -> Points:
        """Through the homography."""
        return _through(self._matrix, points, size)

    @cached_property
    def _matrix(self) -> Matrix:
        """(3, 3) the homography of shares of the sides (row, column, 1) that moves the corners."""
        corners = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
        inwards = rng(self.seed, "perspective").uniform(0, self.amount, (4, 2)) if self.amount else np.zeros((4, 2))
        return _homography(corners, corners + inwards * (1 - 2 * corners))


@dataclass(frozen=True, slots=True)
class Jigsaw(Op):
    """Cut into `cells` x `cells` equal tiles, and exchange pairs of neighbours, `swaps` times one after the other.

    Px that are left over at the lower and right border stay.
    """

    seed: int
    cells: int = 4
    swaps: int = 4
    name: ClassVar[str] = "jigsaw"
    lines: ClassVar[Lines] = "cut"

    def __post_init__(self) -> None:
        if self.cells < 2 or self.swaps < 0:
            raise ValueError("a jigsaw has at least 2 cells a side, and no negative number of swaps")

    def source(self, points: Points, size: Size) -> Points:
        """Where the tile that lies here came from."""
        return self._moved(points, size, self._order())

    def target(self, points: Points, size: Size) -> Points:
        """Where the tile that lay here went."""
        return self._moved(points, size, np.argsort(self._order()))

    def _order(self) -> NDArray[np.int64]:
        """(cells * cells,) which tile lies in each place, counted row by row."""
        random, order = rng(self.seed, "jigsaw"), np.arange(self.cells**2)
        for _ in range(self.swaps):
            row, column = random.integers(self.cells), random.integers(self.cells - 1)
            one, other = row * self.cells + column, row * self.cells + column + 1
            if random.random() < 0.5:
                one, other = column * self.cells + row, (column + 1) * self.cells + row
            order[[one, other]] = order[[other, one]]
        return order

    def _moved(self, points: Points, size: Size, order: NDArray[np.int64]) -> Points:
        rows, columns = points
        tile = max(1, size[0] // self.cells), max(1, size[1] // self.cells)
        place = [np.floor((axis + 0.5) / side).astype(np.int64) for axis, side in zip(points, tile, strict=True)]
        inside = np.all([(p >= 0) & (p < self.cells) for p in place], axis=0)
        there = order[np.where(inside, place[0] * self.cells + place[1], 0)]
        down = np.where(inside, there // self.cells - place[0], 0) * tile[0]
        right = np.where(inside, there % self.cells - place[1], 0) * tile[1]
        return rows + down, columns + right


def _homography(before: Matrix, after: Matrix) -> Matrix:
    """(3, 3) the projective map, its last entry 1, that takes four points (4, 2) to four others."""
    rows = []
    for (r, c), (down, right) in zip(before, after, strict=True):
        rows.append([r, c, 1, 0, 0, 0, -r * down, -c * down])
        rows.append([0, 0, 0, r, c, 1, -r * right, -c * right])
    return np.append(np.linalg.solve(np.array(rows), after.ravel()), 1.0).reshape(3, 3)


def _through(matrix: Matrix, points: Points, size: Size) -> Points:
    shares = (points[0] + 0.5) / size[0], (points[1] + 0.5) / size[1]
    down, right, scale = (row[0] * shares[0] + row[1] * shares[1] + row[2] for row in matrix)
    return down / scale * size[0] - 0.5, right / scale * size[1] - 0.5
