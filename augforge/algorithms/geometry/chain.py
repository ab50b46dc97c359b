"""Operations in a row: applied, logged, and taken back last first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.geometry.base import Lines, Op, Order, Size, size_of
from augforge.algorithms.geometry.ops import OPS

VOID = 255
"""What a label map says where nothing is known."""


class Log:
    """Operations as they are applied to something of a size, to be taken back last first."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self._steps: list[tuple[Op, Size]] = []

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, op: Op) -> None:
        """Note an operation."""
        self._steps.append((op, self.size))
        self.size = op.size(self.size)

    def undo(self, image: NDArray[Any], order: Order = "bilinear", fill: float | None = None) -> NDArray[Any]:
        """Take the last operation back, of an image."""
        op, size = self._pop(image)
        return op.move_back(image, size, order, fill)

    def undo_label(self, labels: NDArray[Any], void: float | None = VOID) -> NDArray[Any]:
        """Take the last operation back, of a label map."""
        op, size = self._pop(labels)
        return op.move_label_back(labels, size, void)

    def close(self) -> None:
        """ValueError if an operation was not taken back."""
        if self._steps:
            names = ", ".join(op.name for op, _ in self._steps)
            raise ValueError(f"{len(self)} operations were not taken back: {names}")

    def _pop(self, pixels: NDArray[Any]) -> tuple[Op, Size]:
        if not self._steps:
            raise ValueError("there is no operation left to take back")
        if size_of(pixels) != self.size:
            raise ValueError(f"this is {size_of(pixels)} px, but {self.size} came out")
        op, self.size = self._steps.pop()
        return op, self.size


@dataclass(frozen=True, slots=True)
class Geometry:
    """A chain of operations. Without any, everything stays what it was."""

    ops: tuple[Op, ...] = ()

    @classmethod
    def from_plain(cls, plain: Sequence[Mapping[str, Any]]) -> Geometry:
        """The chain that `plain` gave; ValueError for an operation or a parameter that does not exist."""
        return cls(tuple(_op(step) for step in plain))

    def plain(self) -> list[dict[str, Any]]:
        """The chain as JSON, for the provenance of an image."""
        return [op.plain() for op in self.ops]

    def size(self, size: Size) -> Size:
        """Height and width of what comes out of `size`."""
        return self.log(size).size

    def log(self, size: Size) -> Log:
        """The chain as applied to something of `size`."""
        log = Log(size)
        for op in self.ops:
            log.add(op)
        return log

    def apply(self, image: NDArray[Any], order: Order = "bilinear", fill: float | None = None) -> NDArray[Any]:
        """An image (h, w[, c]) after the chain, of the same dtype; `fill` outside, or what the edge shows if None."""
        for op in self.ops:
            image = op.move(image, order, fill)
        return image

    def apply_label(self, labels: NDArray[Any], void: float | None = VOID) -> NDArray[Any]:
        """A label map (h, w[, c]) after the chain: nearest pixel; outside `void`, or what the edge shows if None."""
        for op in self.ops:
            labels = op.move_label(labels, void)
        return labels

    def undo(
        self, image: NDArray[Any], size: Size, order: Order = "bilinear", fill: float | None = None
    ) -> NDArray[Any]:
        """What `apply` made of an image of `size`, taken back; ValueError if it is not of the size that came out."""
        log = self.log(size)
        for _ in self.ops:
            image = log.undo(image, order, fill)
        log.close()
        return image

    def undo_label(self, labels: NDArray[Any], size: Size, void: float | None = VOID) -> NDArray[Any]:
        """What `apply_label` made of a label map of `size`, taken back."""
        log = self.log(size)
        for _ in self.ops:
            labels = log.undo_label(labels, void)
        log.close()
        return labels

    def point_map(self, size: Size) -> GeometryMap:
        """Where the points of an image of `size` go, for its annotations."""
        return GeometryMap(self, size)

    def back_map(self, size: Size) -> BackMap:
        """Where the points of what came out of an image of `size` came from, for annotations."""
        return BackMap(self, size)

    def valid(self, size: Size) -> NDArray[np.bool_]:
        """(h', w') of the output: which pixels show something of the input of `size`."""
        return self.apply_label(np.ones(size, bool), void=False)

    def survives(self, size: Size) -> NDArray[np.bool_]:
        """(h, w) of the input: which pixels are still known after the chain was applied and undone."""
        return self.undo_label(self.valid(size), size, void=False)


class GeometryMap:
    """A chain, applied to an image of the size `before`, as annotations ask for it.

    Their points are counted from the corner of the first pixel, those of operations from its centre.
    """

    def __init__(self, geometry: Geometry, before: Size) -> None:
        self._geometry = geometry
        self.before, self.after = before, geometry.size(before)
        kinds = [op.lines for op in geometry.ops]
        self.lines: Lines = "cut" if "cut" in kinds else "smooth" if "smooth" in kinds else "straight"
        self.mirrored = sum(op.mirrors for op in geometry.ops) % 2 == 1

    def points(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 2) where the points (x, y) went; perhaps outside."""
        rows, columns = xy[:, 1] - 0.5, xy[:, 0] - 0.5
        size = self.before
        for op in self._geometry.ops:
            rows, columns = op.target((rows, columns), size)
            size = op.size(size)
        return np.stack([columns + 0.5, rows + 0.5], axis=1)

    def label_map(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(h, w) a label map moved, 0 outside."""
        return self._geometry.apply_label(labels, void=0)


class BackMap:
    """The way back of a `GeometryMap`: from the image that came out to the one that went in, of the size `after`."""

    def __init__(self, geometry: Geometry, after: Size) -> None:
        there = geometry.point_map(after)
        self._geometry = geometry
        self.before, self.after = there.after, after
        self.lines, self.mirrored = there.lines, there.mirrored

    def points(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 2) where the points (x, y) came from; perhaps from outside."""
        rows, columns = xy[:, 1] - 0.5, xy[:, 0] - 0.5
        sizes = [self.after]
        for op in self._geometry.ops:
            sizes.append(op.size(sizes[-1]))
        for op, size in zip(reversed(self._geometry.ops), sizes[-2::-1], strict=True):
            rows, columns = op.source((rows, columns), size)
        return np.stack([columns + 0.5, rows + 0.5], axis=1)

    def label_map(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(h, w) a label map moved back, 0 where nothing is known."""
        return self._geometry.undo_label(labels, self.after, void=0)


def _op(step: Mapping[str, Any]) -> Op:
    values = dict(step)
    name = values.pop("op", None)
    if name not in OPS:
        raise ValueError(f"there is no operation {name!r}; there are {', '.join(OPS)}")
    try:
        return OPS[name](**values)
    except TypeError as error:
        raise ValueError(f"operation {name}: {error}") from error
