"""Tables of images, in Arrow or Parquet: which column is the image, which the label, and what rows become."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augforge.data.ids import ID_LENGTH
from augforge.errors import BadImage, SourceError
from augforge.io.base import SPLITS, Entry, natural, split_name

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_NAMES = ("image", "img", "images", "picture", "photo", "pixel_values", "jpg", "png")
LABEL_NAMES = ("label", "labels", "class", "class_label", "category", "target", "y")
MASK = "mask"
"""The column of the label masks that go with the images."""
OURS = ("id", "origin", "weight", "scores", "provenance")
NO_IMAGE = "no image in this row"
CHUNK = 4096
_ID = re.compile(rf"[0-9a-f]{{{ID_LENGTH}}}")
"""What every id of a sample looks like; a row with another one was not written by augforge."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table that matter. `names` are the classes that the table declares, None if it declares none.

    `extra` are the columns that only an augforge dataset has, and `split`; `mask` is the one of the masks.
    """

    image: str
    label: str | None
    names: tuple[str, ...] | None
    extra: tuple[str, ...]
    mask: str | None = None

    @property
    def light(self) -> list[str]:
        """All but the image and the mask: what a listing reads."""
        return ([self.label] if self.label else []) + [name for name in self.extra if name != self.label]

    def entries(
        self,
        rows: Sequence[Mapping[str, Any]],
        file: str,
        first: int,
        split: str | None,
        stamp: str,
        problems: Sequence[str],
        masks: Sequence[bool],
    ) -> Iterator[Entry]:
        """Entries of consecutive rows; row `first` of `file` comes first, and `split` is the file's own.

        `problems` and `masks` say of every row what is wrong with it, and whether it has a mask.
        """
        for number, (row, problem, mask) in enumerate(zip(rows, problems, masks, strict=True), start=first):
            label, unnamed = self.label_of(row.get(self.label)) if self.label else (None, "")
            own = row.get("split") if "split" in self.extra else None
            ours = "provenance" in self.extra and "split" in self.extra  # then an empty split is one, too
            yield Entry(
                locator=f"{file}#{number}",
                label=label,
                split=(None if ours else split) or (split_name(own) if own else None),
                stamp=stamp,
                carried=carried(row) if "provenance" in self.extra else None,
                problem=problem or unnamed,
                mask=str(self.mask) if mask else "",
            )

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
    label = _label_column(schema, known, where, label)
    names = _class_names(schema, known, where, label) if label else None
    ours = OURS if {"id", "origin", "provenance"} <= set(schema.names) else ()
    extra = tuple(n for n in (*ours, "split") if n in schema.names and (n != "split" or _is_text(schema.field(n).type)))
    return Columns(image, label, names, extra, _mask_column(schema, image))


def image_bytes(cell: Any, folder: Path | None) -> bytes:
    """The encoded bytes in an image cell: binary, or a struct of `bytes` and `path` as `datasets` writes it.

    A path without bytes is read relative to `folder`, and must not lead out of it; with None it is refused. Raises
    BadImage if there is nothing.
    """
    if isinstance(cell, bytes):
        return cell
    data, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (None, None)
    if data is not None:
        return bytes(data)
    if not path:
        raise BadImage(NO_IMAGE)
    if folder is None:
        raise BadImage("the row holds a path instead of an image")
    try:
        file = (folder / str(path)).resolve()
        if not file.is_relative_to(folder.resolve()):
            raise BadImage("its path leads out of the source")
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadImage("missing file") from error
    except (OSError, ValueError) as error:
        raise BadImage(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def with_image(column: pa.Array) -> list[bool]:
    """(n,) whether a row of an image column holds something, bytes or a path. Looks at no pixels."""
    nothing = column.is_null()
    if _is_image_struct(column.type):
        import pyarrow.compute as pc

        fields = dict(zip((field.name for field in column.type), column.flatten(), strict=True))
        nothing = fields["bytes"].is_null()
        if "path" in fields:
            nothing = pc.and_(nothing, fields["path"].is_null())
    return [not empty for empty in nothing.to_pylist()]


def numbers_at(
    locators: Sequence[str], where: str, name: str, column_of: Callable[[str], pa.ChunkedArray]
) -> list[Sequence[float] | None]:
    """(n,) the lists of numbers in a column at `locators` (n,) of the form `file#row`; `column_of` reads a file's.

    Raises:
        SourceError: the column holds something else.
    """
    files: dict[str, list[int]] = {}
    for place, locator in enumerate(locators):
        files.setdefault(locator.rpartition("#")[0], []).append(place)
    found: list[Sequence[float] | None] = [None] * len(locators)
    for file, places in files.items():
        column = column_of(file)
        if not _is_numbers(column.type):
            raise SourceError(f"{where}: column {name!r} holds no lists of numbers but {column.type}")
        for place in places:
            found[place] = column[int(locators[place].rpartition("#")[2])].as_py()
    return found


def carried(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a row of an augforge dataset knows of its sample, by the names of `Sample`; None if it is none.

    `sampled_params` is its provenance but for what has a field of its own: stage, seed, source, digest, note, parents
    and who gave the label.
    """
    try:
        made = json.loads(row["provenance"])
        scores = row.get("scores") or {}
        scores = json.loads(scores) if isinstance(scores, str) else scores
        parents = [str(parent["id"]) for parent in made.pop("parents", ())]
        scores = {str(name): float(value) for name, value in scores.items() if value is not None}
        weight = None if row.get("weight") is None else float(row["weight"])
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
        return None
    if row["origin"] not in ("real", "synthetic") or not _ID.fullmatch(str(row["id"])):
        return None
    names = ("stage", "source", "digest", "note")
    own: dict[str, Any] = {name: value for name in names if isinstance(value := made.pop(name, None), str)}
    if isinstance(seed := made.pop("seed", None), int) and abs(seed) < 1 << 63:
        own["seed"] = seed
    if isinstance(made.get("labelled-by"), str):
        own["labelled_by"] = made.pop("labelled-by")
    known = {"id": row["id"], "origin": row["origin"], "parents": parents, "scores": scores, "sampled_params": made}
    sound = weight is not None and math.isfinite(weight)
    return {**known, **own, **({"weight": weight} if sound else {})}


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
        if not (_is_image_struct(schema.field(chosen).type) or _is_binary(schema.field(chosen).type)):
            raise SourceError(f"{where}: column {chosen!r} holds no images but {schema.field(chosen).type}")
        return chosen
    names = [name for name in schema.names if name != MASK]
    declared = [name for name in names if _declared(features, name) == "Image"]
    structs = [name for name in names if _is_image_struct(schema.field(name).type)]
    binary = [name for name in names if _is_binary(schema.field(name).type)]
    named = [name for name in IMAGE_NAMES if name in binary]
    found = _pick(declared or structs or named or binary, IMAGE_NAMES, where, "image")
    if found is None:
        raise SourceError(f"{where}: no column holds images", f"it has {', '.join(schema.names) or 'no columns'}")
    return found


def _mask_column(schema: pa.Schema, image: str) -> str | None:
    """The column `mask`, if it holds images and is not the image itself."""
    if MASK not in schema.names or image == MASK:
        return None
    kind = schema.field(MASK).type
    return MASK if _is_image_struct(kind) or _is_binary(kind) else None


def _label_column(schema: pa.Schema, features: Mapping[str, Any], where: str, chosen: str | None) -> str | None:
    if chosen is not None:
        _check_there(schema, where, "label", chosen)
        return chosen
    declared = [name for name in schema.names if _declared(features, name) == "ClassLabel"]
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
    if not (_is_text(kind) or t.is_integer(kind) or t.is_boolean(kind) or t.is_null(kind)):
        raise SourceError(
            f"{where}: column {label!r} holds no labels but {kind}", "choose another with the option label"
        )
    names = features[label].get("names") if isinstance(features.get(label), dict) else None
    return tuple(map(str, names)) if isinstance(names, list) and t.is_integer(kind) else None


def _declared(features: Mapping[str, Any], name: str) -> str:
    feature = features.get(name)
    return str(feature.get("_type", "")) if isinstance(feature, dict) else ""


def _is_image_struct(kind: pa.DataType) -> bool:
    import pyarrow.types as t

    return bool(t.is_struct(kind)) and any(f.name == "bytes" and _is_binary(f.type) for f in kind)


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow.types as t

    return bool(t.is_binary(kind) or t.is_large_binary(kind) or t.is_binary_view(kind))


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow.types as t

    if t.is_dictionary(kind):
        kind = kind.value_type
    return bool(t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind))


def _is_numbers(kind: pa.DataType) -> bool:
    import pyarrow.types as t

    lists = t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind)
    return bool(lists and (t.is_floating(kind.value_type) or t.is_integer(kind.value_type)))
