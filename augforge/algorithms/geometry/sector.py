"""The view of a probe at the top of the picture: deeper, wider or narrower, tilted, and moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from augforge.algorithms.geometry.base import Op, Points, Size


@dataclass(frozen=True, slots=True)
class Sector(Op):
    """Change the view of a picture that is seen from the middle of its upper edge, as an ultrasound sector is.

    In this order: `depth` times the height is added below and all is squeezed into the height again, what is seen
    becomes `width` times as wide, it turns counter-clockwise by `degrees` about the middle of the upper edge, and moves
    `down` and `right` by whole px (EchoGAINS: Van De Vyver et al., 2025, arXiv 2502.20100). Where only the last is
    given, nothing is interpolated.
    """

    depth: float = 0.0
    width: float = 1.0
    degrees: float = 0.0
    down: int = 0
    right: int = 0
    name: ClassVar[str] = "sector"

    def __post_init__(self) -> None:
        if self.depth < 0 or self.width <= 0:
            raise ValueError("a sector has a depth of at least 0, and a width above 0")

    @property
    def still(self) -> bool:
        """Whether everything stays where it is."""
        return (self.depth, self.width, self.degrees, self.down, self.right) == (0, 1, 0, 0, 0)

    def source(self, points: Points, size: Size) -> Points:
        """Moved, turned, narrowed and lifted back."""
        (top, middle), (cos, sin) = _apex(size), self._turn()
        rows, columns = points[0] - self.down - top, points[1] - self.right - middle
        along, across = cos * rows + sin * columns, cos * columns - sin * rows
        return along * (1 + self.depth) + top, across / self.width + middle

    def target(self, points: Points, size: Size) -> Points:
        """Squeezed, widened, turned and moved."""
        (top, middle), (cos, sin) = _apex(size), self._turn()
        along, across = (points[0] - top) / (1 + self.depth), (points[1] - middle) * self.width
        rows, columns = cos * along - sin * across, sin * along + cos * across
        return rows + top + self.down, columns + middle + self.right

    def _turn(self) -> tuple[float, float]:
        angle = np.deg2rad(self.degrees)
        return float(np.cos(angle)), float(np.sin(angle))


def _apex(size: Size) -> tuple[float, float]:
    """The middle of the upper edge."""
    return -0.5, (size[1] - 1) / 2
