"""Images and masks in folders of their own, as Cityscapes, CamVid and ADE20K have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from augforge.data.pictures import MASK
from augforge.errors import SourceError
from augforge.io.annotated import AnnotatedImages, counted, folders_below
from augforge.io.base import Entry, existing_folder
from augforge.io.listing import Listing
from augforge.io.mask_pairs import MASK_FOLDERS, Pairs, paired
from augforge.io.splits import path_split
from augforge.io.tree import SUFFIXES

DEEP = 4
"""Folders below each other in which masks are looked for, to find out what a folder is."""
OTHERS = frozenset({"masks", "mask"})
"""Folders of masks that lie beside class folders or `images`, too; those are image folders (`folder`)."""


class Segmentation(AnnotatedImages):
    """Images, and the masks that are called like them in another folder.

    `leftImg8bit/val/bonn/1_leftImg8bit.png` has the mask `gtFine/val/bonn/1_gtFine_labelIds.png`; `images/a/1.jpg` has
    `annotations/a/1.png`, or one in `labels`, `masks` or the like, perhaps with `_mask`, `_label`, `_seg`, `_gt`, `_L`
    or `_P` behind its name; `train/1.png` has `trainannot/1.png`. No folder is a class. The split is the one that a
    folder or the file's name names. Other pictures of the same name (`_gtFine_color.png`) are not used, which is said.
    """

    format = "images with masks"

    def __init__(self, value: str, *, split: str | None = None) -> None:
        self.where = f"segmentation {value}"
        self._root = existing_folder(value)
        self._split = split
        if not any(self._pairs.beside.values()):
            raise SourceError(
                f"{self.where}: no picture in it is the mask of another",
                "put images/a.jpg beside masks/a.png, or name the folder of the masks: folder with the option masks",
            )

    def classes(self) -> list[str]:
        """None: what a mask shows has no names here."""
        return []

    @property
    def remarks(self) -> list[str]:
        """Images without a mask."""
        return counted(
            [image for image, there in self._pairs.beside.items() if MASK not in there], "image", "without a mask"
        )

    def unused(self) -> Mapping[str, int]:
        """Pictures that are the mask of none, by the last word of their names, and other files, by their suffixes."""
        kinds = Counter(_kind(locator) for locator in self._pairs.unused)
        for _, names in folders_below(self._root):
            kinds.update(Path(name).suffix.lower() or name for name in names if not _is_image(name))
        return kinds

    @cached_property
    def _pairs(self) -> Pairs:
        return paired(self._images)

    def _found(self) -> Iterator[Entry]:
        for locator, beside in self._pairs.beside.items():
            yield replace(self._images[locator], split=path_split(locator), pictures=self._stamps(beside))

    def _beside_images(self) -> Mapping[str, Mapping[str, str]]:
        return self._pairs.beside


def holds_masks(listing: Listing) -> bool:
    """Whether a folder has pictures in folders of masks, and images of their names elsewhere."""
    found = [below.above + name for below in listing.folders(DEEP) for name in filter(_is_image, below.files)]
    masks = {there[MASK] for there in paired(found).beside.values() if MASK in there}
    parts = ({part.lower() for part in mask.split("/")[:-1]} for mask in masks)
    return any(not OTHERS & each or (set(MASK_FOLDERS) - OTHERS) & each for each in parts)


def _is_image(name: str) -> bool:
    return name.rpartition(".")[2].lower() in SUFFIXES


def _kind(locator: str) -> str:
    """The last word of a name with its suffix: `_color.png`."""
    name = locator.rpartition("/")[2]
    stem, _, suffix = name.rpartition(".")
    return f"_{stem.rpartition('_')[2]}.{suffix}" if "_" in stem else f".{suffix}"
