"""A street seen in perspective: the camera, the road's measures, and how to draw at a place in the world.

Lengths are whole centimetres: x to the right of the camera, y above the road, z ahead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from augforge.io.sample_sets.streets.canvas import FINE, HEIGHT, WIDTH, Canvas, Colour, Point, Surface

NOTHING, SKY, BUILDING, ROAD, PAVEMENT, TREE, CAR, POLE, PEDESTRIAN, MARKING, SIGN = range(11)
GROUND = (NOTHING, ROAD, PAVEMENT, MARKING)
NEAR, FAR = 170, 12000
DARK: Colour = (22, 24, 36)
HAZES: tuple[Colour, ...] = ((190, 206, 222), (206, 210, 212), (190, 194, 198), (220, 202, 182))
"""What distance fades into, by night and by day in each weather: clear, fair, overcast, evening."""


@dataclass(frozen=True, slots=True)
class Lamp:
    """A light: its place, its colour, and how many fine points a metre has there; `drop` points above the ground."""

    place: Point
    colour: Colour
    metre: int
    drop: int
    post: bool = False


class View:
    """One scene being drawn. Everything is decided by whole numbers from `random`."""

    def __init__(self, random: np.random.Generator, night: bool) -> None:
        self.random, self.night = random, night
        self._drawn: list[int] = []
        self.canvas = Canvas(Surface(SKY, (0, 0, 0)))
        self.lamps: list[Lamp] = []
        self.vanishing = (self.pick(22, 78) * FINE * WIDTH // 100, self.pick(32, 60) * FINE * HEIGHT // 100)
        self.focus, self.camera = self.pick(300, 380), self.pick(140, 210)
        width = self.pick(520, 1200)
        self.left = -width * self.pick(45, 80) // 100
        self.right = self.left + width
        self.walk = self.pick(190, 480)
        self.weather = self.pick(0, 3)
        self.sunny_side = self.pick(0, 1) * 2 - 1
        self.haze = HAZES[self.weather]

    def pick(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        if not self._drawn:
            self._drawn = self.random.integers(0, 2**40, 1024).tolist()
        return low + self._drawn.pop() % (high - low + 1)

    def chance(self, percent: int) -> bool:
        """True so many times of a hundred."""
        return self.pick(0, 99) < percent

    def one(self, colours: tuple[Colour, ...]) -> Colour:
        """One of several colours."""
        return colours[self.pick(0, len(colours) - 1)]

    def kerb(self, side: int) -> int:
        """The x at which the road ends on the left (-1) or on the right (1)."""
        return self.left if side < 0 else self.right

    def at(self, x: int, y: int, z: int) -> Point:
        """Where a place is seen."""
        return self.vanishing[0] + self.focus * x // z, self.vanishing[1] + self.focus * (self.camera - y) // z

    def metre(self, z: int) -> int:
        """How many fine points a metre has there."""
        return 100 * self.focus // z

    def shade(self, colour: Colour, z: int, percent: int = 100) -> Colour:
        """A colour at so many percent, fading with distance into the haze or the dark."""
        goal, reach = (DARK, 9000) if self.night else (self.haze, 11000)
        return mixed(scaled(colour, percent), goal, z, z + reach)

    def flat(self, surface: Surface, x: tuple[int, int], z: tuple[int, int], over: Iterable[int] | None = None) -> None:
        """Draw a rectangle on the ground."""
        corners = [self.at(x[0], 0, z[0]), self.at(x[1], 0, z[0]), self.at(x[1], 0, z[1]), self.at(x[0], 0, z[1])]
        self.canvas.polygon(surface, corners, over)

    def facing(self, surface: Surface, x: tuple[int, int], y: tuple[int, int], z: int) -> None:
        """Draw an upright rectangle that faces the camera."""
        (left, top), (right, bottom) = self.at(x[0], y[1], z), self.at(x[1], y[0], z)
        self.canvas.rectangle(surface, left, top, right, bottom)

    def ball(self, surface: Surface, x: int, y: int, z: int, radius: tuple[int, int]) -> None:
        """Draw an ellipse that faces the camera."""
        self.canvas.ellipse(surface, self.at(x, y, z), (self.focus * radius[0] // z, self.focus * radius[1] // z))

    def shadow(self, x: tuple[int, int], z: tuple[int, int]) -> None:
        """Darken the ground."""
        if not self.night:
            for kind, colour in ((ROAD, (52, 53, 57)), (PAVEMENT, (98, 95, 92)), (NOTHING, (70, 78, 58))):
                self.flat(Surface(kind, self.shade(colour, z[0]), rough=10), x, z, over=[kind])

    def light(self, x: int, y: int, z: int, colour: Colour, post: bool = False) -> None:
        """Note a light, at night."""
        if self.night:
            drop = self.focus * y // z
            self.lamps.append(Lamp(self.at(x, y, z), colour, self.metre(z), drop, post))


def scaled(colour: Colour, percent: int) -> Colour:
    """A colour made darker or lighter."""
    red, green, blue = (min(255, value * percent // 100) for value in colour)
    return red, green, blue


def mixed(first: Colour, second: Colour, part: int, whole: int) -> Colour:
    """`part` of `whole` of the second colour in the first."""
    red, green, blue = (a + (b - a) * part // whole for a, b in zip(first, second, strict=True))
    return red, green, blue
