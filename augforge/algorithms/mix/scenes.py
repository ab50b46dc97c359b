"""An image with all that lies in it, and two of them in one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.geometry import VOID, Geometry
from augforge.algorithms.mix.instances import Least, moved_instances, silhouettes
from augforge.algorithms.mix.names import CAPTIONS, PLACED, ids_of, new_names
from augforge.algorithms.mix.occlusion import both, covered
from augforge.algorithms.mix.pixels import Pixels, blended, pasted
from augforge.data.annotations import move_annotations, segmentation
from augforge.data.pictures import INSTANCES, MASK, kind_of

UNKNOWN = {MASK: VOID, "depth": 0}
"""What the pictures of a name say where nothing is known; others cannot."""
Pictures = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Scene:
    """An image (h, w, 3), its annotations, and the decoded pictures that go with it, by their names."""

    pixels: Pixels
    annotations: Mapping[str, Any] = field(default_factory=dict)
    pictures: Pictures = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.pixels.shape[0]), int(self.pixels.shape[1])

    @property
    def aligned(self) -> dict[str, NDArray[Any]]:
        """The pictures that have the size of the image."""
        return {name: pixels for name, pixels in self.pictures.items() if pixels.shape[:2] == self.size}

    def moved(self, geometry: Geometry, min_visible: float) -> Scene:
        """The scene after a geometry, black where there is nothing of it, with what lies somewhere in it."""
        if not geometry.ops:
            return self
        placed = {kind: self.annotations[kind] for kind in PLACED if kind in self.annotations}
        said = move_annotations(placed, geometry.point_map(self.size), min_visible)
        return Scene(geometry.apply(self.pixels, "bicubic", 0), said, _moved(self, geometry))

    def outlined(self) -> Scene:
        """The scene with an outline for each box that has none and whose id is a number in its map of instances."""
        if "boxes" not in self.annotations or INSTANCES not in self.aligned:
            return self
        boxes = [_outlined(box, self.aligned[INSTANCES]) for box in self.annotations["boxes"]]
        return replace(self, annotations={**self.annotations, "boxes": boxes})


def blend(first: Scene, second: Scene, lam: float, min_visible: float) -> Scene:
    """`lam` of the first scene and the rest of the second, of one size; no other picture can be blended.

    The things of both are in it, but not those of a scene of which there is less than `min_visible`; at 1 and at 0 it
    is one of the two.
    """
    if lam in (0.0, 1.0):
        return first if lam else second
    said = (
        scene.annotations if share >= min_visible else {kind: [] for kind in PLACED if kind in scene.annotations}
        for scene, share in ((first, lam), (second, 1.0 - lam))
    )
    return Scene(blended(first.pixels, second.pixels, lam), both(*said))


def overlay(first: Scene, second: Scene, where: NDArray[np.bool_], min_visible: float) -> Scene:
    """The first scene with the second in its place at the pixels `where` (h, w), both of one size.

    Things are cut where they are covered, see `covered`. Of what only one of them knows nothing is said, but that a
    label map or a depth map without a second one is unknown there.
    """
    if not where.any():
        return first
    names = new_names(first, second)
    below, above = (covered(scene.annotations, hidden, min_visible) for scene, hidden in
                    ((first, where), (second, ~where)))  # fmt: skip
    said, pictures = both(below, above, names), _pasted(first.aligned, second.aligned, where, names)
    return Scene(pasted(first.pixels, second.pixels, where), said, pictures)


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
    names = new_names(first, replace(second, annotations=above))
    below = covered(first.annotations, where, least[0])
    said = {**_unplaced(first.annotations, below["boxes"], above["boxes"]), **both(below, above, names)}
    pictures = _pasted(first.aligned, _moved(second, geometry), where, names)
    return Scene(pasted(first.pixels, geometry.apply(second.pixels, "bicubic", 0), where), said, pictures)


def _unplaced(before: Mapping[str, Any], below: Iterable[Any], above: Iterable[Any]) -> dict[str, Any]:
    """What lies nowhere in a scene, but for its caption; its labels with those that came, without those that went."""
    said = {kind: value for kind, value in before.items() if kind not in (*PLACED, *CAPTIONS)}
    if "labels" in said:
        were, left, new = (
            {box["label"]: None for box in boxes if "label" in box} for boxes in (before["boxes"], below, above)
        )
        stay = [label for label in said["labels"] if label in left or label not in were]
        said["labels"] = list(dict.fromkeys([*stay, *new]))
    return said


def _outlined(box: dict[str, Any], instances: NDArray[Any]) -> dict[str, Any]:
    if "segmentation" in box or not str(box.get("id", "")).isdecimal():
        return box
    inside = instances == int(box["id"])
    return {**box, "segmentation": segmentation.encoded(inside.astype(np.uint8))} if inside.any() else box


def _moved(scene: Scene, geometry: Geometry) -> dict[str, NDArray[Any]]:
    return {name: kind_of(name).moved(pixels, geometry) for name, pixels in scene.aligned.items()}


def _pasted(
    first: Pictures, second: Pictures, where: NDArray[np.bool_], names: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    """The pictures of the first scene with those of the second in their place, things under their new `names`."""
    found = {}
    for name, pixels in first.items():
        other = second.get(name)
        if other is None or other.ndim != pixels.ndim:
            other = np.full_like(pixels, UNKNOWN[name]) if name in UNKNOWN and pixels.ndim == 2 else None
        elif name == INSTANCES:
            other = _renumbered(other, names)
        if other is not None:
            found[name] = pasted(pixels, other, where)
    return found


def _renumbered(instances: NDArray[Any], names: Mapping[str, str]) -> NDArray[Any]:
    """A map of instances (h, w) under their new names."""
    made = instances.copy()
    for name in ids_of({}, instances) & set(names):
        made[instances == int(name)] = int(names[name])
    return made
