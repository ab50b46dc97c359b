"""Folders of image files: a sub-folder a class, perhaps below a folder a split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from augforge.data.pictures import MASK
from augforge.errors import SourceError
from augforge.io.base import Entry, Source, existing_folder, natural, no_split, only, split_name
from augforge.io.class_bases import Base, class_bases, holds_splits
from augforge.io.class_list import class_list, in_listed_order
from augforge.io.masks import Masks, are_masks
from augforge.io.own import ANNOTATIONS, OBJECTS, has_objects, record_of, without
from augforge.io.records import EXPORTED, METADATA, Records
from augforge.io.splits import LAYOUT, is_split_like, no_class, no_classes, no_one_class, paired_splits, path_split
from augforge.io.stamps import stamps
from augforge.io.tree import Tree, join, printable
from augforge.io.writing import (
    RECORD,
    FileWriter,
    Line,
    Outlet,
    Row,
    Shard,
    dumped,
    picture_folder,
    safe_names,
    suffix_of,
)
from augforge.remote.places import path_of, real_path

if TYPE_CHECKING:
    from augforge.io.understood import Understood

IMAGES, MASKS = "images", "masks"
"""The folders, in any case, in which data sets with masks keep both."""


class FolderWriter(FileWriter):
    """`train/CLASS/NAME.png`, `train/masks/CLASS/NAME.png`, and `train/metadata.jsonl` as `imagefolder` reads it."""

    class_folders: ClassVar[bool] = True
    _objects = False

    @cached_property
    def _names(self) -> dict[str, str]:
        """The folders of the classes."""
        return safe_names(self.about.classes)

    def _write(self, row: Row, shard: Shard, outlet: Outlet) -> Line:
        folder, split = "" if row.label is None else self._names[row.label], shard.split
        line = {"file_name": join(folder, row.file_name)}
        outlet.put(f"{split}/{line['file_name']}", row.image)
        for name, data in row.pictures.items():
            path = f"{picture_folder(name)}/{join(folder, row.name)}.{suffix_of(data)}"
            line[f"{name}_file_name"] = path
            outlet.put(f"{split}/{path}", data)
        return line | record_of(row, self.about)

    def finish(self, shards: Sequence[Shard], lines: Callable[[Shard], list[Line]], outlet: Outlet) -> None:
        """The metadata of each split; without `objects` if those of one split would tell `datasets` no type."""
        firsts = {shard.split: shard for shard in reversed(shards)}
        self._objects = all(any(map(has_objects, lines(first))) for first in firsts.values())
        hidden = () if self._objects else (OBJECTS,)
        for split in self.about.splits:
            with outlet.open(f"{split}/{METADATA}") as file:
                for shard in shards:
                    if shard.split == split:
                        file.writelines(dumped(without(line, hidden)) for line in lines(shard))

    def card(self) -> dict[str, Any]:
        """A folder a split."""
        files = [{"split": split, "path": f"{split}/**"} for split in self.about.splits]
        return {"configs": [{"config_name": "default", "data_files": files}]}

    def croissant(self) -> dict[str, Any]:
        """The lines of the metadata."""
        more = [ANNOTATIONS] if self.about.annotations else []
        columns: dict[str, Any] = {name: {"column": name} for name in ("file_name", *RECORD, *more)}
        if self._objects:
            columns[OBJECTS] = {"parts": {name: name for name in ("bbox", "categories")}}
        return {"files": [f"*/{METADATA}"], "encoding": "application/jsonlines", "columns": columns}


class Folder(Source):
    """A class per sub-folder; images that lie outside class folders have no label.

    If all top folders are named as splits (train, val_set, test, …), the class folders are looked for below them, and
    so they are in a lone folder that holds only such ones (`birds/train/cat`); of several, the user is asked. A split
    that a folder further down or a word of a file's name names (`cat/val/1.jpg`, `val_1.jpg`) counts, too, so that no
    image of an evaluation split is taken for one to train on. A folder that is named as one of a layout (`images`,
    `data`, …) is never a class. With `splits` false no name is a split, with `classes` false no folder is a class.
    Folders below a class belong to it. Hidden files are passed over; `ignored` counts the files that are no images,
    once `entries` has come to its end. An image is known by its suffix, or where that says nothing by its first bytes.

    Masks are found by their names (see `Masks`): in the folder that the option `masks` gives; in `masks` beside
    `images`, which then is no class; or in `masks` beside class folders, if each file in it fits one of their images.

    Where augforge wrote `metadata.jsonl`, at the top or in a folder of the top, it has the last word on the label, the
    split, the mask and the history of the images that it names.
    """

    writer = FolderWriter
    format = "image folder"

    def __init__(
        self,
        value: str,
        *,
        split: str | None = None,
        masks: str | None = None,
        splits: bool = True,
        classes: bool = True,
    ) -> None:
        self.where = f"folder {value}"
        self._tree = Tree(str(existing_folder(value)), self.where)
        given = {} if masks is None else {"": str(existing_folder(masks))}
        self._masks_given = masks
        self._use_masks(given)
        self._records = Records(path_of(self._tree.root), self._tree.folders("") if masks is None else (), self.where)
        self._tree.known = EXPORTED if self._records else frozenset()
        self._order: list[str] = []
        self._read_splits, self._read_classes = splits, classes
        self._bases = self._find_bases()
        self._split = self._known_split(split)
        self._unlabelled: set[str] = set()
        if masks is None and not self._records:
            self._use_masks(self._find_masks())
        if not self._records:
            self._refuse_layouts()
            self._take_class_list()

    def _use_masks(self, folders: Mapping[str, str]) -> None:
        """Take the masks from these folders, by the folder of the images that they belong to."""
        self._masks = Masks(folders)
        self._masks_real = {real_path(folder) for folder in folders.values()}

    def _find_bases(self) -> list[Base]:
        """The folders above those of the classes, each with its split."""
        return class_bases(self._tree, self._image_folders("")) if self._read_splits else [(None, "")]

    def _refuse_layouts(self) -> None:
        """SourceError where a folder would be a class that is named as a split, or as one of a layout."""
        for base in self._class_bases() if self._read_classes else ():
            names = [name for name in self._image_folders(base) if join(base, name) not in self._unlabelled]
            if self._read_splits and (pair := paired_splits(names)):
                raise no_classes(self.where, pair)
            if wrong := next(filter(self._is_no_class, names), ""):
                raise no_class(self.where, self._tree.root, join(base, wrong), names)
            if not base and self._read_splits:
                self._refuse_data_sets(names)

    def _refuse_data_sets(self, names: Sequence[str]) -> None:
        """SourceError where folders at the top hold splits with folders in them: either may be the classes."""
        if several := [name for name in names if holds_splits(self._tree, name)]:
            raise no_one_class(self.where, self._tree.root, several)

    def _is_no_class(self, name: str) -> bool:
        return name.lower() in LAYOUT or (self._read_splits and is_split_like(name))

    def _take_class_list(self) -> None:
        """Read the file that names the classes in their order, if it names one that is there."""
        name, listed = class_list(path_of(self._tree.root))
        self._order = in_listed_order(listed, self.classes())
        if self._order:
            self._tree.known = frozenset({name})

    def _known_split(self, chosen: str | None) -> str | None:
        """The split that is to be read. SourceError if there is no such folder and no record that could name it."""
        if chosen is None:
            return None
        split, there = split_name(chosen), {name for name, _ in self._bases if name}
        if split not in there and not self._records:
            raise no_split(split, there, self.where)
        return split

    @property
    def ignored(self) -> int:
        """How many files were no images, once `entries` has come to its end."""
        return self._tree.ignored.total()

    def unused(self) -> Mapping[str, int]:
        """Files that are no images, by their suffixes."""
        return dict(self._tree.ignored)

    def notes(self, told: Understood) -> Iterator[str]:
        """Where no folder is a class, or a single one holds what look like classes, another folder may be meant."""
        if not self._records:
            yield from self._other_meanings(told)

    def _other_meanings(self, told: Understood) -> Iterator[str]:
        above = self._bases[-1][1].rpartition("/")[0]
        if above:
            yield f"{above} holds the splits, and is no class"
        there = [name for name, count in told.classes.items() if count]
        if told.images and not there:
            yield "no image lies in the folder of a class: put those of each class into a folder of its own"
        alone = there[0] if len(there) == 1 and there[0] in self._image_folders("") else None
        inner = [] if alone is None else self._tree.folders(alone)
        if len(inner) > 1:
            yield f"if the folders in {alone} ({', '.join(inner[:3])}, …) are the classes, give {told.where}/{alone}"

    def classes(self) -> list[str]:
        """The names of the class folders, of all splits and empty ones too, in natural order; of an export its own.

        Where a file lists classes (`classes.txt`, see `augforge.io.class_list`), they come first, in its order.
        """
        if self._records:
            return self._records.classes()
        names = {
            printable(name)
            for base in self._class_bases()
            for name in self._image_folders(base)
            if self._read_classes and join(base, name) not in self._unlabelled
        }
        return self._order or sorted(names, key=natural)

    def entries(self) -> Iterator[Entry]:
        """Split by split, class by class, file by file; the loose images of a split first."""
        if self._records:
            yield from only(self._records.annotate(self._listed()), self._split, self.where)
        elif self._masks:
            yield from self._with_masks()
        else:
            yield from self._listed()

    def _with_masks(self) -> Iterator[Entry]:
        """All entries with their masks. SourceError if the folder of masks that was given fits none of them."""
        found = False
        for entry in self._masks.attach_to(self._listed()):
            found = found or self._masks.path(entry.locator) is not None
            yield entry
        if self._masks_given is not None and not found:
            raise SourceError(
                f"{self.where}: no file in {self._masks_given} is named as one of its images",
                "the mask of cat/a.jpg is cat/a.png or a.png",
            )

    def _listed(self) -> Iterator[Entry]:
        self._tree.ignored.clear()
        class_bases = self._class_bases()
        for split, base in self._bases:
            if self._split not in (None, split) and not self._records:
                continue
            yield from (self._placed(entry, base) for entry in self._tree.files(base, split))
            if base in class_bases:
                yield from self._classes_in(base, split)

    def _classes_in(self, base: str, split: str | None) -> Iterator[Entry]:
        for name in self._image_folders(base):
            inside = join(base, name)
            is_class = self._read_classes and inside not in self._unlabelled
            for entry in self._tree.below(inside, printable(name) if is_class else None, split):
                yield self._placed(entry, base)

    def _placed(self, entry: Entry, base: str) -> Entry:
        """An entry in the split that its path below `base` names, unless the folder above has said."""
        if entry.split is not None or not self._read_splits:
            return entry
        named = path_split(entry.locator.removeprefix(f"{base}/" if base else ""))
        return entry if named is None else replace(entry, split=named)

    def fingerprint(self) -> str:
        """Changes whenever a file was written, added or removed; half the time of a listing."""
        options = (self._read_splits, self._read_classes)
        total = hashlib.sha256(repr((self.where, self._split, self._masks_given, options)).encode())
        for root in filter(None, (self._tree.root, self._masks_given)):
            for line in stamps(root, self._tree.is_inside):
                total.update(line)
        return total.hexdigest()

    def read(self, locator: str) -> bytes:
        """The bytes of a file; BadImage if it is gone, unreadable or outside of the folder."""
        return self._tree.read(locator)

    def read_picture(self, locator: str, name: str) -> bytes:
        """The bytes of a picture that goes with a file; BadImage if it is gone or unreadable."""
        if self._records:
            path = self._records.pictures(locator).get(name)
            return self.read(path) if path else super().read_picture(locator, name)
        return self._masks.read(locator) if name == MASK else super().read_picture(locator, name)

    def _find_masks(self) -> dict[str, str]:
        """The folders called `masks` that hold masks, by the folder of the images that they belong to."""
        images = self._bases_with(IMAGES)
        masks = {
            base: inside
            for base, inside in self._bases_with(MASKS).items()
            if self._tree.is_inside(self._tree.real_path(inside))
        }
        if images.keys() & masks.keys():
            self._unlabelled = set(images.values())
            return {images[base]: join(self._tree.root, inside) for base, inside in masks.items() if base in images}
        if all(self._are_masks(base, inside) for base, inside in masks.items()):
            return {base: join(self._tree.root, inside) for base, inside in masks.items()}
        return {}

    def _bases_with(self, wanted: str) -> dict[str, str]:
        """The folders of this name, in any case, by the base in which each lies."""
        named = ((base, name) for base in self._class_bases() for name in self._tree.folders(base))
        return {base: join(base, name) for base, name in named if name.lower() == wanted}

    def _are_masks(self, base: str, inside: str) -> bool:
        """Whether a folder holds the masks of the images in the folders beside it."""
        others = [join(base, name) for name in self._tree.folders(base) if join(base, name) != inside]
        images = (path for other in others for path in self._paths(other, base))
        return are_masks(self._paths(inside, inside), images, join(self._tree.root, inside))

    def _paths(self, top: str, seen_from: str) -> Iterator[str]:
        """The paths of all images in a folder, inside another one above it."""
        for entry in self._tree.below(top, None, None):
            yield entry.locator.removeprefix(f"{seen_from}/" if seen_from else "")

    def _image_folders(self, base: str) -> list[str]:
        """The folders of a base but for those of masks."""
        folders = self._tree.folders(base)
        if not self._masks_real:
            return folders
        return [name for name in folders if self._tree.real_path(join(base, name)) not in self._masks_real]

    def _class_bases(self) -> list[str]:
        return [base for split, base in self._bases if split] or [""]
