"""`nearest.parquet` of a run folder: which other image each judged one is nearest to, of kept and dropped ones."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from augforge.data.files import write_atomically
from augforge.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "nearest.parquet"


class Nearest(NamedTuple):
    """The image that another is nearest to: its `id`, whether it is a parent of it or another of the training set, and
    their `similarity`, a cosine in [-1, 1]."""

    id: str
    relation: Literal["parent", "training"]
    similarity: float


def _schema() -> pa.Schema:
    """What a row says."""
    import pyarrow as pa

    name = pa.dictionary(pa.int32(), pa.string())
    texts = {"id": pa.string(), "stage": name, "nearest": pa.string(), "relation": name}
    return pa.schema({**texts, "similarity": pa.float64()})


def nearest_table(stage: str, ids: Sequence[str], found: Sequence[Nearest | None]) -> pa.Table:
    """What the stage called `stage` found of the images `ids` (n,); those of which it found nothing are left out."""
    import pyarrow as pa

    schema = _schema()
    rows = [(identity, *near) for identity, near in zip(ids, found, strict=True) if near is not None]
    names = ("id", "nearest", "relation", "similarity")
    columns: dict[str, Any] = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    return pa.table({**columns, "stage": [stage] * len(rows)}).select(schema.names).cast(schema)


def write_nearest(folder: Path, found: Mapping[str, Iterable[pa.Table]]) -> None:
    """Write the tables of each stage, of which the last one that has an image counts; without any there is no file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [_last(list(parts)) for parts in found.values()]
    if not sum(map(len, tables)):
        (folder / NAME).unlink(missing_ok=True)
        return
    written = io.BytesIO()
    pq.write_table(pa.concat_tables(tables).unify_dictionaries(), written)
    write_atomically(folder / NAME, written.getvalue())


def _last(parts: Sequence[pa.Table]) -> pa.Table:
    """One table with the last row of each image: a stage that works in rounds looks at some of them again."""
    import pyarrow as pa

    table = pa.concat_tables([_schema().empty_table(), *parts]).unify_dictionaries()
    places = {identity: place for place, identity in enumerate(table.column("id").to_pylist())}
    return table if len(places) == len(table) else table.take(sorted(places.values()))


def read_nearest(folder: Path, identity: str) -> list[dict[str, Any]]:
    """What each stage found of the image `identity`: `stage`, `id`, `relation` and `similarity`.

    Raises:
        StoreError: the file is damaged.
    """
    rows = _read(folder, identity)
    return [{"stage": r["stage"], "id": r["nearest"], **{n: r[n] for n in ("relation", "similarity")}} for r in rows]


def read_all_nearest(folder: Path) -> list[dict[str, Any]]:
    """Every row of the file: `id`, `stage`, `nearest`, `relation` and `similarity`; StoreError where it is damaged."""
    return _read(folder)


def _read(folder: Path, identity: str | None = None) -> list[dict[str, Any]]:
    """The rows of one image, or of all; [] where there is no file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / NAME
    if not path.is_file():
        return []
    try:
        table = pq.read_table(path, filters=None if identity is None else [("id", "=", identity)])
        rows: list[dict[str, Any]] = table.select(_schema().names).to_pylist()
        return rows
    except (pa.ArrowException, OSError, KeyError) as error:
        raise StoreError(f"{path} is damaged: {error}", "run the same command again") from error
