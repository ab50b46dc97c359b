"""What a geometric operation is, and how pixels are looked up.

Points are pixel centres (row, column); the middle of a side of n px lies at (n - 1) / 2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

Points = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Rows and columns, two arrays of equal shape."""
Size = tuple[int, int]
"""Height and width in px."""
Order = Literal["bilinear", "bicubic"]
Lines = Literal["straight", "smooth", "cut"]
ORDERS: dict[Order, int] = {"bilinear": 1, "bicubic": 3}


@dataclass(frozen=True, slots=True)
class Op(ABC):
    """One geometric operation, with its parameters as fields."""

    name: ClassVar[str]
    lines: ClassVar[Lines] = "straight"
    """What becomes of a straight line: it stays straight, it bends, or it may be cut into pieces."""

    @property
    def mirrors(self) -> bool:
        """Whether left and right change places."""
        return False

    def size(self, size: Size) -> Size:
        """Height and width of what comes out."""
        return size

    @abstractmethod
    def source(self, points: Points, size: Size) -> Points:
        """Where in an input of `size` the output's `points` come from; perhaps outside."""

    @abstractmethod
    def target(self, points: Points, size: Size) -> Points:
        """Where in the output the `points` of an input of `size` went; perhaps outside."""

    def plain(self) -> dict[str, Any]:
        """The operation as JSON."""
        return {"op": self.name, **asdict(self)}

    def move(self, pixels: NDArray[Any], order: Order, fill: float | None) -> NDArray[Any]:
        """An image (h, w[, c]) after the operation; outside lies `fill`, or what the edge shows if None."""
        size = size_of(pixels)
        return sample(pixels, self.source(grid(self.size(size)), size), order, fill)

    def move_back(self, pixels: NDArray[Any], size: Size, order: Order, fill: float | None) -> NDArray[Any]:
        """An image as it was before the operation made it out of one of `size`."""
        return sample(pixels, self.target(grid(size), size), order, fill)

    def move_label(self, labels: NDArray[Any], void: float | None) -> NDArray[Any]:
        """A label map (h, w[, c]) after the operation: of the nearest pixel; outside `void`, or the edge's if None."""
        size = size_of(labels)
        return nearest(labels, self.source(grid(self.size(size)), size), void)

    def move_label_back(self, labels: NDArray[Any], size: Size, void: float | None) -> NDArray[Any]:
        """A label map as it was before the operation, of the nearest pixel."""
        return nearest(labels, self.target(grid(size), size), void)


def size_of(pixels: NDArray[Any]) -> Size:
    """Height and width of an image or a label map."""
    return int(pixels.shape[0]), int(pixels.shape[1])


def grid(size: Size) -> Points:
    """(h, w) row and column of every pixel."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float64)
    return rows, columns


def nearest(pixels: NDArray[Any], points: Points, fill: float | None) -> NDArray[Any]:
    """The pixel nearest to each point; outside `fill`, or the edge's pixel if None."""
    height, width = size_of(pixels)
    rows, columns = (np.floor(axis + 0.5).astype(np.int64) for axis in points)
    found: NDArray[Any] = pixels[rows.clip(0, height - 1), columns.clip(0, width - 1)]
    if fill is not None:
        found[(rows < 0) | (rows >= height) | (columns < 0) | (columns >= width)] = fill
    return found


def sample(pixels: NDArray[Any], points: Points, order: Order, fill: float | None) -> NDArray[Any]:
    """An image at points, bilinear or by cubic splines; where all points are pixels, nothing is interpolated."""
    if all((np.floor(axis) == axis).all() for axis in points):
        return nearest(pixels, points, fill)
    from scipy.ndimage import map_coordinates

    planes = pixels.reshape(*size_of(pixels), -1).astype(np.float64)
    found = np.stack(
        [
            map_coordinates(planes[..., plane], points, order=ORDERS[order], mode="nearest")
            for plane in range(planes.shape[2])
        ],
        axis=-1,
    )
    values = as_dtype(found.reshape(*points[0].shape, *pixels.shape[2:]), pixels.dtype)
    if fill is not None:
        values[~nearest(np.ones(size_of(pixels), bool), points, False)] = fill
    return values


def as_dtype(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """`values` as `dtype`: whole numbers are rounded and kept in their range."""
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        values = np.rint(values).clip(limits.min, limits.max)
    return values.astype(dtype)
