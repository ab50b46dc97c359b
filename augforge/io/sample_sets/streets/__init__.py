"""Drawn street scenes: by day with exact masks, others at night. Unpaired: no night scene is a day scene again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from augforge.data.ids import key, rng, seed_of
from augforge.io.sample_sets.streets.canvas import HEIGHT, WIDTH
from augforge.io.sample_sets.streets.houses import draw_ground, draw_heavens, draw_row, draw_skyline
from augforge.io.sample_sets.streets.light import by_day, by_night
from augforge.io.sample_sets.streets.things import draw_things
from augforge.io.sample_sets.streets.view import View

Time = Literal["day", "night"]
TIMES: tuple[Time, ...] = ("day", "night")
RANGES = {"train": range(120), "test": range(120, 150)}
"""The numbers of the scenes of each split, for day and for night."""
CLASSES = (
    "nothing", "sky", "building", "road", "pavement", "tree", "car", "pole", "pedestrian", "marking", "sign",
)  # fmt: skip
"""What the values of a mask mean."""

__all__ = ["CLASSES", "HEIGHT", "RANGES", "README", "TIMES", "WIDTH", "Scene", "Time", "draw_scene", "mask_colours"]


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture (HEIGHT, WIDTH, 3) and the class of each of its pixels (HEIGHT, WIDTH), by number in CLASSES."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]


def draw_scene(time: Time, number: int) -> Scene:
    """The scene of a time of day and a number: always the same, and never that of the other time."""
    view = View(rng(seed_of(key("streets", time, number)), "scene"), night=time == "night")
    draw_heavens(view)
    draw_skyline(view)
    draw_ground(view)
    for side in (-1, 1):
        draw_row(view, side)
    draw_things(view)
    return Scene(by_night(view) if view.night else by_day(view), view.canvas.mask())


def mask_colours() -> NDArray[np.uint8]:
    """(11, 3) a colour for each class, to show masks: `mask_colours()[mask]`."""
    return np.array(
        [(0, 0, 0), (110, 170, 230), (150, 90, 70), (90, 70, 110), (220, 150, 200), (60, 140, 60),
         (40, 60, 190), (170, 170, 170), (220, 40, 60), (250, 250, 250), (240, 210, 40)],
        np.uint8,
    )  # fmt: skip


README = f"""# Streets

Street scenes drawn by `augforge samples streets`, {WIDTH}x{HEIGHT} px. `day/` and `night/` are unpaired: no scene is in
both.
The masks of the day scenes have the same file names in `masks/`: 8-bit grey PNG files, whose values mean

| value | class |
|---|---|
{"".join(f"| {value} | {name} |{chr(10)}" for value, name in enumerate(CLASSES))}
Picture and mask are made from one drawing, four times as fine in each direction: a pixel of the mask has the class
that most of its sixteen points have. `nothing` is ground that is neither road nor pavement.

The train split has the scenes {RANGES["train"].start} to {RANGES["train"].stop - 1} of day and night, the test split \
{RANGES["test"].start} to {RANGES["test"].stop - 1}. Traffic keeps to the right.
"""
