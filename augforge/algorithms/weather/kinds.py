"""The kinds of weather, and what their parameters are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from augforge.algorithms.shifts.base import Between, Pixels, Random, Range, Seed, Values
from augforge.algorithms.weather import air, lighting

VISIBILITY = 3.912
"""Extinction times visibility, where a contrast of 2 % is left."""


@dataclass(frozen=True, slots=True)
class Vector:
    """Some numbers, each from its own range."""

    ranges: tuple[Range, ...]

    def draw(self, random: Random, severity: float) -> list[float]:
        """One after the other."""
        return [one.draw(random, severity) for one in self.ranges]


@dataclass(frozen=True, slots=True)
class Group:
    """Some parameters that belong together."""

    ranges: Mapping[str, Range]

    def draw(self, random: Random, severity: float) -> dict[str, Any]:
        """By their names."""
        return {name: one.draw(random, severity) for name, one in self.ranges.items()}


@dataclass(frozen=True, slots=True)
class Always:
    """A number that is as random at any severity, such as an angle."""

    low: float
    high: float

    def draw(self, random: Random, severity: float) -> float:
        """Evenly between both."""
        return float(random.uniform(self.low, self.high))


@dataclass(frozen=True, slots=True)
class Airlight:
    """The colour of endless fog: a light grey that is not quite neutral."""

    def draw(self, random: Random, severity: float) -> list[float]:
        """Red, green and blue in [0, 1]."""
        grey = random.uniform(0.75, 0.92)
        return [float(grey + random.uniform(-0.02, 0.02)) for _ in range(3)]


@dataclass(frozen=True, slots=True)
class Extinction:
    """`severity` times the extinction of a visibility between two distances in m, each order of magnitude as likely."""

    least: float
    most: float

    def draw(self, random: Random, severity: float) -> float:
        """Per m."""
        return severity * VISIBILITY / float(np.exp(random.uniform(np.log(self.least), np.log(self.most))))


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of weather: `apply(pixels, [depth,] **parameters)` of what `draw(random, severity)` gave."""

    apply: Callable[..., Pixels]
    ranges: Mapping[str, Range]
    uses_depth: bool = False

    def draw(self, random: Random, severity: float) -> dict[str, Any]:
        """The parameters as JSON."""
        return Group(self.ranges).draw(random, severity)

    def __call__(self, pixels: Pixels, depth: Values | None, parameters: Mapping[str, Any]) -> Pixels:
        """The image (h, w, 3) in this weather; `depth` (h, w) in m where the kind uses it."""
        if not self.uses_depth:
            return self.apply(pixels, **parameters)
        if depth is None or depth.shape != pixels.shape[:2]:
            raise ValueError("the depth of every pixel is needed")
        return self.apply(pixels, depth, **parameters)


def _around(*middles: float) -> Vector:
    """Numbers within 0.05 of some, that do nothing at 0."""
    return Vector(tuple(Between(middle - 0.05, middle + 0.05) for middle in middles))


WEATHER: dict[str, Kind] = {
    "fog": Kind(air.fog, {"beta": Extinction(30, 120), "airlight": Airlight()}, uses_depth=True),
    "rain": Kind(
        air.rain,
        {
            "beta": Extinction(300, 1000),
            "streaks": Group(
                {"share": Between(0.04, 0.12), "length": Always(0.08, 0.16), "angle": Always(70, 110)},
            ),
            "seed": Seed(),
        },
        uses_depth=True,
    ),
    "snow": Kind(
        air.snow,
        {
            "beta": Extinction(150, 600),
            "lying": Between(1.3, 2.2, rest=1),
            "falling": Group(
                {"share": Between(0.02, 0.06), "size": Always(0.002, 0.005), "angle": Always(60, 120)},
            ),
            "seed": Seed(),
        },
        uses_depth=True,
    ),
    "night": Kind(
        lighting.night,
        {
            "stops": Between(2.5, 4.0),
            "paleness": Between(0.3, 0.6),
            "tint": _around(-0.25, 0.0, 0.3),
            "noise": Group({"shot": Between(0.0005, 0.003), "read": Between(1e-6, 8e-6)}),
            "seed": Seed(),
        },
    ),
    "dawn": Kind(
        lighting.twilight,
        {"stops": Between(0.3, 1.0), "above": _around(-0.1, -0.05, 0.2), "below": _around(0.3, -0.1, 0.0)},
    ),
    "dusk": Kind(
        lighting.twilight,
        {"stops": Between(0.8, 1.8), "above": _around(-0.1, -0.2, 0.3), "below": _around(0.45, 0.0, -0.5)},
    ),
    "glare": Kind(
        lighting.glare,
        {
            "row": Always(0.0, 0.45),
            "column": Always(0.1, 0.9),
            "strength": Between(0.8, 2.5),
            "radius": Always(0.1, 0.25),
        },
    ),
    "motion-blur": Kind(lighting.motion_blur, {"length": Between(0.04, 0.1), "angle": Always(0, 180)}),
}
"""Every kind by its name."""
