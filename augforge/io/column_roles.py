"""Which column of a table of images says what: labels, boxes, captions, and what is carried along unread."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from augforge.data.annotations import KINDS
from augforge.data.annotations.arrow_values import type_name
from augforge.errors import SourceError
from augforge.io.cells import is_image_struct, is_list, is_numbers, is_text
from augforge.io.columns import LABEL_NAMES, Columns, declared_names, features_of, find_columns, path_column
from augforge.io.text_columns import CATEGORY_NAMES

if TYPE_CHECKING:
    import pyarrow as pa

OBJECTS = "objects"
SOFT_NAMES = ("soft_label", "soft_labels", "label_distribution")
LEFT_OUT = frozenset({"id", "origin", "weight", "scores", "provenance", "sha256", "split"})
"""Columns of an augforge dataset that are no annotations."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options of a source choose: columns, and how boxes of `objects` are written (xywh or xyxy)."""

    image: str | None = None
    label: str | None = None
    boxes: str | None = None

    def __post_init__(self) -> None:
        if self.boxes not in (None, "xywh", "xyxy"):
            raise SourceError(f"boxes: {self.boxes!r} is no way to write a box", "say xywh (as COCO) or xyxy")


@dataclass
class Roles:
    """What the columns of a file with a `schema` are; `features` are what `datasets` says of them elsewhere."""

    schema: pa.Schema
    where: str
    wanted: Wanted
    features: Mapping[str, Any] = field(default_factory=dict)
    keys: Collection[str] = ()
    """The names of what the folders of the file say, as `label=cat`."""

    def __post_init__(self) -> None:
        if len(set(self.schema.names)) < len(self.schema.names):
            twice = sorted({name for name in self.schema.names if self.schema.names.count(name) > 1})
            raise SourceError(f"{self.where}: several columns are called {', '.join(twice)}", "rename them")
        self.features = features_of(self.schema, self.features)
        image, label = self.wanted.image, self.wanted.label
        self.of_folder = next((key for key in (label, *LABEL_NAMES) if key in self.keys), None)
        """The key that is the label of all rows, unless a column tells it."""
        chosen = None if label == self.of_folder and label not in self.schema.names else label
        self.columns: Columns = find_columns(self.schema, self.where, image, chosen, self.features)
        self.light: list[str] = self._find_light()
        """All columns but those of pictures and bytes: what a listing reads."""
        self.crossed = False
        """Whether some box only lies inside of its image if its numbers are two corners."""

    @cached_property
    def own(self) -> dict[str, Any]:
        """The features of the columns that are annotations as augforge writes them, by their kinds."""
        names = [n for n in KINDS if n in self.schema.names and n != self.columns.label and self._is_own(n)]
        if not names:
            return {}
        from datasets import Features

        try:
            return dict(Features.from_dict({name: self.features[name] for name in names}))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            what = f"{self.where}: its columns {', '.join(names)} are declared as nothing that is known"
            raise SourceError(f"{what}: {error}", "make or export it again") from error

    def _is_own(self, name: str) -> bool:
        if name not in self.features or name == "caption":
            return False
        return self.columns.ours or (name == "boxes" and "'box'" in repr(self.features[name]))

    @cached_property
    def several(self) -> str | None:
        """The column of lists of labels, if it is not the label column itself."""
        name, kinds = "labels", self.schema
        if name not in kinds.names or name in (self.columns.label, *self.own) or not is_list(kinds.field(name).type):
            return None
        inner = kinds.field(name).type.value_type
        return name if is_text(inner) or declared_names(self.features.get(name)) else None

    @cached_property
    def shares(self) -> str | None:
        """The column of shares of all classes."""
        if self.columns.form == "shares":
            return self.columns.label
        usable = [name for name in SOFT_NAMES if name in self.schema.names and name not in self.own]
        return next((name for name in usable if self.classes and is_numbers(self.schema.field(name).type)), None)

    @cached_property
    def split(self) -> str | None:
        """The column of the splits: texts, or numbers that have declared names."""
        return "split" if "split" in self.columns.extra or self.split_names else None

    @cached_property
    def split_names(self) -> tuple[str, ...] | None:
        """The splits that are declared for the numbers of their column."""
        if "split" not in self.schema.names or is_text(self.schema.field("split").type):
            return None
        return declared_names(self.features.get("split"))

    @cached_property
    def paths(self) -> str | None:
        """The column of the paths of images, be they read or only told."""
        if self.columns.paths:
            return self.columns.image
        return path_column([name for name in self.light if is_text(self.schema.field(name).type)])

    @cached_property
    def categories(self) -> tuple[str, ...] | None:
        """The classes that the column of objects declares for its numbers."""
        return _category_names(self.features.get(OBJECTS))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The classes that the table declares, in their order."""
        lists = declared_names(self.features.get(self.several)) if self.several else None
        return tuple(dict.fromkeys([*(self.columns.names or ()), *(lists or ()), *(self.categories or ())]))

    @cached_property
    def types(self) -> dict[str, str]:
        """The other columns that are carried along, with the names of their types."""
        return {name: kind for name in self._others if (kind := type_name(self.schema.field(name).type))}

    @cached_property
    def unread(self) -> list[str]:
        """The columns that cannot be carried along: bytes, and pictures whose name means something else."""
        return [name for name in self._others if name not in self.types]

    @cached_property
    def _others(self) -> list[str]:
        columns = self.columns
        used = {columns.image, *columns.pictures, columns.label, self.several, self.shares, self.split, *self.own}
        used |= LEFT_OUT if columns.ours else set()
        return [name for name in self.schema.names if name not in used]

    def _find_light(self) -> list[str]:
        found = {self.columns.label, self.several, self.shares, self.split, *self.columns.extra, *self.own, *self.types}
        found |= {self.columns.image} if self.columns.paths else set()
        return [name for name in self.schema.names if name in found]

    @property
    def plain(self) -> bool:
        """Whether the label column tells all classes that occur."""
        boxes = {OBJECTS, "boxes"} & set(self.light)
        return self.columns.form == "one" and not boxes and not self.several and not self.shares

    @property
    def remarks(self) -> list[str]:
        """What is to be said of the columns."""
        said = []
        for name in self.unread:
            what = "other pictures" if is_image_struct(self.schema.field(name).type) else "what cannot be carried along"
            said.append(f"column {name!r} holds {what} ({self.schema.field(name).type}): it is not read")
        if self.crossed:
            said.append(
                f"boxes in {OBJECTS!r} reach out of their images as x, y, width, height, and would not as two corners: "
                "if they are corners, say boxes: xyxy"
            )
        return said


def _category_names(feature: Any) -> tuple[str, ...] | None:
    """The classes that the feature of a column of objects declares for their category."""
    if isinstance(feature, list):
        return _category_names(feature[0]) if len(feature) == 1 else None
    if not isinstance(feature, dict):
        return None
    if "_type" in feature:
        return _category_names(feature.get("feature"))
    found = (declared_names(feature.get(name)) for name in CATEGORY_NAMES)
    return next((names for names in found if names), None)
