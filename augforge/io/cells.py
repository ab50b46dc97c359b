"""The cells of a table: the bytes of an image, lists of numbers, and what a row of ours knows of its sample."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augforge.data.ids import ID_LENGTH
from augforge.errors import BadImage, SourceError

if TYPE_CHECKING:
    import pyarrow as pa

NO_IMAGE = "no image in this row"
_ID = re.compile(rf"[0-9a-f]{{{ID_LENGTH}}}")
"""What every id of a sample looks like; a row with another one was not written by augforge."""


def image_bytes(cell: Any, folder: Path | None, beside: Path | None = None) -> bytes:
    """The encoded bytes in an image cell: binary, a struct of `bytes` and `path` as `datasets` writes it, or a path.

    A path without bytes is read relative to `beside` or else `folder`, and must not lead out of `folder`; with None it
    is refused. Raises BadImage if there is nothing.
    """
    if isinstance(cell, bytes):
        return cell
    data, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (None, cell)
    if data is not None:
        return bytes(data)
    file = picture(path, folder, beside)
    try:
        return file.read_bytes()
    except (OSError, ValueError) as error:
        raise BadImage(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def picture(path: Any, folder: Path | None, beside: Path | None = None) -> Path:
    """The file that a path in a row means, as `image_bytes` looks for it; BadImage if there is none."""
    if not path or not isinstance(path, str):
        raise BadImage(NO_IMAGE)
    if re.match(r"[A-Za-z][\w+.-]+://", path):
        raise BadImage("the row holds an address, and nothing is downloaded: download the images first")
    if folder is None:
        raise BadImage("the row holds a path instead of an image")
    try:
        return _inside(path, folder.resolve(), [beside or folder, folder])
    except (OSError, ValueError) as error:
        raise BadImage(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _inside(path: str, root: Path, bases: Sequence[Path]) -> Path:
    """The first file that a path means, seen from one of some folders; BadImage if there is none inside of `root`."""
    files = [(base / path).resolve() for base in dict.fromkeys(bases)]
    inside = [file for file in files if file.is_relative_to(root)]
    if not inside:
        raise BadImage("its path leads out of the source")
    there = next((file for file in inside if file.is_file()), None)
    if there is None:
        raise BadImage("missing file")
    return there


def with_image(column: pa.Array) -> list[bool]:
    """(n,) whether a row of an image column holds something, bytes or a path. Looks at no pixels."""
    nothing = column.is_null()
    if is_image_struct(column.type):
        import pyarrow.compute as pc

        fields = dict(zip((field.name for field in column.type), column.flatten(), strict=True))
        nothing = fields["bytes"].is_null()
        if "path" in fields:
            nothing = pc.and_(nothing, fields["path"].is_null())
    return [not empty for empty in nothing.to_pylist()]


def pictures_there(batch: pa.RecordBatch, names: Sequence[str]) -> list[list[str]]:
    """(n,) the names of those of some picture columns in which a row holds something."""
    columns = [with_image(batch.column(name)) for name in names]
    return [[name for name, column in zip(names, columns, strict=True) if column[row]] for row in range(batch.num_rows)]


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
        if not is_numbers(column.type):
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
        known = _parsed(row) | {"parents": [str(parent["id"]) for parent in made.pop("parents", ())]}
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
        return None
    if row["origin"] not in ("real", "synthetic") or not _ID.fullmatch(str(row["id"])):
        return None
    return {"id": row["id"], "origin": row["origin"], **known, **_own_fields(made), "sampled_params": made}


def _parsed(row: Mapping[str, Any]) -> dict[str, Any]:
    """The scores of a row as numbers, and its weight if it has a finite one."""
    scores = row.get("scores") or {}
    scores = json.loads(scores) if isinstance(scores, str) else scores
    numbers = {str(name): float(value) for name, value in scores.items() if value is not None}
    known: dict[str, Any] = {"scores": {name: value for name, value in numbers.items() if not math.isnan(value)}}
    weight = row.get("weight")
    if weight is not None and math.isfinite(weight := float(weight)):
        known["weight"] = weight
    return known


def _own_fields(provenance: dict[str, Any]) -> dict[str, Any]:
    """Take out of a provenance what is a field of `Sample`."""
    names = ("stage", "source", "digest", "note")
    own: dict[str, Any] = {name: value for name in names if isinstance(value := provenance.pop(name, None), str)}
    if isinstance(seed := provenance.pop("seed", None), int) and abs(seed) < 1 << 63:
        own["seed"] = seed
    if isinstance(provenance.get("labelled-by"), str):
        own["labelled_by"] = provenance.pop("labelled-by")
    return own


def is_image_struct(kind: pa.DataType) -> bool:
    """Whether a type is that of images as `datasets` keeps them: a struct of `bytes`, and perhaps `path`."""
    import pyarrow.types as t

    return bool(t.is_struct(kind)) and any(f.name == "bytes" and is_binary(f.type) for f in kind)


def is_binary(kind: pa.DataType) -> bool:
    """Whether a type holds bytes."""
    import pyarrow.types as t

    return bool(t.is_binary(kind) or t.is_large_binary(kind) or t.is_binary_view(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether a type holds texts, be they encoded as a dictionary."""
    import pyarrow.types as t

    if t.is_dictionary(kind):
        kind = kind.value_type
    return bool(t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind))


def is_numbers(kind: pa.DataType) -> bool:
    """Whether a type holds lists of numbers."""
    import pyarrow.types as t

    return is_list(kind) and bool(t.is_floating(kind.value_type) or t.is_integer(kind.value_type))


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is one of lists, however they are stored."""
    import pyarrow.types as t

    kinds = (t.is_list, t.is_large_list, t.is_fixed_size_list, t.is_list_view, t.is_large_list_view)
    return any(is_one(kind) for is_one in kinds)
