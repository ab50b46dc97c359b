"""Local affine transforms whose parameters are random fields."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.fields.spectrum import FieldSpec, node_count, node_field
from augforge.algorithms.geometry.base import Lines, Op, Points, Size

STEEPEST = 0.75
"""The most by which the displacement may change over a distance, in shares of it: under 1 nothing folds."""
ROUNDS, CLOSE = 200, 1e-10
PARAMETERS = ("rotate", "scale", "shear", "shift")


@dataclass(frozen=True, slots=True)
class Fields(Op):
    """Turn, scale, slant and shift by amounts that are smooth random functions of the place.

    `fields` names a parameter, its amplitude, correlation length and exponent, once each: `rotate` in degrees about the
    middle, `scale` as a logarithm, `shear` as a tangent, `shift` in shares of the shorter side. Where the displacement
    would change by more than STEEPEST of the distance anywhere, all of it is made smaller by one factor, `share`: the
    map then has a positive Jacobian everywhere, also outside of the image, and an inverse.
    """

    seed: int
    fields: tuple[FieldSpec, ...] = ()
    name: ClassVar[str] = "fields"
    lines: ClassVar[Lines] = "smooth"

    def __post_init__(self) -> None:
        given = tuple(FieldSpec(*spec) for spec in self.fields)
        object.__setattr__(self, "fields", given)  # JSON has lists
        for spec in given:
            if spec.parameter not in PARAMETERS:
                raise ValueError(f"{spec.parameter!r} is none of {', '.join(PARAMETERS)}")
            if spec.amplitude < 0 or spec.correlation <= 0 or spec.exponent <= 2:
                raise ValueError("an amplitude is at least 0, a correlation length over 0 and an exponent over 2")

    def source(self, points: Points, size: Size) -> Points:
        """Displaced."""
        if self.still:
            return points
        down, right = _at(_displacement(self.seed, self.fields, size)[0], points, size)
        return points[0] + down, points[1] + right

    def target(self, points: Points, size: Size) -> Points:
        """Where the displacement leads to the points: iterated, as it is a contraction."""
        if self.still:
            return points
        nodes, found = _displacement(self.seed, self.fields, size)[0], points
        for _ in range(ROUNDS):
            down, right = _at(nodes, found, size)
            before, found = found, (points[0] - down, points[1] - right)
            if max(_furthest(found[axis], before[axis]) for axis in (0, 1)) < CLOSE * min(size):
                break
        return found

    @property
    def still(self) -> bool:
        """Whether nothing moves."""
        return not any(spec.amplitude for spec in self.fields)

    def share(self, size: Size) -> float:
        """By what the displacement of an image of `size` was multiplied, in (0, 1]: 1 unless it would be too steep."""
        return 1.0 if self.still else _displacement(self.seed, self.fields, size)[1]


@lru_cache(maxsize=8)
def _displacement(seed: int, fields: tuple[FieldSpec, ...], size: Size) -> tuple[NDArray[np.float64], float]:
    """(2, rows + 1, columns + 1) px down and right at the nodes, and the factor that made it flat enough."""
    moved = unbounded(seed, fields, size)
    steep = steepness(moved, size)
    share = 1.0 if steep <= STEEPEST else STEEPEST / steep
    moved = moved * share * min(size)
    moved.setflags(write=False)
    return moved, share


def unbounded(seed: int, fields: tuple[FieldSpec, ...], size: Size) -> NDArray[np.float64]:
    """(2, rows + 1, columns + 1) the displacement as drawn, in shares of the shorter side."""
    nodes = node_count(size)
    down, right = (np.linspace(-0.5, 0.5, count) * size[axis] / min(size) for axis, count in enumerate(nodes))
    place = np.stack(np.meshgrid(down, right, indexing="ij"))
    drawn = {spec.parameter: node_field(size, spec, seed) for spec in fields if spec.amplitude}
    moved = place.copy()
    if "shear" in drawn:
        moved[1] += drawn["shear"] * moved[0]
    if "scale" in drawn:
        moved *= np.exp(drawn["scale"])
    if "rotate" in drawn:
        cos, sin = np.cos(np.deg2rad(drawn["rotate"])), np.sin(np.deg2rad(drawn["rotate"]))
        moved = np.stack([cos * moved[0] + sin * moved[1], cos * moved[1] - sin * moved[0]])
    for spec in fields:
        if spec.parameter == "shift" and spec.amplitude:
            across = node_field(size, spec._replace(parameter="shift across"), seed)
            moved = moved + np.stack([drawn["shift"], across])
    return moved - place


def steepness(moved: NDArray[np.float64], size: Size) -> float:
    """The largest Frobenius norm that the Jacobian of a displacement (2, n, m) in shares of the shorter side may have.

    Between nodes it is bilinear, so that its derivatives are means of differences of neighbouring nodes.
    """
    nodes = [(count - 1) * min(size) / side for count, side in zip(moved.shape[1:], size, strict=True)]
    down = ((np.diff(moved, axis=1) * nodes[0]) ** 2).sum(axis=0)
    right = ((np.diff(moved, axis=2) * nodes[1]) ** 2).sum(axis=0)
    cells = np.maximum(down[:, 1:], down[:, :-1]) + np.maximum(right[1:], right[:-1])
    return float(np.sqrt(cells.max()))


def _at(nodes: NDArray[np.float64], points: Points, size: Size) -> Points:
    """The displacement at points, bilinear between the nodes; outside of the image that of its border."""
    from scipy.ndimage import map_coordinates

    counts = nodes.shape[1:]
    place = [(points[axis] + 0.5) / size[axis] * (counts[axis] - 1) for axis in (0, 1)]
    down, right = (map_coordinates(component, place, order=1, mode="nearest") for component in nodes)
    return down, right


def _furthest(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.abs(one - other).max(initial=0.0))
