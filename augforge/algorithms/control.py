"""Pictures of a layout, as control networks read them: labels and boxes in colours, edges white, near things bright."""

from __future__ import annotations

import colorsys
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
Picture = NDArray[np.uint8]
"""(h, w, 3), RGB."""
VOID = 255
"""The number in a mask that is usual for no class; it is drawn in black."""


def parse_colours(given: Sequence[str]) -> dict[str, Colour]:
    """The colours of the texts NAME=#rrggbb; ValueError at one that is none."""
    found = {}
    for text in given:
        name, _, colour = text.rpartition("=")
        if not name or not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
            raise ValueError(f"{text!r} is not NAME=#rrggbb, such as 1=#ff8800")
        found[name] = (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16))
    return found


def class_colours() -> NDArray[np.uint8]:
    """(256, 3) the colours of PASCAL VOC's label maps: the bits of a label go in turn to red, green and blue.

    Bits 0, 1 and 2 become the highest of the three, bits 3, 4 and 5 the next, and so on; 0 is black. `VOID` is black
    here, too.
    """
    labels = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        colours[:, bit % 3] |= ((labels >> bit & 1) << (7 - bit // 3)).astype(np.uint8)
    colours[VOID] = 0
    return colours


def name_colour(name: str) -> Colour:
    """A bright colour for a name, the same wherever it comes: its hue is that of the SHA-256 of the name."""
    hue = int.from_bytes(hashlib.sha256(name.encode()).digest()[:2], "big") / 65536
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_mask(mask: NDArray[np.uint8], colours: Mapping[str, Colour]) -> Picture:
    """A label map (h, w) in the colours of its numbers, by `class_colours` but for those given; (h, w, 3) as it is."""
    if mask.ndim == 3:
        return mask
    table = class_colours()
    for name, colour in colours.items():
        if name.isdecimal() and int(name) < len(table):
            table[int(name)] = colour
    return table[mask]


def draw_boxes(boxes: Sequence[Mapping[str, Any]], size: tuple[int, int], colours: Mapping[str, Colour]) -> Picture:
    """Filled boxes on black, (h, w, 3) of `size` (height, width): the larger ones first, so that small ones are seen.

    A pixel belongs to a box if its centre lies inside. The colour is that of the label, given or by `name_colour`;
    white without a label.
    """
    drawn = np.zeros((*size, 3), np.uint8)
    for box in sorted(boxes, key=lambda one: -_area(one["box"])):
        left, top, right, bottom = (max(0, math.ceil(side - 0.5)) for side in box["box"])
        label = box.get("label")
        colour = (255, 255, 255) if label is None else colours.get(label) or name_colour(label)
        drawn[top:bottom, left:right] = colour
    return drawn


def draw_edges(edges: NDArray[np.bool_] | NDArray[np.floating[Any]]) -> Picture:
    """Edges (h, w), bool or in [0, 1], white on black."""
    return _grey(edges.astype(np.float64))


def draw_depth(depth: NDArray[Any]) -> Picture:
    """Depths (h, w) in any unit, as models of relative depth show them: the inverse, from black to white, the nearest.

    0 and what is not finite is unknown, and black. A flat picture is grey.
    """
    values = depth.astype(np.float64)
    known = np.isfinite(values) & (values > 0)
    inverse = np.where(known, 1 / np.where(known, values, 1), 0)
    if not known.any():
        return _grey(inverse)
    least, most = inverse[known].min(), inverse[known].max()
    share = (inverse - least) / (most - least) if most > least else np.full(values.shape, 0.5)
    return _grey(np.where(known, share, 0))


def _grey(values: NDArray[np.float64]) -> Picture:
    """Values (h, w) in [0, 1] as grey."""
    levels = np.round(values.clip(0, 1) * 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
