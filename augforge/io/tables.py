"""Rows as Arrow tables, with the features by which `datasets` and the Hugging Face hub know their columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from augforge.io.writing import About, Row

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 100
GROUP_BYTES = 32 << 20
"""A row group has at most so many rows, and is ended after so many bytes, so that one row is had quickly."""


def features_of(about: About) -> Any:
    """The columns as `datasets.Features`: those of a run's dataset, and `sha256` of the image's bytes."""
    from datasets import ClassLabel, Features, Image, Value

    return Features(
        {
            "image": Image(),
            "label": ClassLabel(names=list(about.classes)) if about.classes else Value("string"),
            "id": Value("string"),
            "origin": Value("string"),
            "weight": Value("float64"),
            "scores": {name: Value("float64") for name in about.measures} or Value("null"),
            "provenance": Value("string"),
            "split": Value("string"),
            "caption": Value("string"),
            "sha256": Value("string"),
            **({"mask": Image()} if about.masks else {}),
        }
    )


def feature_list(about: About) -> list[dict[str, Any]]:
    """The same columns as the YAML header of a dataset card lists them."""
    names = {str(number): name for number, name in enumerate(about.classes)}
    label = {"class_label": {"names": names}} if names else "string"
    scores = [{"name": name, "dtype": "float64"} for name in about.measures]
    kinds: dict[str, Any] = {"image": "image", "label": label, "id": "string", "origin": "string", "weight": "float64"}
    listed = [{"name": name, "dtype": kind} for name, kind in kinds.items()]
    listed.append({"name": "scores", "struct": scores} if scores else {"name": "scores", "dtype": "null"})
    listed += [{"name": name, "dtype": "string"} for name in ("provenance", "split", "caption", "sha256")]
    return listed + ([{"name": "mask", "dtype": "image"}] if about.masks else [])


def groups(rows: Iterable[Row], about: About, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows as tables of at most a row group."""
    import pyarrow as pa

    places = {label: place for place, label in enumerate(about.classes)}
    group: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        group.append(_cells(row, about, places))
        size += len(row.image) + len(row.mask or b"")
        if len(group) == GROUP_ROWS or size >= GROUP_BYTES:
            yield pa.Table.from_pylist(group, schema=schema)
            group, size = [], 0
    if group:
        yield pa.Table.from_pylist(group, schema=schema)


def _cells(row: Row, about: About, places: dict[str, int]) -> dict[str, Any]:
    from augforge.io.writing import safe_name, suffix_of

    stem = safe_name(row.id)
    return {
        "image": {"bytes": row.image, "path": f"{stem}.{row.suffix}"},
        "label": None if row.label is None else places.get(row.label, row.label),
        "id": row.id,
        "origin": row.origin,
        "weight": row.weight,
        "scores": {name: row.scores.get(name) for name in about.measures} or None,
        "provenance": row.provenance,
        "split": row.split,
        "caption": row.caption,
        "sha256": row.sha256,
        "mask": None if row.mask is None else {"bytes": row.mask, "path": f"{stem}.mask.{suffix_of(row.mask)}"},
    }
