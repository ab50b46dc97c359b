"""Tables of images, in Arrow or Parquet: which column is the image, which the label, and which pictures go with it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from augforge.data.pictures import KINDS as PICTURE_KINDS
from augforge.data.pictures import is_free
from augforge.errors import SourceError
from augforge.io.base import SPLITS
from augforge.io.cells import is_binary, is_image_struct, is_list, is_text
from augforge.io.splits import evaluation_first

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_NAMES = ("image", "img", "images", "picture", "photo", "pixel_values", "jpg", "png")
LABEL_NAMES = ("label", "labels", "class", "class_label", "category", "target", "y")
FILE_NAME = "file_name"
PATH_NAMES = (
    FILE_NAME,
    "image_path",
    "filename",
    "file_path",
    "filepath",
    "path",
    "file",
    "image",
    "img",
    "image_name",
)
"""The usual names of a column of the paths of images."""
URL_NAMES = ("url", "image_url", "img_url", "uri", "image_uri", "link")
Form = Literal["one", "several", "shares"]
"""What a cell of the label column is: one label, a list of labels, or the share of every class."""
OURS = ("id", "origin", "weight", "scores", "provenance", "caption")
CHUNK = 4096


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file of a table: its name inside the source, the split that the file itself tells, and its stamp.

    `keys` are what the folders say of all its rows, as `label=cat/`.
    """

    name: str
    split: str | None
    stamp: str
    keys: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of a file, without their images.

    Row `first` of the file comes first. `pictures` has the names of those that go with every row, `problems` what is
    wrong with it; without `problems` nothing is.
    """

    first: int
    rows: Sequence[Mapping[str, Any]]
    pictures: Sequence[Sequence[str]]
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table that matter. `names` are the classes that the table declares, None if it declares none.

    `extra` are the columns that only an augforge dataset has, and `split`; `pictures` are those of further pictures.
    `form` is what the label column holds; with `paths` the image column holds the paths of files.
    """

    image: str
    label: str | None
    names: tuple[str, ...] | None
    extra: tuple[str, ...]
    pictures: tuple[str, ...] = ()
    form: Form = "one"
    paths: bool = False

    @property
    def ours(self) -> bool:
        """Whether augforge wrote the table."""
        return "provenance" in self.extra

    def label_of(self, value: Any) -> tuple[str | None, str]:
        """Label and problem of a cell; null, and -1 of a declared class, is no label."""
        return named(value, self.names)


def named(value: Any, names: Sequence[str] | None) -> tuple[str | None, str]:
    """The class of a cell, by the names that are declared, and what is wrong; null, and -1 of a name, is no class."""
    if value is None or (value == -1 and names is not None):
        return None, ""
    if names is None:
        return str(value), ""
    if isinstance(value, int) and 0 <= value < len(names):
        return names[value], ""
    return None, f"label {value} has no name among the {len(names)} classes"


def path_column(columns: Sequence[str]) -> str | None:
    """The column of the image's path: `file_name`, else one that ends in `_file_name`, else one of a usual name."""
    ends = [name for name in columns if name.endswith("_" + FILE_NAME) and not name.startswith("mask")]
    known = [name for name in PATH_NAMES if name in columns]
    return FILE_NAME if FILE_NAME in columns else next(iter([*ends, *known]), None)


def find_columns(
    schema: pa.Schema, where: str, image: str | None, label: str | None, features: Mapping[str, Any] | None = None
) -> Columns:
    """Find the columns of a table by their types and names; `image` and `label` choose them outright.

    Raises:
        SourceError: there is no image column, or several and none is chosen, or labels are of no usable type.
    """
    known = features_of(schema, features)
    image = _image_column(schema, known, where, image)
    label = _label_column(schema, known, where, label)
    form, names = _label_form(schema, known, where, label) if label else ("one", None)
    ours = OURS if {"id", "origin", "provenance"} <= set(schema.names) else ()
    extra = tuple(n for n in (*ours, "split") if n in schema.names and (n != "split" or is_text(schema.field(n).type)))
    pictures = tuple(_picture_columns(schema, known, {image, label, *extra}))
    return Columns(image, label, names, extra, pictures, form, is_text(schema.field(image).type))


def file_split(relative: str) -> str | None:
    """The split that a file's path tells, as for `datasets`: a split's name as a word of its own.

    Where several are told, one to evaluate on goes first.
    """
    return evaluation_first(*map(SPLITS.get, re.split(r"[-._ /0-9]+", relative.lower())))


def features_of(schema: pa.Schema, otherwise: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What `datasets` says about the columns, by name; what is known `otherwise` if the schema does not tell."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        features = {}
    return features if isinstance(features, dict) and features else dict(otherwise or {})


def declared_names(feature: Any) -> tuple[str, ...] | None:
    """The classes that a feature of `datasets`, or of a list of it, declares; None if it declares none."""
    if isinstance(feature, list) and len(feature) == 1:
        return declared_names(feature[0])
    if not isinstance(feature, dict):
        return None
    names = feature.get("names")
    if isinstance(names, list):
        return tuple(map(str, names))
    return declared_names(feature.get("feature"))


def _image_column(schema: pa.Schema, features: Mapping[str, Any], where: str, chosen: str | None) -> str:
    if chosen is not None:
        _check_there(schema, where, "image", chosen)
        if not _may_be_image(schema, features, chosen):
            raise SourceError(f"{where}: column {chosen!r} holds no images but {schema.field(chosen).type}")
        return chosen
    found = _pick(_image_candidates(schema, features), IMAGE_NAMES, where, "image")
    texts = [name for name in schema.names if is_text(schema.field(name).type)]
    found = found or path_column(texts)
    if found is None:
        raise _no_image(schema, where, texts)
    return found


def _may_be_image(schema: pa.Schema, features: Mapping[str, Any], name: str) -> bool:
    """Whether a column holds images; or texts that may be their paths, by its name or for want of others."""
    kind = schema.field(name).type
    if is_text(kind):
        return path_column([name]) is not None or not _image_candidates(schema, features)
    return is_image_struct(kind) or is_binary(kind)


def _no_image(schema: pa.Schema, where: str, texts: Sequence[str]) -> SourceError:
    url = next((name for name in texts if name.lower() in URL_NAMES or name.lower().endswith("_url")), None)
    if url is not None:
        return SourceError(
            f"{where}: column {url!r} holds addresses, and nothing is downloaded",
            "download the images first (img2dataset makes WebDataset or Parquet of such a table) and give those",
        )
    return SourceError(f"{where}: no column holds images", f"it has {', '.join(schema.names) or 'no columns'}")


def _image_candidates(schema: pa.Schema, features: Mapping[str, Any]) -> list[str]:
    """The columns that are declared as images, else the structs that hold some, else those of bytes."""
    kinds = {name: schema.field(name).type for name in schema.names if name not in PICTURE_KINDS}
    structs = [name for name in kinds if is_image_struct(kinds[name])]
    plain = [name for name in kinds if is_binary(kinds[name])]
    declared = _declared_as("Image", features, [*structs, *plain])
    return declared or structs or plain


def _picture_columns(schema: pa.Schema, features: Mapping[str, Any], used: Collection[str | None]) -> list[str]:
    """The columns of pictures that go with the images: structs of images, declared ones, and bytes called as a kind."""
    kinds = {name: schema.field(name).type for name in schema.names if name not in used and is_free(name)}
    declared = _declared_as("Image", features, kinds)
    return [
        name
        for name, kind in kinds.items()
        if is_image_struct(kind) or (is_binary(kind) and (name in declared or name in PICTURE_KINDS))
    ]


def _label_column(schema: pa.Schema, features: Mapping[str, Any], where: str, chosen: str | None) -> str | None:
    if chosen is not None:
        _check_there(schema, where, "label", chosen)
        return chosen
    declared = _declared_as("ClassLabel", features, schema.names)
    named = [n for n in LABEL_NAMES if n in schema.names and not is_image_struct(schema.field(n).type)]
    return _pick(declared or named[:1], LABEL_NAMES, where, "label")


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


def _label_form(
    schema: pa.Schema, features: Mapping[str, Any], where: str, label: str
) -> tuple[Form, tuple[str, ...] | None]:
    """What the label column holds, and the names that are declared for its numbers."""
    import pyarrow.types as t

    kind = schema.field(label).type
    inner = kind.value_type if is_list(kind) else kind
    names = declared_names(features.get(label)) if t.is_integer(inner) else None
    if is_list(kind) and _is_one_a_class(kind):
        raise SourceError(
            f"{where}: column {label!r} holds a fixed number of {inner} for each image: is that one for every class?",
            "make it a list of the labels that hold, or shares as floats; or choose another with the option label",
        )
    if is_list(kind) and t.is_floating(inner):
        return "shares", None
    if _is_label(inner):
        return ("several" if is_list(kind) else "one"), names
    raise SourceError(f"{where}: column {label!r} holds no labels but {kind}", "choose another with the option label")


def _is_one_a_class(kind: pa.DataType) -> bool:
    """Whether lists are of booleans, or of as many whole numbers each, as if they said yes or no to every class."""
    import pyarrow.types as t

    return bool(t.is_boolean(kind.value_type) or (t.is_fixed_size_list(kind) and t.is_integer(kind.value_type)))


def _is_label(kind: pa.DataType) -> bool:
    """Whether a value of a type can be a label."""
    import pyarrow.types as t

    return is_text(kind) or bool(t.is_integer(kind) or t.is_boolean(kind) or t.is_null(kind))


def _declared_as(kind: str, features: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Those of the columns that `datasets` calls a feature of this kind."""
    declared = {name: feature.get("_type") for name, feature in features.items() if isinstance(feature, dict)}
    return [name for name in names if declared.get(name) == kind]
