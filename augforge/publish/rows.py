"""What a run has to publish: its kept samples, row by row, in the order and the shards in which they are written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from augforge import __version__
from augforge.algorithms.selection.units import Run
from augforge.data import images
from augforge.data.annotations import ParsedTexts, annotation_features, parse_annotations
from augforge.data.ids import key
from augforge.data.ledger import Indices
from augforge.data.pictures import picture_names
from augforge.data.record import LEDGER, no_run
from augforge.data.uniform import Uniform
from augforge.errors import RecipeError, SourceError, StoreError
from augforge.io.dataset import Dataset
from augforge.io.writing import About, Row, Shard, Writer, split_file_name
from augforge.publish.marks import Marker, SourceType, source_types
from augforge.publish.names import original_name, unique_names
from augforge.publish.private import hide_annotations, hide_provenance
from augforge.stages.catalog import stage_class
from augforge.stages.generator import Generator

AGAIN = "run the command that made it again"
LIGHT = ("id", "label", "origin", "weight", "scores", "provenance", "split", "caption")
AT_ONCE = 64


class Published:
    """The kept samples of a finished run, as they are to be published.

    Args:
        folder: the run folder.
        kind: what writes them; its folders decide which names are taken.
        marker: marks synthetic images; None leaves all bytes as they are.
        private: keep names of files out of the provenance, and out of the names of files.
        uniform: one mode and size for all images; None leaves them as they are.

    Raises:
        StoreError: the folder holds no finished run.
    """

    def __init__(
        self, folder: Path, kind: type[Writer], marker: Marker | None, private: bool, uniform: Uniform | None = None
    ) -> None:
        self.folder, self.kind, self.marker, self.private, self.uniform = folder, kind, marker, private, uniform
        if not (folder / LEDGER).is_file():
            raise no_run(folder)
        try:
            self.state = json.loads((folder / "run.json").read_text())
            self.ledger = pq.ParquetFile(folder / "samples.parquet")
            self._dataset = Dataset(str(folder / "dataset"))
        except (OSError, ValueError, pa.ArrowException, SourceError) as error:
            raise StoreError(f"{folder} holds no finished run: {error}", "give the DIR of --out; " + AGAIN) from error
        self.table = pa.concat_tables([self._dataset.table(file) for file in self._dataset.files])
        if len(self.table) != int(pc.sum(pc.cast(self._facts.column("kept"), pa.int64())).as_py() or 0):
            raise StoreError(f"{folder}: its dataset and its ledger do not agree", AGAIN)

    # -- about all ------------------------------------------------------------------------------------------

    @cached_property
    def classes(self) -> list[str]:
        """The classes, in the order of the run."""
        return self._dataset.classes()

    @cached_property
    def splits(self) -> list[str | None]:
        """(n,) the split of every row."""
        return [split or None for split in self._cells_of("split")]

    @cached_property
    def names(self) -> list[str]:
        """(n,) what the files of every row are called, by the names in its source."""
        labels = self._cells_of("label") if self.kind.class_folders else [None] * len(self.table)
        none = [None] * len(self.table)
        splits = self._split_names if self.kind.split_folders else none
        folders = zip(splits, labels if self.kind.class_folders else none, strict=True)
        return unique_names([name for name, _ in self._originals], self._cells_of("id"), list(folders), self.kind.safe)

    @property
    def renamed(self) -> int:
        """How many files could not keep their name: another one has it, or it is not safe on every disk."""
        pairs = zip(self._originals, self.names, strict=True)
        return sum(bool(original) and original != name for (original, _), name in pairs)

    @cached_property
    def _originals(self) -> list[tuple[str, str]]:
        """(n,) the name and suffix of every row's file in its source."""
        if self.private:
            return [("", "")] * len(self.table)
        sources = dict(zip(*(self._facts.column(name).to_pylist() for name in ("id", "source")), strict=True))
        return [original_name(sources[identity] or "") for identity in self._cells_of("id")]

    def _cells_of(self, name: str) -> list[Any]:
        """(n,) a column of the dataset; None for every row if it was not written, as no row has a value."""
        there = name in self.table.column_names
        return list(self.table.column(name).to_pylist()) if there else [None] * len(self.table)

    @property
    def _light_columns(self) -> list[str]:
        """The columns that the dataset has, but for those of pixels."""
        return [name for name in LIGHT if name in self.table.column_names]

    def about(self, name: str) -> About:
        """What a writer has to know beforehand."""
        counts: dict[str, int] = {}
        for split in self.splits:
            counts[split_file_name(split)] = counts.get(split_file_name(split), 0) + 1
        columns = self.table.column_names
        kind = self.table.schema.field("scores").type if "scores" in columns else pa.null()
        measures = [field.name for field in kind] if pa.types.is_struct(kind) else []
        shape = self.uniform.told if self.uniform else ""
        captions, pictures = "caption" in columns, self._pictures
        said = annotation_features(ParsedTexts(map(self._annotations.get, self._cells_of("id"))), self.classes)
        return About(name, self.classes, measures, captions, pictures, counts or {"train": 0}, shape, said)

    def shards(self, about: About, writer: Writer) -> list[Shard]:
        """All shards, split by split; the same for the same rows."""
        found: list[Shard] = []
        first = 0
        for split in about.splits:
            ends = self._ends(self._order[first : first + about.splits[split]], writer)
            for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
                found.append(Shard(split, number, len(ends), first + start, end - start))
            first += ends[-1]
        return found

    def _ends(self, places: Indices, writer: Writer) -> list[int]:
        """Where every shard of a split ends, by its rows and bytes; one empty shard of a split without rows."""
        total = np.concatenate([[0], np.cumsum(self._sizes[places])])
        ends, start = [], 0
        while start < len(places):
            by_bytes = int(np.searchsorted(total, total[start] + writer.shard_bytes, side="right")) - 1
            start = min(len(places), start + writer.shard_rows, max(by_bytes, start + 1))
            ends.append(start)
        return ends or [0]

    @cached_property
    def _pictures(self) -> list[str]:
        """The names of the pictures that go with the images: columns of the dataset that the ledger knows."""
        names = picture_names(self._facts.column("pictures").to_pylist())
        return [name for name in self.table.column_names if name in names]

    @cached_property
    def _order(self) -> Indices:
        """(n,) the rows split by split, the splits in the order in which they are met."""
        names = list(dict.fromkeys(self._split_names.tolist()))
        return np.concatenate([np.zeros(0, dtype=np.int64), *(np.flatnonzero(self._split_names == n) for n in names)])

    @cached_property
    def _split_names(self) -> Any:
        return np.array([split_file_name(split) for split in self.splits], dtype=object)

    @cached_property
    def _sizes(self) -> Any:
        """(n,) bytes of every image with what goes with it; read from offsets, not from pixels."""
        names = ["image", *self._pictures]
        fields = [pc.struct_field(self.table.column(name), "bytes") for name in names]
        lengths = [pc.binary_length(column).combine_chunks() for column in fields]
        return np.sum([[length or 0 for length in column.tolist()] for column in lengths], axis=0, dtype=np.int64)

    @cached_property
    def _facts(self) -> pa.Table:
        names = ("id", "origin", "parents", "kept", "digest", "width", "height", "source", "annotations", "pictures")
        return self.ledger.read(columns=list(names))

    @cached_property
    def _annotations(self) -> dict[str, str]:
        """The annotations of the samples of the ledger that have any, by their ids, as texts as they are published."""
        columns = (self._facts.column(name).to_pylist() for name in ("id", "annotations"))
        said = {identity: text for identity, text in zip(*columns, strict=True) if text}
        return {identity: hide_annotations(text) for identity, text in said.items()} if self.private else said

    @cached_property
    def _by_id(self) -> dict[str, tuple[str, int, int, tuple[str, ...]]]:
        """Digest, width, height and parents of every sample of the ledger, by its id."""
        names = ("id", "digest", "width", "height", "parents")
        columns = [self._facts.column(name).to_pylist() for name in names]
        return {i: (d or "", w, h, tuple(p or ())) for i, d, w, h, p in zip(*columns, strict=True)}

    @cached_property
    def types(self) -> dict[str, SourceType]:
        """The digital source type of every synthetic sample."""
        ids, origins = (self._facts.column(name).to_pylist() for name in ("id", "origin"))
        parents = {identity: facts[3] for identity, facts in self._by_id.items()}
        return source_types(dict(zip(ids, origins, strict=True)), parents, self._untrained)

    @cached_property
    def _untrained(self) -> frozenset[str]:
        """The samples that were made without a trained model."""
        names = ("id", "generation_config")
        table = self.ledger.read(columns=list(names))
        configs = table.column("generation_config").cast(pa.string()).to_pylist()
        known = {config: _without_model(config) for config in set(configs) if config}
        return frozenset(i for i, c in zip(table.column("id").to_pylist(), configs, strict=True) if known.get(c))

    # -- row by row -----------------------------------------------------------------------------------------

    def key_of(self, shard: Shard, about: About, kind: str) -> str:
        """What the files of a shard depend on."""
        marks = None if self.marker is None else (self.marker.signer.certificate if self.marker.signer else "")
        columns = [
            list(about.classes),
            list(about.measures),
            about.captions,
            list(about.pictures),
            repr(about.annotations),
        ]
        options = [kind, __version__, marks, self.private, *columns, about.shape]
        place = [shard.split, shard.number, shard.total, shard.first]
        places = self._rows_of(shard)
        files = ([self.names[place], self._originals[place][1]] for place in places)
        rows = [[light, *self._by_id[light["id"]][:3], *f] for light, f in zip(self._light(places), files, strict=True)]
        return key("shard", options, place, rows)

    def rows(self, shard: Shard, run: Run = map) -> Iterator[Row]:
        """The rows of a shard; `run` calls what hashes, decodes and encodes the images of some, in their order.

        Raises:
            StoreError: the bytes of an image are not those that the ledger knows.
        """
        places = self._rows_of(shard)
        pixels = ["image", *self._pictures]
        for start in range(0, len(places), AT_ONCE):
            part = places[start : start + AT_ONCE]
            cells = self.table.select(pixels).take(pa.array(part)).to_pylist()
            names = [{"name": self.names[place], "ending": self._originals[place][1]} for place in part]
            lights = [light | name for light, name in zip(self._light(part), names, strict=True)]
            yield from run(self._row, list(zip(lights, cells, strict=True)))

    def _rows_of(self, shard: Shard) -> Indices:
        return self._order[shard.first : shard.first + shard.rows]

    def _light(self, places: Indices) -> Iterator[dict[str, Any]]:
        """All but the pixels of some rows, as published; annotations as JSON."""
        for found in self.table.select(self._light_columns).take(pa.array(places)).to_pylist():
            row = dict.fromkeys(LIGHT) | found
            label = row["label"]
            row["label"] = self.classes[label] if isinstance(label, int) else label
            row["split"], row["caption"] = row["split"] or None, row["caption"] or None
            row["scores"] = {name: value for name, value in (row["scores"] or {}).items() if known(value)}
            row["provenance"] = hide_provenance(row["provenance"]) if self.private else row["provenance"]
            row["annotations"] = self._annotations.get(row["id"], "")
            yield row

    def _row(self, given: tuple[dict[str, Any], dict[str, Any]]) -> Row:
        light, cell = given
        digest, width, height, parents = self._by_id[light["id"]]
        image = cell["image"]["bytes"]
        if digest and images.digest(image) != digest:
            raise StoreError(f"{self.folder}: the image of sample {light['id']} is damaged in its dataset", AGAIN)
        pictures = {name: cell[name]["bytes"] for name in self._pictures if (cell[name] or {}).get("bytes")}
        light = {**light, "annotations": parse_annotations(light["annotations"])}
        if self.uniform:
            light = {**light, "annotations": self.uniform.annotations(light["annotations"], (width, height))}
            image, pictures, (width, height) = self.uniform.all(image, pictures, (width, height))
        marked = None
        if self.marker is not None and light["origin"] == "synthetic":
            new = self._marked(image, light["id"], parents, self.marker)
            image, marked = new or image, new is not None
        sha256 = images.digest(image)
        return Row(**light, image=image, pictures=pictures, width=width, height=height, sha256=sha256, marked=marked)

    def _marked(self, image: bytes, identity: str, parents: Sequence[str], marker: Marker) -> bytes | None:
        above = [self._by_id[parent][0] for parent in parents if parent in self._by_id]
        return marker.mark(image, self.types[identity], identity, above)


def _without_model(generation_config: str) -> bool:
    """Whether a generator that uses no trained model has made an image; one that is not known may use one."""
    try:
        config = json.loads(generation_config)
        made_by = stage_class("generate", str(config["generator"]))
    except (ValueError, KeyError, TypeError, RecipeError):
        return False
    return issubclass(made_by, Generator) and not made_by.trained and not isinstance(config.get("model"), dict)


def known(value: float | None) -> bool:
    """Whether a score was measured."""
    return value is not None and not math.isnan(value)
