"""Sample sheets of a paired training: what goes in, what comes out, what it should have been."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

from augforge.models.networks.paired.conditions import Conditioner, Prepared
from augforge.models.networks.paired.instances import VOID
from augforge.models.tensors import to_picture
from augforge.training.paired.examples import Ready
from augforge.training.task import SampleGrid

TITLES = ("condition", "made", "real")
GOLDEN = 0.618034


def palette(values: int) -> NDArray[np.uint8]:
    """(values + 1, 3) colours that tell the classes of a label map apart; black, the last one, is void."""
    hues = [number * GOLDEN % 1 for number in range(values)]
    colours = [colorsys.hsv_to_rgb(hue, 0.65, 1 - 0.3 * (number % 2)) for number, hue in enumerate(hues)]
    return np.round(np.array([*colours, (0, 0, 0)]) * 255).astype(np.uint8)


def condition_picture(conditioner: Conditioner, prepared: Prepared) -> NDArray[np.uint8]:
    """(s, s, 3): a label map in colours, edges in white, a picture as it is."""
    if conditioner.kind == "labelmap":
        classes = prepared.classes.numpy()
        return palette(conditioner.values)[np.where(classes == VOID, conditioner.values, classes)]
    if conditioner.kind == "edges":
        return to_picture(prepared.condition[:1].repeat(3, 1, 1) * 2 - 1)
    planes = prepared.condition[: 1 if conditioner.planes == 1 else 3]
    return to_picture(planes.expand(3, -1, -1))


def grid_of(conditioner: Conditioner, ready: list[Ready], made: NDArray[np.float32]) -> SampleGrid:
    """A row for every example, with what was made (n, s, s, 3) in [0, 1] of it."""
    pictures = np.round(np.nan_to_num(made) * 255).astype(np.uint8)
    rows = [
        (condition_picture(conditioner, one.prepared), picture, to_picture(one.real))
        for one, picture in zip(ready, pictures, strict=True)
    ]
    return SampleGrid(TITLES, rows)
