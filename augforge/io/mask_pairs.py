"""Which picture is the mask of which image, where they lie in folders of their own and their names say so."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

IMAGE_FOLDERS = frozenset({
    "leftimg8bit", "images", "image", "imgs", "img", "jpegimages", "rgb", "701_stillsraw_full",
})  # fmt: skip
"""Folders of images, in lower case."""
MASK_FOLDERS = (
    "gtfine", "gtcoarse", "annotations", "annotation", "labels", "label", "masks", "mask", "segmentationclass",
    "segmentation", "segmentations", "semantic", "groundtruth", "ground_truth", "gt",
    "labeledapproved_full",
)  # fmt: skip
"""Folders of masks, in lower case; where several have a mask of an image, the first counts."""
BESIDE = re.compile(r"(.+?)_?(annot|annotations|labels|masks?)", re.IGNORECASE)
"""What the folder of the masks of another one is called: `trainannot` beside `train`, `train_masks`."""
IMAGE_ENDINGS = ("_leftimg8bit", "_rgb", "_image", "_img", "_sat")
MASK_ENDINGS = (
    "_gtfine_labelids", "_gtcoarse_labelids", "_gtfine_labeltrainids", "_labelids", "_mask", "_label", "_labels",
    "_seg", "_segmentation", "_gt", "_l", "_p", "",
)  # fmt: skip
"""What stands behind the name of the image in that of a mask, in lower case; the first counts."""


class Role(NamedTuple):
    """What a picture is called without the words that tell image and mask apart; `rank` of a mask, None of an image."""

    name: str
    rank: tuple[int, int] | None


@dataclass(slots=True)
class Pairs:
    """The masks by their images, "" of an image without one, and the pictures in folders of masks that are of none."""

    masks: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)


def paired(locators: Iterable[str]) -> Pairs:
    """Find the masks among the pictures of a folder, by their paths inside of it."""
    listed = list(locators)
    folders = {above for locator in listed for above in _above(locator)}
    images: dict[str, str] = {}
    masks: dict[str, tuple[tuple[int, int], str]] = {}
    for locator in listed:
        name, rank = _role(locator, folders)
        if rank is None:
            images[locator] = name
        else:
            masks[name] = min(masks.get(name, (rank, locator)), (rank, locator))
    found = {locator: masks[name][1] if name in masks else "" for locator, name in images.items()}
    used = {*found, *found.values()}
    return Pairs(found, [locator for locator in listed if locator not in used])


def _role(locator: str, folders: Collection[str]) -> Role:
    *parts, name = locator.split("/")
    rank, plain = None, []
    for place, part in enumerate(parts):
        low = part.lower()
        beside = BESIDE.fullmatch(part)
        if low in MASK_FOLDERS:
            rank = MASK_FOLDERS.index(low)
        elif beside and "/".join([*parts[:place], beside[1]]) in folders:
            rank = len(MASK_FOLDERS)
            part = beside[1]
        plain.append("*" if low in MASK_FOLDERS or low in IMAGE_FOLDERS else part)
    stem = name.rpartition(".")[0] or name
    if rank is None:
        return Role("/".join([*plain, _without(stem, IMAGE_ENDINGS)[0]]), None)
    stem, ending = _without(stem, MASK_ENDINGS)
    return Role("/".join([*plain, stem]), (rank, ending))


def _without(stem: str, endings: tuple[str, ...]) -> tuple[str, int]:
    """A name without the first of some endings that it has, and which it was."""
    for number, ending in enumerate(endings):
        if ending and stem.lower().endswith(ending):
            return stem[: -len(ending)], number
    return stem, len(endings)


def _above(locator: str) -> Iterable[str]:
    """The folders above a file."""
    parts = locator.split("/")[:-1]
    return ("/".join(parts[:end]) for end in range(1, len(parts) + 1))
