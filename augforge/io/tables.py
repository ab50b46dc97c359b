"""Rows as Arrow tables, with the features by which `datasets` and the Hugging Face hub know their columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from augforge.data.annotations import annotation_cells
from augforge.io.own import CAPTION
from augforge.io.writing import About, Row, suffix_of

if TYPE_CHECKING:
    import pyarrow as pa

THINGS = {"boxes": ("box", "label", "iscrowd"), "keypoints": ("points", "label")}
"""The columns of things, and what is told of each thing for Croissant."""
GROUP_ROWS = 100
GROUP_BYTES = 32 << 20
"""A row group has at most so many rows, and is ended after so many bytes, so that one row is had quickly."""


def features_of(about: About) -> Any:
    """The columns as `datasets.Features`: those of a run's dataset, and `sha256` of the image's bytes."""
    from datasets import ClassLabel, Features, Image, Value

    every = {
        "image": Image(),
        "label": ClassLabel(names=list(about.classes)) if about.classes else None,
        "id": Value("string"),
        "origin": Value("string"),
        "weight": Value("float64"),
        "scores": {name: Value("float64") for name in about.measures} or None,
        "provenance": Value("string"),
        "split": Value("string"),
        "caption": Value("string") if about.captions else None,
        "sha256": Value("string"),
        **{name: Image() for name in about.pictures},
    }
    own = {name: kind for name, kind in every.items() if kind is not None}
    return Features(own | columns_of(about))


def columns_of(about: About) -> dict[str, Any]:
    """The features of the columns of annotations; captions have one anyway."""
    return {name: kind for name, kind in about.annotations.items() if name != CAPTION}


def parts_of(feature: Any, name: str) -> dict[str, Any]:
    """Where the parts of the things in a column lie, for Croissant."""
    there = feature.feature
    return {"parts": {part: part for part in THINGS[name] if part in there}}


def feature_list(about: About) -> list[dict[str, Any]]:
    """The same columns as the YAML header of a dataset card lists them."""
    names = {str(number): name for number, name in enumerate(about.classes)}
    known: dict[str, Any] = {
        "image": "image",
        "label": {"class_label": {"names": names}} if names else None,
        "id": "string",
        "origin": "string",
        "weight": "float64",
    }
    listed = [{"name": name, "dtype": kind} for name, kind in known.items() if kind is not None]
    if about.measures:
        listed.append({"name": "scores", "struct": [{"name": name, "dtype": "float64"} for name in about.measures]})
    texts = ("provenance", "split", *(["caption"] if about.captions else []), "sha256")
    listed += [{"name": name, "dtype": "string"} for name in texts]
    listed += [{"name": name, "dtype": "image"} for name in about.pictures]
    return listed + _listed(columns_of(about))


def _listed(columns: dict[str, Any]) -> list[dict[str, Any]]:
    """Features as the header lists them; `datasets` knows how."""
    from datasets import Features

    return list(Features(columns)._to_yaml_list()) if columns else []


def groups(rows: Iterable[Row], about: About, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows as tables of at most a row group."""
    import pyarrow as pa

    places = {label: place for place, label in enumerate(about.classes)}
    group: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        group.append(_cells(row, about, places))
        size += len(row.image) + sum(map(len, row.pictures.values()))
        if len(group) == GROUP_ROWS or size >= GROUP_BYTES:
            yield pa.Table.from_pylist(group, schema=schema)
            group, size = [], 0
    if group:
        yield pa.Table.from_pylist(group, schema=schema)


def _picture(row: Row, name: str) -> dict[str, Any] | None:
    """The cell of a picture that goes with an image."""
    if name not in row.pictures:
        return None
    return {"bytes": row.pictures[name], "path": f"{row.name}.{name}.{suffix_of(row.pictures[name])}"}


def _cells(row: Row, about: About, places: dict[str, int]) -> dict[str, Any]:
    """Texts are never null and scores never missing, so that a data loader can batch the rows."""
    return {
        "image": {"bytes": row.image, "path": row.file_name},
        "label": None if row.label is None else places[row.label],
        "id": row.id,
        "origin": row.origin,
        "weight": row.weight,
        "scores": {name: row.scores.get(name, math.nan) for name in about.measures},
        "provenance": row.provenance,
        "split": row.split or "",
        "caption": row.caption or "",
        "sha256": row.sha256,
        **{name: _picture(row, name) for name in about.pictures},
        **annotation_cells(row.annotations, about.annotations, about.classes),
    }
