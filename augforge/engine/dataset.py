"""dataset/ of a run folder: the kept samples as `datasets.load_from_disk` reads them, split by split."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from augforge.data.annotations import ParsedTexts, annotation_cells, annotation_features
from augforge.data.files import named, swap_folder, sync
from augforge.data.ids import key
from augforge.data.ledger import Indices, Ledger
from augforge.data.pictures import picture_names
from augforge.data.sample import Sample
from augforge.data.splits import in_order
from augforge.data.store import Store
from augforge.engine.ingest import UNREADABLE
from augforge.engine.pixels import Pixels
from augforge.errors import BadImage
from augforge.io.writing import split_file_name
from augforge.progress import Bar, Progress

ROWS_A_BATCH = 256
SHARD_BYTES = 256 << 20
CAPTION = "caption"
"""The column of what a picture shows in words: the prompt of a generated image, the caption of one of a source."""


def write_dataset(ledger: Ledger, store: Store, pixels: Pixels, progress: Progress, flat: bool = False) -> None:
    """dataset/: the kept samples, encoded bytes untouched, in the layout of `datasets.save_to_disk`.

    With two splits or more it is a `DatasetDict`, unless `flat`; samples without a split are then in `train`.
    """
    folder = store.folder / ".dataset.new"
    with named(store.folder / "dataset"):
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _fill(folder, _Rows(ledger, pixels), progress, flat)
            swap_folder(folder, store.folder / "dataset")
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _fill(folder: Path, rows: _Rows, progress: Progress, flat: bool) -> None:
    """Write the kept samples into the empty `folder`, and bring all of it to the disk."""
    kept = rows.ledger.visible()
    parts = {} if flat else _parts(rows.ledger, kept)
    with progress.bar("write", len(kept)) as bar:
        for split, indices in parts.items():
            (folder / split).mkdir()
            _write(folder / split, rows, indices, split, bar)
        if parts:
            (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(parts)}))
        else:
            _write(folder, rows, kept, None, bar)
    for path in (*folder.rglob("*"), folder):
        sync(path)


def _parts(ledger: Ledger, kept: Indices) -> dict[str, Indices]:
    """The kept samples of each split, by the name of its folder; nothing unless there are several."""
    splits = ledger.coded("split")
    names = in_order(map(split_file_name, splits.counts(kept)))
    if len(names) < 2:
        return {}
    numbers = splits.mapped(lambda split: names.index(name) if (name := split_file_name(split)) in names else -1, int)
    return {name: kept[numbers[kept] == place] for place, name in enumerate(names)}


def _write(folder: Path, rows: _Rows, indices: Indices, split: str | None, bar: Bar) -> None:
    """A `Dataset` with the samples at `indices` in the folder."""
    from datasets import DatasetInfo

    shards = _Shards(folder, rows.features.arrow_schema)
    try:
        for start in range(0, len(indices), ROWS_A_BATCH):
            part = indices[start : start + ROWS_A_BATCH]
            shards.write(list(rows.of(part)))
            bar.advance(len(part))
        files = shards.close()
    finally:
        shards.abandon()
    DatasetInfo(features=rows.features).write_to_directory(str(folder))
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in files],
        "_fingerprint": shards.fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": split,
    }
    (folder / "state.json").write_text(json.dumps(state, indent=2, sort_keys=True))


@dataclass(frozen=True, slots=True)
class Filled:
    """Which columns and measures have a value in some kept sample; wholly empty ones are not written.

    `annotations` has the features of the kinds of annotation that occur, by their names, `pictures` the names of
    the pictures that do.
    """

    columns: frozenset[str]
    measures: tuple[str, ...]
    annotations: Mapping[str, Any] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()


def filled_of(ledger: Ledger) -> Filled:
    """What the kept samples of a ledger have values in. The column of labels is there wherever there are classes."""
    kept = ledger.visible()
    measures = tuple(name for name in sorted(ledger.scores) if not np.isnan(ledger.scores[name][kept]).all())
    kinds = annotation_features(ParsedTexts(text for (text,) in ledger.each(("annotations",), kept)), ledger.classes)
    there = {
        "label": bool(ledger.classes),
        "scores": bool(measures),
        "split": any(ledger.coded("split").counts(kept)),
        "caption": CAPTION in kinds or any(_prompt(text) for (text,) in ledger.each(("sampled_params",), kept)),
    }
    pictures = picture_names(text for (text,) in ledger.each(("pictures",), kept))
    return Filled(frozenset(n for n, filled in there.items() if filled), measures, kinds, tuple(sorted(pictures)))


def _prompt(sampled_params: str) -> str:
    """The prompt among sampled parameters in JSON."""
    return str(json.loads(sampled_params).get("prompt") or "") if '"prompt"' in (sampled_params or "") else ""


def dataset_features(classes: Sequence[str], filled: Filled) -> Any:
    """The columns of the dataset, in order, as `datasets.Features`."""
    from datasets import ClassLabel, Features, Image, Value

    every = {
        "image": Image(),
        "label": ClassLabel(names=list(classes)) if classes else None,
        "id": Value("string"),
        "origin": Value("string"),
        "weight": Value("float64"),
        "scores": {name: Value("float64") for name in filled.measures},
        "provenance": Value("string"),
        "split": Value("string"),
        CAPTION: Value("string"),
    }
    always = {"image", "id", "origin", "weight", "provenance"}
    own = {name: kind for name, kind in every.items() if name in always | filled.columns}
    own |= {name: Image() for name in filled.pictures}
    return Features(own | {name: kind for name, kind in filled.annotations.items() if name != CAPTION})


class _Rows:
    """The samples of a ledger as rows of the dataset."""

    def __init__(self, ledger: Ledger, pixels: Pixels) -> None:
        self.ledger = ledger
        self._pixels = pixels
        self._filled = filled_of(ledger)
        self._classes = {label: index for index, label in enumerate(ledger.classes)}
        self.features = dataset_features(ledger.classes, self._filled)

    def of(self, indices: Indices) -> Iterator[dict[str, Any]]:
        """The rows of the samples at `indices`; a sample whose bytes are gone is dropped instead."""
        samples = list(self.ledger.samples(indices))
        parents = self.ledger.by_id({parent for sample in samples for parent in sample.parents})
        for sample, index in zip(samples, indices, strict=True):
            try:
                data = self._pixels.bytes_of(sample)
                pictures = {name: self._picture(sample, name) for name in self._filled.pictures}
            except BadImage as error:
                self.ledger.drop(index, UNREADABLE + error.message, "write")
                continue
            row = self._row(sample, parents)
            yield {name: row[name] for name in self.features if name in row} | {
                "image": {"bytes": data, "path": None},
                **pictures,
            }

    def _picture(self, sample: Sample, name: str) -> dict[str, Any] | None:
        """The cell of a picture that goes with a sample."""
        there = name in sample.pictures
        return {"bytes": self._pixels.picture_of(sample, name), "path": None} if there else None

    def _row(self, sample: Sample, parents: Mapping[str, Sample]) -> dict[str, Any]:
        """All but the pixels. Texts are never null and scores never missing, so that rows can be batched."""
        return {
            "label": self._classes.get(sample.label) if sample.label is not None else None,
            "id": sample.id,
            "origin": sample.origin,
            "weight": sample.weight,
            "scores": {name: sample.scores.get(name, math.nan) for name in self._filled.measures},
            "provenance": json.dumps(provenance(sample, parents), sort_keys=True, ensure_ascii=False),
            "split": sample.split or "",
            CAPTION: sample.sampled_params.get("prompt") or sample.annotations.get(CAPTION) or "",
            **annotation_cells(sample.annotations, self._filled.annotations, self.ledger.classes),
        }


def provenance(sample: Sample, known: Mapping[str, Sample]) -> dict[str, Any]:
    """Where a sample came from: its file; or what generated it, and its parents with their files and digests."""
    guessed = {} if sample.labelled_by is None else {"labelled-by": sample.labelled_by}
    if sample.origin == "real":
        return {"source": sample.source, "digest": sample.digest, "note": sample.note, **guessed}
    parents = [{"id": p.id, "digest": p.digest, "source": p.source} for i in sample.parents if (p := known.get(i))]
    return {**sample.provenance, "digest": sample.digest, "parents": parents, **guessed}


class _Shards:
    """Arrow stream files of at most 256 MB, as `datasets` reads them."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder, self._schema = folder, schema
        self._writer: Any = None
        self._sink: Any = None
        self._names: list[str] = []
        self._size = 0
        self._ids: list[str] = []

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append rows, to a new file when the present one is full."""
        if self._writer is None or self._size > SHARD_BYTES:
            self._next()
        table = pa.Table.from_pylist(list(rows), schema=self._schema)
        self._writer.write_table(table)
        self._size += table.nbytes
        self._ids.extend(row["id"] for row in rows)

    def _next(self) -> None:
        self._finish()
        self._names.append(f"shard-{len(self._names):05d}.arrow")
        self._sink = pa.OSFile(str(self._folder / self._names[-1]), "wb")
        self._writer = pa.ipc.new_stream(self._sink, self._schema)
        self._size = 0

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._sink.close()

    def abandon(self) -> None:
        """Let go of a file that could not be written to its end; nothing if all are closed."""
        if self._sink is not None and not self._sink.closed:
            with suppress(OSError):
                self._sink.close()

    @property
    def fingerprint(self) -> str:
        """A digest of the ids, which `datasets` uses as the identity of the data."""
        return key(self._ids)[:16]

    def close(self) -> list[str]:
        """Finish the last file, rename all to `data-i-of-n.arrow`; returns their names."""
        if self._writer is None:
            self._next()
        self._finish()
        total = len(self._names)
        final = [f"data-{number:05d}-of-{total:05d}.arrow" for number in range(total)]
        for old, new in zip(self._names, final, strict=True):
            (self._folder / old).rename(self._folder / new)
        return final
