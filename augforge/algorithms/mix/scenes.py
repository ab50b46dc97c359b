"""An image with all that lies in it, and two of them in one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.geometry import VOID, Geometry
from augforge.algorithms.mix.instances import Least, moved_instances, silhouettes
from augforge.algorithms.mix.occlusion import PLACED, both, covered, drawn_over
from augforge.algorithms.mix.pixels import Pixels, blended, pasted
from augforge.data.annotations import move_annotations


@dataclass(frozen=True, slots=True)
class Scene:
    """An image (h, w, 3), its annotations, and its label map (h, w) or a picture (h, w, 3) in its place, if any."""

    pixels: Pixels
    annotations: Mapping[str, Any] = field(default_factory=dict)
    mask: NDArray[np.uint8] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.pixels.shape[0]), int(self.pixels.shape[1])

    def moved(self, geometry: Geometry, min_visible: float) -> Scene:
        """The scene after a geometry, black where there is nothing of it, with what lies somewhere in it."""
        if not geometry.ops:
            return self
        placed = {kind: self.annotations[kind] for kind in PLACED if kind in self.annotations}
        said = move_annotations(placed, geometry.point_map(self.size), min_visible)
        return Scene(geometry.apply(self.pixels, "bicubic", 0), said, _moved(self.mask, geometry))


def blend(first: Scene, second: Scene, lam: float) -> Scene:
    """`lam` of the first scene and the rest of the second, of one size; of a blend there is no label map.

    The things of both are in it; at 1 and at 0 it is one of the two.
    """
    if lam in (0.0, 1.0):
        return first if lam else second
    return Scene(blended(first.pixels, second.pixels, lam), both(first.annotations, second.annotations))


def overlay(first: Scene, second: Scene, where: NDArray[np.bool_], min_visible: float) -> Scene:
    """The first scene with the second in its place at the pixels `where` (h, w), both of one size.

    Things are cut where they are covered, see `covered`. Of what only one of them knows nothing is said, but that a
    label map without a second one is void there.
    """
    if not where.any():
        return first
    said = drawn_over(first.annotations, second.annotations, where, min_visible)
    return Scene(pasted(first.pixels, second.pixels, where), said, _pasted_mask(first.mask, second.mask, where))


def copy_paste(first: Scene, second: Scene, chosen: Sequence[int], geometry: Geometry, least: Least) -> Scene:
    """The first scene with the boxes at the places `chosen` of the second pasted in by their outlines.

    Args:
        first: the scene below, whose boxes are known.
        second: where the instances come from.
        chosen: their places in its boxes.
        geometry: how the second scene is moved, to the size of the first.
        least: the share of a thing that has to be seen, and what is pasted of a box without an outline.
    """
    above = moved_instances(second.annotations, chosen, geometry.point_map(second.size), least)
    where = silhouettes(above["boxes"], first.size, least[1])
    if not where.any():
        return first
    below = covered(first.annotations, where, least[0])
    source, mask = geometry.apply(second.pixels, "bicubic", 0), _moved(second.mask, geometry)
    said = {**_unplaced(first.annotations, below["boxes"], above["boxes"]), **both(below, above)}
    return Scene(pasted(first.pixels, source, where), said, _pasted_mask(first.mask, mask, where))


def _unplaced(before: Mapping[str, Any], below: Iterable[Any], above: Iterable[Any]) -> dict[str, Any]:
    """What lies nowhere in a scene, but for its caption; its labels with those that came, without those that went."""
    said = {kind: value for kind, value in before.items() if kind not in (*PLACED, "caption")}
    if "labels" in said:
        were, left, new = (
            {box["label"]: None for box in boxes if "label" in box} for boxes in (before["boxes"], below, above)
        )
        stay = [label for label in said["labels"] if label in left or label not in were]
        said["labels"] = list(dict.fromkeys([*stay, *new]))
    return said


def _moved(mask: NDArray[np.uint8] | None, geometry: Geometry) -> NDArray[np.uint8] | None:
    if mask is None:
        return None
    moved: NDArray[np.uint8] = geometry.apply_label(mask) if mask.ndim == 2 else geometry.apply(mask)
    return moved


def _pasted_mask(
    first: NDArray[np.uint8] | None, second: NDArray[np.uint8] | None, where: NDArray[np.bool_]
) -> NDArray[np.uint8] | None:
    if first is None or (second is None and first.ndim == 3):
        return None
    if second is None or second.ndim != first.ndim:
        second = np.full_like(first, VOID)
    return pasted(first, second, where)
