"""Which picture is the mask of which image, or shows its instances, by folders and names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from augforge.data.pictures import INSTANCES, MASK

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
INSTANCE_ENDINGS = ("_gtfine_instanceids", "_gtcoarse_instanceids", "_instanceids", "_instances", "_instance")
"""Likewise, of a picture of the instances."""


class Role(NamedTuple):
    """What a picture is called without the words that tell image and mask apart; `rank` of a mask, None of an image."""

    name: str
    rank: tuple[int, int] | None
    kind: str = MASK


@dataclass(slots=True)
class Pairs:
    """The pictures that go with each image, by their names, and those in folders of masks that are of none."""

    beside: dict[str, dict[str, str]] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)


def paired(locators: Iterable[str]) -> Pairs:
    """Find the masks among the pictures of a folder, by their paths inside of it."""
    listed = list(locators)
    folders = {above for locator in listed for above in _above(locator)}
    roles = {locator: _role(locator, folders) for locator in listed}
    others = _best(roles)
    found = {locator: _of_name(role.name, others) for locator, role in roles.items() if role.rank is None}
    used = {*found, *(path for pictures in found.values() for path in pictures.values())}
    return Pairs(found, [locator for locator in listed if locator not in used])


def _best(roles: Mapping[str, Role]) -> dict[tuple[str, str], tuple[tuple[int, int], str]]:
    """By name and kind, the rank and the path of the picture that counts."""
    best: dict[tuple[str, str], tuple[tuple[int, int], str]] = {}
    for locator, (name, rank, kind) in roles.items():
        if rank is not None:
            best[name, kind] = min(best.get((name, kind), (rank, locator)), (rank, locator))
    return best


def _of_name(name: str, others: Mapping[tuple[str, str], tuple[Any, str]]) -> dict[str, str]:
    """The pictures that go with the image of a name."""
    return {kind: others[name, kind][1] for kind in (MASK, INSTANCES) if (name, kind) in others}


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
    bare, ending = _without(stem, INSTANCE_ENDINGS)
    if bare != stem:
        return Role("/".join([*plain, bare]), (rank, ending), INSTANCES)
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
