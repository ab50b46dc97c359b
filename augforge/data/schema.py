"""The columns of the ledger, in memory and in samples.parquet; docs/format.md describes each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge.data.annotations import dump_annotations, parse_annotations
from augforge.data.pictures import dump_pictures, parse_pictures
from augforge.data.sample import Sample

ROWS = pa.schema(
    [
        ("id", pa.string()),
        ("label", pa.string()),
        ("origin", pa.string()),
        ("parents", pa.list_(pa.string())),
        ("stage", pa.dictionary(pa.int32(), pa.string())),
        ("seed", pa.int64()),
        ("source", pa.string()),
        ("split", pa.dictionary(pa.int32(), pa.string())),
        ("digest", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("ref", pa.string()),
        ("sampled_params", pa.string()),
        ("generation_config", pa.dictionary(pa.int32(), pa.string())),
        ("note", pa.string()),
        ("pictures", pa.string()),
        ("annotations", pa.string()),
        ("labelled_by", pa.dictionary(pa.int32(), pa.string())),
    ]
)
"""What a sample is."""
CODED = ("label", "origin", "stage", "split", "generation_config", "labelled_by")
"""The columns of few different texts; those that a stage may change are among them."""
STORED = pa.schema([field for field in ROWS if field.name not in CODED])
"""The other columns: they never change once they are there, but for captions, for which they are written anew."""
DECIDED = pa.schema(
    [
        ("kept", pa.bool_()),
        ("dropped", pa.string()),
        ("dropped_by", pa.string()),
        ("weight", pa.float64()),
        ("scores", pa.map_(pa.string(), pa.float64())),
    ]
)
"""What the stages decide about it."""


def ledger_schema(classes: Sequence[str]) -> pa.Schema:
    """The schema of samples.parquet; see docs/format.md."""
    first = ["id", "label", "origin", "kept", "dropped", "parents", "stage", "seed"]
    fields = {field.name: field for field in (*ROWS, *DECIDED)}
    order = [*first, *(name for name in fields if name not in first)]
    return pa.schema([fields[name] for name in order], metadata={"augforge": json.dumps({"classes": list(classes)})})


def ledger_table(classes: Sequence[str], stored: pa.Table, more: Mapping[str, pa.Array]) -> pa.Table:
    """Rows of samples.parquet: what is `stored` of them, and their other columns."""
    schema = ledger_schema(classes)
    columns = {name: stored.column(name) for name in stored.column_names}
    columns |= {name: column.cast(schema.field(name).type) for name, column in more.items()}
    return pa.table([columns[name] for name in schema.names], schema=schema)


def samples_batch(samples: Sequence[Sample]) -> pa.RecordBatch:
    """The columns `STORED` of samples, in memory of just their size; what Arrow builds from Python has room to grow."""
    columns = {
        "parents": [list(s.parents) for s in samples],
        "annotations": [dump_annotations(s.annotations) for s in samples],
        "pictures": [dump_pictures(s.pictures) for s in samples],
        "sampled_params": [json.dumps(dict(s.sampled_params), sort_keys=True) for s in samples],
    }
    arrays = [pa.array(columns.get(f.name) or [getattr(s, f.name) for s in samples], f.type) for f in STORED]
    batch = pa.RecordBatch.from_arrays(arrays, schema=STORED)
    return batch.take(pa.array(range(len(samples)), pa.int64()))


def sample_of(stored: Mapping[str, Any], more: Mapping[str, Any]) -> Sample:
    """The sample of a row of `STORED` and its other columns: what `samples_batch` made of it, taken back."""
    row = {
        **stored,
        "parents": tuple(stored["parents"]),
        "sampled_params": json.loads(stored["sampled_params"]),
        "pictures": parse_pictures(stored["pictures"]),
        "annotations": parse_annotations(stored["annotations"]),
    }
    return Sample(**row, **more)


def score_maps(scores: Mapping[str, NDArray[np.float64]], part: slice) -> pa.Array:
    """The column `scores` of some samples: of each, the measures that it has."""
    names = sorted(scores)
    values = np.stack([scores[name][part] for name in names], axis=1) if names else np.zeros((0, 0))
    length = part.stop - part.start
    present = ~np.isnan(values) if names else np.zeros((length, 0), dtype=bool)
    offsets = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int32)
    keys = np.broadcast_to(np.array(names, dtype=object), present.shape)[present]
    items = values[present] if names else np.zeros(0)
    return pa.MapArray.from_arrays(pa.array(offsets), pa.array(keys, pa.string()), pa.array(items, pa.float64()))
