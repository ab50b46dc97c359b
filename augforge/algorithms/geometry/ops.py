"""The geometric operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.geometry.base import Lines, Op, Order, Points, Size, as_dtype, size_of
from augforge.algorithms.geometry.bend import Jigsaw, Linear, Perspective, Shear
from augforge.algorithms.geometry.fields import Fields
from augforge.algorithms.geometry.sector import Sector
from augforge.data.ids import rng

STEPS = 80
"""Steps of a warp's flow, for each time the side that it may move a point; at least 4."""


@dataclass(frozen=True, slots=True)
class Flip(Op):
    """Mirror left and right (horizontal) or top and bottom (vertical)."""

    axis: Literal["horizontal", "vertical"] = "horizontal"
    name: ClassVar[str] = "flip"

    def __post_init__(self) -> None:
        if self.axis not in ("horizontal", "vertical"):
            raise ValueError(f"a flip is horizontal or vertical, not {self.axis!r}")

    @property
    def mirrors(self) -> bool:
        """In either direction: what is upside down is seen in a mirror, turned by half."""
        return True

    def source(self, points: Points, size: Size) -> Points:
        """The mirrored points."""
        rows, columns = points
        if self.axis == "horizontal":
            return rows, size[1] - 1 - columns
        return size[0] - 1 - rows, columns

    def target(self, points: Points, size: Size) -> Points:
        """As `source`: a flip is its own inverse."""
        return self.source(points, size)


@dataclass(frozen=True, slots=True)
class Turn(Op):
    """Rotate by quarter turns, counter-clockwise."""

    quarters: int = 1
    name: ClassVar[str] = "turn"

    def size(self, size: Size) -> Size:
        """The sides change places with an odd number of quarters."""
        return size[::-1] if self.quarters % 2 else size

    def source(self, points: Points, size: Size) -> Points:
        """Turned back: a quarter takes (row, column) to (width - 1 - column, row), whatever the size."""
        for height in self._heights(size):
            points = points[1], height - 1 - points[0]
        return points

    def target(self, points: Points, size: Size) -> Points:
        """Turned on."""
        for height in reversed(self._heights(size)):
            points = height - 1 - points[1], points[0]
        return points

    def _heights(self, size: Size) -> list[int]:
        """The height after each quarter turn, the last one first."""
        return [size[turn % 2] for turn in range(self.quarters % 4, 0, -1)]


@dataclass(frozen=True, slots=True)
class Shift(Op):
    """Move down and right by whole pixels; the canvas stays."""

    down: int
    right: int
    name: ClassVar[str] = "shift"

    def source(self, points: Points, size: Size) -> Points:
        """Moved up and left."""
        return points[0] - self.down, points[1] - self.right

    def target(self, points: Points, size: Size) -> Points:
        """Moved down and right."""
        return points[0] + self.down, points[1] + self.right


@dataclass(frozen=True, slots=True)
class Crop(Op):
    """The part (height, width) from (top, left) on. It may reach beyond the image, and so pads."""

    top: int
    left: int
    height: int
    width: int
    name: ClassVar[str] = "crop"

    def __post_init__(self) -> None:
        _check_size((self.height, self.width))

    def size(self, size: Size) -> Size:
        """That of the part."""
        return self.height, self.width

    def source(self, points: Points, size: Size) -> Points:
        """Counted from the image's corner."""
        return points[0] + self.top, points[1] + self.left

    def target(self, points: Points, size: Size) -> Points:
        """Counted from the part's corner."""
        return points[0] - self.top, points[1] - self.left


@dataclass(frozen=True, slots=True)
class Resize(Op):
    """Stretch to (height, width). Images are averaged over what becomes one pixel."""

    height: int
    width: int
    name: ClassVar[str] = "resize"

    def __post_init__(self) -> None:
        _check_size((self.height, self.width))

    def size(self, size: Size) -> Size:
        """That asked for."""
        return self.height, self.width

    def source(self, points: Points, size: Size) -> Points:
        """The same share of the sides."""
        return _stretch(points, (self.height, self.width), size)

    def target(self, points: Points, size: Size) -> Points:
        """The same share of the sides."""
        return _stretch(points, size, (self.height, self.width))

    def move(self, pixels: NDArray[Any], order: Order, fill: float | None) -> NDArray[Any]:
        """The image at its new size."""
        return _resized(pixels, (self.height, self.width), order)

    def move_back(self, pixels: NDArray[Any], size: Size, order: Order, fill: float | None) -> NDArray[Any]:
        """The image at its old size."""
        return _resized(pixels, size, order)


@dataclass(frozen=True, slots=True)
class Affine(Op):
    """Rotate counter-clockwise by `degrees` and scale, about the middle, then move by shares of the sides."""

    degrees: float = 0.0
    scale: float = 1.0
    down: float = 0.0
    right: float = 0.0
    name: ClassVar[str] = "affine"

    def __post_init__(self) -> None:
        if self.scale <= 0:
            raise ValueError(f"a scale is positive, not {self.scale}")

    def source(self, points: Points, size: Size) -> Points:
        """Moved, turned and scaled back."""
        (middle, centre), (down, right) = _middle(size), self._offset(size)
        rows, columns = points[0] - middle - down, points[1] - centre - right
        cos, sin = self._turn()
        across, along = (cos * rows + sin * columns) / self.scale, (cos * columns - sin * rows) / self.scale
        return across + middle, along + centre

    def target(self, points: Points, size: Size) -> Points:
        """Scaled, turned and moved."""
        (middle, centre), (down, right) = _middle(size), self._offset(size)
        rows, columns = (points[0] - middle) * self.scale, (points[1] - centre) * self.scale
        cos, sin = self._turn()
        return cos * rows - sin * columns + middle + down, cos * columns + sin * rows + centre + right

    def _turn(self) -> tuple[float, float]:
        angle = np.deg2rad(self.degrees)
        return float(np.cos(angle)), float(np.sin(angle))

    def _offset(self, size: Size) -> tuple[float, float]:
        return self.down * size[0], self.right * size[1]


@dataclass(frozen=True, slots=True)
class Warp(Op):
    """Bend smoothly: points flow for a unit of time along a random field that is drawn on a coarse grid.

    No point moves further than `amplitude` times the side in either direction. As a flow of a field that runs along the
    border there, it never folds and takes nothing from outside, and the flow backwards is its inverse (the stationary
    velocity fields of Arsigny et al., MICCAI 2006).
    """

    seed: int
    amplitude: float
    cells: int = 4
    name: ClassVar[str] = "warp"
    lines: ClassVar[Lines] = "smooth"

    def __post_init__(self) -> None:
        if self.amplitude < 0 or self.cells < 2:
            raise ValueError("a warp has an amplitude of at least 0, and at least 2 cells a side")

    def source(self, points: Points, size: Size) -> Points:
        """The flow backwards."""
        return self._flow(points, size, -1.0)

    def target(self, points: Points, size: Size) -> Points:
        """The flow."""
        return self._flow(points, size, 1.0)

    def _flow(self, points: Points, size: Size, time: float) -> Points:
        """`points` after so much `time`: midpoint steps, in shares of the sides."""
        if self.amplitude == 0:
            return points
        field, steps = self._field(), max(4, round(STEPS * self.amplitude))
        step = time / steps
        place = np.stack([(points[0] + 0.5) / size[0], (points[1] + 0.5) / size[1]])
        for _ in range(steps):
            half = place + step / 2 * _velocity(field, place)
            place = place + step * _velocity(field, half)
        return place[0] * size[0] - 0.5, place[1] * size[1] - 0.5

    def _field(self) -> NDArray[np.float64]:
        """(2, cells + 1, cells + 1) velocity down and right at the nodes, in shares of the sides."""
        field = rng(self.seed, "warp").uniform(-self.amplitude, self.amplitude, (2, self.cells + 1, self.cells + 1))
        field[0, [0, -1], :] = 0
        field[1, :, [0, -1]] = 0
        return field


_EVERY: tuple[type[Op], ...] = (
    Flip,
    Turn,
    Shift,
    Crop,
    Resize,
    Affine,
    Linear,
    Warp,
    Fields,
    Shear,
    Perspective,
    Jigsaw,
    Sector,
)
OPS: dict[str, type[Op]] = {op.name: op for op in _EVERY}


def _check_size(size: Size) -> None:
    if min(size) < 1:
        raise ValueError(f"a side has at least 1 px, not {size}")


def _middle(size: Size) -> tuple[float, float]:
    return (size[0] - 1) / 2, (size[1] - 1) / 2


def _stretch(points: Points, size: Size, into: Size) -> Points:
    rows, columns = (points[axis] + 0.5 for axis in (0, 1))
    return rows * (into[0] / size[0]) - 0.5, columns * (into[1] / size[1]) - 0.5


def _velocity(field: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, …) the field at places in shares of the sides: between nodes by 3t^2 - 2t^3, so never beyond the nodes."""
    from scipy.ndimage import map_coordinates

    along = np.clip(place, 0, 1) * (field.shape[1] - 1)
    whole = np.floor(along)
    part = along - whole
    smooth = whole + part * part * (3 - 2 * part)
    return np.stack([map_coordinates(component, smooth, order=1, mode="nearest") for component in field])


def _resized(pixels: NDArray[Any], size: Size, order: Order) -> NDArray[Any]:
    from PIL import Image

    if size_of(pixels) == size:
        return pixels.copy()
    way = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[order]
    planes = pixels.reshape(*size_of(pixels), -1)
    alone = (Image.fromarray(planes[..., plane].astype(np.float32)) for plane in range(planes.shape[2]))
    found = [np.asarray(plane.resize(size[::-1], way)) for plane in alone]  # a plane at a time: photos are large
    return as_dtype(np.stack(found, axis=-1).reshape(*size, *pixels.shape[2:]), pixels.dtype)
