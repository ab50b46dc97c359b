"""Tables of images, in Arrow or Parquet: which column is the image, which the label, and the entries of their rows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from augforge.errors import SourceError
from augforge.io.base import SPLITS, Entry, natural, split_name
from augforge.io.cells import carried, is_binary, is_image_struct, is_text
from augforge.io.own import row_annotations, table_features

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_NAMES = ("image", "img", "images", "picture", "photo", "pixel_values", "jpg", "png")
LABEL_NAMES = ("label", "labels", "class", "class_label", "category", "target", "y")
MASK = "mask"
"""The column of the label masks that go with the images."""
OURS = ("id", "origin", "weight", "scores", "provenance", "caption")
CHUNK = 4096


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file of a table: its name inside the source, the split that the file itself tells, and its stamp."""

    name: str
    split: str | None
    stamp: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of a file, without their images.

    Row `first` of the file comes first. `masked` says of every row whether it has a mask, `problems` what is wrong with
    it; without `problems` nothing is.
    """

    first: int
    rows: Sequence[Mapping[str, Any]]
    masked: Sequence[bool]
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table that matter. `names` are the classes that the table declares, None if it declares none.

    `extra` are the columns that only an augforge dataset has, and `split`; `mask` is the one of the masks;
    `annotations` are the features of those that augforge wrote.
    """

    image: str
    label: str | None
    names: tuple[str, ...] | None
    extra: tuple[str, ...]
    mask: str | None = None
    annotations: Mapping[str, Any] = field(default_factory=dict)

    @property
    def light(self) -> list[str]:
        """All but the image and the mask: what a listing reads."""
        return ([self.label] if self.label else []) + [
            name for name in (*self.extra, *self.annotations) if name != self.label
        ]

    @property
    def ours(self) -> bool:
        """Whether augforge wrote the table."""
        return "provenance" in self.extra

    def entries(self, file: TableFile, chunk: Chunk) -> Iterator[Entry]:
        """Entries of consecutive rows of a file."""
        for number, row in enumerate(chunk.rows):
            label, unnamed = self.label_of(row.get(self.label)) if self.label else (None, "")
            known = carried(row) if self.ours else None
            yield Entry(
                locator=f"{file.name}#{chunk.first + number}",
                label=label,
                split=self._split_of(row, file.split),
                stamp=file.stamp,
                carried=known,
                problem=(chunk.problems[number] if chunk.problems else "") or unnamed,
                mask=str(self.mask) if chunk.masked[number] else "",
                annotations=row_annotations(row, self.annotations, self.names or (), known),
            )

    def _split_of(self, row: Mapping[str, Any], of_file: str | None) -> str | None:
        """The split of the row's file, or else that in its own column; in our own tables the column alone counts."""
        own = row.get("split") if "split" in self.extra else None
        if of_file and not (self.ours and "split" in self.extra):
            return of_file
        return split_name(own) if own else None

    def label_of(self, value: Any) -> tuple[str | None, str]:
        """Label and problem of a cell; null, and -1 of a declared class, is no label."""
        if value is None or (value == -1 and self.names is not None):
            return None, ""
        if self.names is None:
            return str(value), ""
        if 0 <= value < len(self.names):
            return self.names[value], ""
        return None, f"label {value} has no name among the {len(self.names)} classes"


def all_classes(
    files: Iterable[str], columns_of: Callable[[str], Columns], labels_of: Callable[[str], Iterable[Any]]
) -> list[str]:
    """The classes of several files: those that they declare, in order, then other labels in natural order.

    `labels_of` finds all labels of a file; it is called only if the file declares no classes.
    """
    declared: dict[str, None] = {}
    met: set[str] = set()
    for file in files:
        names = columns_of(file).names
        if names is None:
            met |= {str(value) for value in labels_of(file) if value is not None}
        else:
            declared |= dict.fromkeys(names)
    return [*declared, *sorted(met - set(declared), key=natural)]


def find_columns(
    schema: pa.Schema, where: str, image: str | None, label: str | None, features: Mapping[str, Any] | None = None
) -> Columns:
    """Find the columns of a table by their types and names; `image` and `label` choose them outright.

    Raises:
        SourceError: there is no image column, or several and none is chosen, or labels are of no usable type.
    """
    known = _features(schema) or dict(features or {})
    image = _image_column(schema, known, where, image)
    ours = OURS if {"id", "origin", "provenance"} <= set(schema.names) else ()
    label = _own_label(schema) if ours and label is None else _label_column(schema, known, where, label)
    names = _class_names(schema, known, where, label) if label else None
    return Columns(
        image,
        label,
        names,
        _extra(schema, ours),
        _mask_column(schema, image),
        table_features(known, schema.names, ours),
    )


def _extra(schema: pa.Schema, ours: Sequence[str]) -> tuple[str, ...]:
    """Those of the columns of augforge that are there, and `split` if it holds texts."""
    split = ["split"] if "split" in schema.names and is_text(schema.field("split").type) else []
    return tuple(name for name in (*ours, *split) if name in schema.names)


def _own_label(schema: pa.Schema) -> str | None:
    """The column of the class in a table of ours, whose `labels` are another thing."""
    return "label" if "label" in schema.names else None


def file_split(relative: str) -> str | None:
    """The split that a file's path tells, by the rules of `datasets`: a split's name as a word of its own."""
    words = re.split(r"[-._ /0-9]+", relative.lower())
    return next((SPLITS[word] for word in words if word in SPLITS), None)


def _features(schema: pa.Schema) -> dict[str, Any]:
    """What `datasets` says about the columns, by name."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    return features if isinstance(features, dict) else {}


def _image_column(schema: pa.Schema, features: Mapping[str, Any], where: str, chosen: str | None) -> str:
    if chosen is not None:
        _check_there(schema, where, "image", chosen)
        if not (is_image_struct(schema.field(chosen).type) or is_binary(schema.field(chosen).type)):
            raise SourceError(f"{where}: column {chosen!r} holds no images but {schema.field(chosen).type}")
        return chosen
    found = _pick(_image_candidates(schema, features), IMAGE_NAMES, where, "image")
    if found is None:
        raise SourceError(f"{where}: no column holds images", f"it has {', '.join(schema.names) or 'no columns'}")
    return found


def _image_candidates(schema: pa.Schema, features: Mapping[str, Any]) -> list[str]:
    """The columns that are declared as images, else the structs that hold some, else those of bytes."""
    types = {name: schema.field(name).type for name in schema.names if name != MASK}
    structs = [name for name, kind in types.items() if is_image_struct(kind)]
    return _declared_as("Image", features, types) or structs or [n for n, kind in types.items() if is_binary(kind)]


def _mask_column(schema: pa.Schema, image: str) -> str | None:
    """The column `mask`, if it holds images and is not the image itself."""
    if MASK not in schema.names or image == MASK:
        return None
    kind = schema.field(MASK).type
    return MASK if is_image_struct(kind) or is_binary(kind) else None


def _label_column(schema: pa.Schema, features: Mapping[str, Any], where: str, chosen: str | None) -> str | None:
    if chosen is not None:
        _check_there(schema, where, "label", chosen)
        return chosen
    declared = _declared_as("ClassLabel", features, schema.names)
    return _pick(declared or [n for n in LABEL_NAMES if n in schema.names][:1], LABEL_NAMES, where, "label")


def _pick(found: list[str], preferred: tuple[str, ...], where: str, option: str) -> str | None:
    """The one that was found, or of several the one with a usual name."""
    best = [name for name in preferred if name in found][:1] or found
    if len(best) > 1:
        raise SourceError(
            f"{where}: several {option} columns: {', '.join(best)}", f"choose one with the option {option}"
        )
    return best[0] if best else None


def _check_there(schema: pa.Schema, where: str, option: str, name: str) -> None:
    from augforge.errors import did_you_mean

    if name not in schema.names:
        raise SourceError(f"{where}: {option}: there is no column {name!r}", did_you_mean(name, list(schema.names)))


def _class_names(schema: pa.Schema, features: Mapping[str, Any], where: str, label: str) -> tuple[str, ...] | None:
    """The names that are declared for the numbers of a label column."""
    import pyarrow.types as t

    kind = schema.field(label).type
    if not (is_text(kind) or t.is_integer(kind) or t.is_boolean(kind) or t.is_null(kind)):
        raise SourceError(
            f"{where}: column {label!r} holds no labels but {kind}", "choose another with the option label"
        )
    names = features[label].get("names") if isinstance(features.get(label), dict) else None
    return tuple(map(str, names)) if isinstance(names, list) and t.is_integer(kind) else None


def _declared_as(kind: str, features: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Those of the columns that `datasets` calls a feature of this kind."""
    declared = {name: feature.get("_type") for name, feature in features.items() if isinstance(feature, dict)}
    return [name for name in names if declared.get(name) == kind]
