"""Parts of an image painted anew: which things there are, how far the paint reaches, and what is known afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.outpainting import inside_boxes, stretched
from augforge.data.annotations import segmentation

Region = NDArray[np.bool_]
"""(h, w)"""
Weights = NDArray[np.float32]
"""(h, w) in [0, 1], how much of a pixel is paint."""
NO_CLASS = (0, 255)
"""Numbers in a mask that are usual for the background and for no class."""
HALF = 0.5
"""A thing is replaced if at least this share of it is painted."""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something in an image: where it is, what it is called, and whether it has an outline that it ends at."""

    area: Region
    label: str
    outlined: bool = True


def things_in_boxes(boxes: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> list[Thing]:
    """One for each box of an image of `size` (height, width): what its outline encloses, else the box."""
    return [Thing(area_of(box, size), str(box.get("label") or ""), "segmentation" in box) for box in boxes]


def things_in_map(numbers: NDArray[Any], classes: bool = False) -> list[Thing]:
    """One for each number in a map (h, w) of instances, or of `classes`; not for those that stand for nothing.

    What borders on an instance may be another one, and what borders on a class is another one: there is no sharp end
    to it, such as between a car and the road.
    """
    nothing = NO_CLASS if classes else (0,)
    return [Thing(numbers == each, str(each), not classes) for each in np.unique(numbers) if each not in nothing]


def made_up_thing(size: tuple[int, int], share: float, random: np.random.Generator) -> Thing:
    """A rectangle at random that covers about `share` of an image of `size` (height, width), up to twice as long."""
    height, width = size
    ratio = 2.0 ** random.uniform(-0.5, 0.5)
    tall = min(height, max(1, round((share * height * width) ** 0.5 * ratio)))
    wide = min(width, max(1, round(share * height * width / tall)))
    top, left = int(random.integers(height - tall + 1)), int(random.integers(width - wide + 1))
    area = np.zeros(size, bool)
    area[top : top + tall, left : left + wide] = True
    return Thing(area, "")


def area_of(box: Mapping[str, Any], size: tuple[int, int]) -> Region:
    """(h, w) the pixels of what is in a box, of an image of `size` (height, width)."""
    if "segmentation" in box:
        return segmentation.decoded(box["segmentation"], size).astype(bool)
    return inside_boxes([box], size)


def union(areas: Iterable[Region], size: tuple[int, int]) -> Region:
    """(h, w) where any of them is."""
    found = np.zeros(size, bool)
    for area in areas:
        found |= area
    return found


def weights_around(region: Region, dilate: float, feather: float) -> Weights:
    """How much of each pixel is paint: all within `dilate` px of the region, fading to nothing `feather` px further.

    Distances are between the centres of pixels. With `feather` 0 it stops at once.
    """
    from scipy.ndimage import distance_transform_edt

    if not region.any():
        return np.zeros(region.shape, np.float32)
    beyond = distance_transform_edt(~region) - dilate
    weights: Weights = np.clip(1 - beyond / (feather + 1), 0, 1).astype(np.float32)
    return weights


def weights_of(
    chosen: Sequence[Thing], others: Sequence[Thing], size: tuple[int, int], reach: tuple[float, float], outside: bool
) -> Weights:
    """How much of each pixel of an image is paint.

    Args:
        chosen: the things that are replaced; with `outside` those that stay.
        others: other things; what lies within their outlines is never painted, unless `outside`.
        size: (height, width) of the image.
        reach: px by which the chosen things are grown, and px over which the paint then fades.
        outside: whether everything but the chosen things is painted. It fades outside of them.
    """
    around = weights_around(union((thing.area for thing in chosen), size), *reach)
    if outside:
        return np.float32(1) - around
    around[union((thing.area for thing in others if thing.outlined), size)] = 0
    return around


def compose(parent: NDArray[np.uint8], paint: NDArray[np.float32] | None, weights: Weights) -> NDArray[np.float32]:
    """(h, w, 3) in [0, 1]: the parent (h, w, 3), and over it the paint (h', w', 3), stretched, by its weights.

    Where the weight is 0 it is the parent exactly, in 255ths, and where it is 1 the paint.
    """
    kept = parent.astype(np.float32) / np.float32(255)
    if paint is None:
        return kept
    share, new = weights[..., None], stretched(paint, parent.shape[:2])
    mixed = np.where(share == 1, new, share * new + (1 - share) * kept)
    return np.where(share == 0, kept, mixed)


def crop_around(region: Region, context: float) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) in px of what is shown to a model: the region, its sides grown by the share `context`
    on either side, and the shorter one to the longer, as far as the image goes.
    """
    rows, columns = np.nonzero(region.any(axis=1))[0], np.nonzero(region.any(axis=0))[0]
    (top, bottom), (left, right) = (_grown(axis[0], axis[-1] + 1, context) for axis in (rows, columns))
    side = max(bottom - top, right - left)
    top, bottom = _within((top + bottom - side) / 2, side, region.shape[0])
    left, right = _within((left + right - side) / 2, side, region.shape[1])
    return left, top, right, bottom


def _grown(low: int, high: int, context: float) -> tuple[float, float]:
    more = context * (high - low)
    return low - more, high + more


def _within(start: float, side: float, length: int) -> tuple[int, int]:
    """A stretch of `side` px that begins at `start`, moved into [0, length) and cut where it is longer."""
    side = min(side, length)
    low = int(np.floor(np.clip(start, 0, length - side)))
    return low, min(length, low + int(np.ceil(side)))


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of what was replaced: "keep" what was said before, "drop" it, or another label."""

    label: str
    mask_value: int = 0
    outside: bool = False

    @property
    def keeps(self) -> bool:
        """Whether things that were replaced keep what is said of them; what a new background hides is gone."""
        return self.label == "keep" and not self.outside

    @property
    def renames(self) -> bool:
        """Whether they get another label."""
        return self.label not in ("keep", "drop") and not self.outside


def annotations_after(annotations: Mapping[str, Any], weights: Weights, said: Said) -> dict[str, Any]:
    """The annotations of an image after it was painted: those of things that were replaced as `said`, the others kept.

    A box is that of a replaced thing if at least half of what it encloses is mostly paint, keypoints if half of those
    that are labelled are. A caption tells of the whole image, and is dropped.
    """
    if said.keeps or not weights.any():
        return dict(annotations)
    paint = weights >= HALF
    boxes = _boxes_after(annotations.get("boxes", ()), paint, said)
    new = {
        "boxes": boxes,
        "keypoints": [one for one in annotations.get("keypoints", ()) if not _is_painted(one, paint)],
        "labels": _labels_after(annotations.get("labels", ()), annotations.get("boxes", ()), boxes),
    }
    return {name: new.get(name, value) for name, value in annotations.items() if name != "caption"}


def _boxes_after(boxes: Sequence[Mapping[str, Any]], paint: Region, said: Said) -> list[dict[str, Any]]:
    found = []
    for box in boxes:
        area = area_of(box, (paint.shape[0], paint.shape[1]))
        if not area.any() or paint[area].mean() < HALF:
            found.append(dict(box))
        elif said.renames:
            found.append({"box": box["box"], "label": said.label})
    return found


def _is_painted(instance: Mapping[str, Any], paint: Region) -> bool:
    height, width = paint.shape
    there = [(min(int(y), height - 1), min(int(x), width - 1)) for x, y, v in instance["points"] if v]
    return bool(there) and bool(np.mean([paint[place] for place in there]) >= HALF)


def _labels_after(
    labels: Sequence[str], before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> list[str]:
    """The classes of an image without those whose last box is gone, and with those that are new."""
    there = [box["label"] for box in after if box.get("label")]
    gone = {box["label"] for box in before if box.get("label")} - set(there)
    return list(dict.fromkeys([*(label for label in labels if label not in gone), *there]))


def pictures_after(
    pictures: Mapping[str, NDArray[Any]], region: Region, weights: Weights, said: Said
) -> dict[str, NDArray[Any]]:
    """The mask, instances and depth of an image after the `region` (h, w) was replaced.

    The depth of all paint is unknown: 0. In the region the mask says `mask_value`, and there is no instance, unless
    what was there is kept; a thing with another label is still an instance.
    """
    found = {name: pixels.copy() for name, pixels in pictures.items()}
    if "depth" in found:
        found["depth"][weights > 0] = 0
    if "mask" in found and said.label != "keep":
        found["mask"][region] = said.mask_value
    if "instances" in found and not (said.keeps or said.renames):
        found["instances"][region] = 0
    return found
