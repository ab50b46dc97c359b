"""Build the columns that the server works with from samples.parquet, a batch at a time, into the cache."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from augforge.data.annotations import KINDS, parse_annotations
from augforge.data.classes import filed_labels
from augforge.data.files import named
from augforge.data.mirror import cached
from augforge.data.pictures import KINDS as PICTURES
from augforge.data.pictures import parse_pictures
from augforge.data.record import AGAIN, FORMAT, LEDGER, format_of, no_run
from augforge.data.texts import bytes_of, order_of
from augforge.errors import StoreError
from augforge.report.outcomes import OUTCOMES, SELECTOR
from augforge.report.withheld import MEASURE, STAGE, withheld_of
from augforge.view.coding import Coder, by_number, kind_of
from augforge.view.lineage import child_lists

VERSION = 1
"""Of the columns in the cache; another one has them built again."""
BATCH = 65_536
HAS = (*KINDS, *PICTURES, "other-picture")
"""What a sample may have beside its picture, one bit each in the column `has`."""
TEXTS = (
    "source", "dropped", "note", "ref", "digest", "pictures", "annotations", "sampled_params", "seed", "labelled_by",
)  # fmt: skip
"""The columns that are read a row at a time."""
NUMBERS: dict[str, Any] = {
    "width": np.int32,
    "height": np.int32,
    "weight": np.float32,
    "kept": np.bool_,
    "has": np.uint16,
}
"""The columns of numbers, and what they are kept as."""
CODED = {"label": "label", "origin": "origin", "stage": "stage", "by": "dropped_by", "split": "split"}
"""The coded columns, by the columns of the ledger."""


def revision_of(folder: Path) -> str:
    """What stands for the ledger as it is now; another one once it was written again.

    Raises:
        StoreError: there is no ledger, or it is of another format.
    """
    path = folder / LEDGER
    if not path.is_file():
        raise no_run(folder)
    version = format_of(folder)
    if version not in (None, FORMAT):
        raise StoreError(
            f"{folder} was written in format {version}, this augforge reads format {FORMAT}",
            "use the augforge version that wrote it, or run its recipe into a new folder",
        )
    stat = path.stat()
    return hashlib.sha256(f"{VERSION} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:12]


def cache_of(folder: Path) -> Path:
    """The folder on this machine for what is kept of a run beside it: columns and thumbnails."""
    return cached("view", str(folder.resolve()))


def built(folder: Path) -> Path:
    """The folder with the columns of the run in `folder`, built unless they are there.

    Raises:
        StoreError: the ledger cannot be read, or the columns cannot be written.
    """
    revision, cache = revision_of(folder), cache_of(folder)
    target = cache / f"columns-{revision}"
    if (target / "meta.json").is_file():
        return target
    temporary = cache / f".{target.name}.tmp"
    with named(target), _alone(cache):
        if (target / "meta.json").is_file():  # another server has built them meanwhile
            return target
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        _build(folder / LEDGER, temporary)
        for old in cache.glob("columns-*"):
            shutil.rmtree(old, ignore_errors=True)  # a server that has it open keeps what is mapped
        temporary.rename(target)
    return target


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Wait until no other server builds in `cache`; one that ends, however it does, lets go of it."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(ledger: Path, target: Path) -> None:
    try:
        with pq.ParquetFile(ledger) as file:
            columns = _Columns(file.schema_arrow)
            with pa.OSFile(str(target / "rows.arrow"), "wb") as sink:
                _write_rows(file, sink, columns)
        columns.save(ledger, target)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # it cannot be written
        raise StoreError(f"{ledger} cannot be read: {error}", AGAIN) from error


def _write_rows(file: pq.ParquetFile, sink: pa.OSFile, columns: _Columns) -> None:
    schema = pa.schema(
        [*((name, pa.int64() if name == "seed" else pa.string()) for name in TEXTS), ("found", pa.string())]
    )
    with pa.ipc.new_file(sink, schema) as writer:
        for batch in file.iter_batches(BATCH):
            found = columns.add(batch)
            texts = [batch.column(name).cast(schema.field(name).type) for name in TEXTS]
            writer.write_batch(pa.record_batch([*texts, found], schema=schema))


class _Columns:
    """The columns as they grow."""

    def __init__(self, schema: pa.Schema) -> None:
        self.classes: list[str] = json.loads((schema.metadata or {}).get(b"augforge", b"{}")).get("classes", [])
        first = {"label": self.classes, "origin": ("real", "synthetic"), "stage": ("source",)}
        self._coders = {name: Coder(first.get(name, ())) for name in CODED}
        self._coders["reason"] = Coder(kind=kind_of)
        self._coders["config"] = Coder()
        self._numbers: dict[str, list[NDArray[Any]]] = {name: [np.zeros(0, kind)] for name, kind in NUMBERS.items()}
        self._scores: dict[str, list[NDArray[np.float64]]] = {}
        self._ids: list[NDArray[np.bytes_]] = []
        self._parents: list[tuple[NDArray[np.int64], NDArray[np.bytes_]]] = []
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> pa.Array:
        """Take in the next rows; the texts by which each is found, in lower case."""
        for name, column in CODED.items():
            self._coders[name].add(batch.column(column))
        self._coders["reason"].add(batch.column("dropped"))
        self._coders["config"].add(batch.column("generation_config"))
        self._ids.append(bytes_of(batch.column("id")).copy())
        parents = batch.column("parents")
        counts = pc.fill_null(pc.list_value_length(parents), 0)
        self._parents.append((np.asarray(counts).astype(np.int64), bytes_of(parents.flatten()).copy()))
        self._add_scores(batch.column("scores"))
        for name in ("width", "height", "weight", "kept"):
            values = batch.column(name).fill_null(False if name == "kept" else 0)
            self._add(name, np.asarray(values.to_numpy(zero_copy_only=False)))
        annotations = [parse_annotations(text) for text in batch.column("annotations").to_pylist()]
        pictures = batch.column("pictures").to_pylist()
        self._add("has", np.array([_bits(a, p) for a, p in zip(annotations, pictures, strict=True)]))
        self._rows += batch.num_rows
        return _searchable(batch, annotations)

    def _add(self, name: str, values: NDArray[Any]) -> None:
        self._numbers[name].append(values.astype(NUMBERS[name]))

    def _add_scores(self, column: pa.Array) -> None:
        known = {*self._scores, *(name for name in pc.unique(column.keys).to_pylist() if name is not None)}
        for name in known:
            before = self._scores.setdefault(name, [np.full(self._rows, np.nan)] if self._rows else [])
            found = pc.cast(pc.map_lookup(column, name, "first"), pa.float64())
            before.append(np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.float64))

    def save(self, ledger: Path, target: Path) -> None:
        """Write all columns and what they mean."""
        values: dict[str, list[str]] = {}
        codes: dict[str, NDArray[np.int32]] = {}
        for name, coder in self._coders.items():
            values[name], codes[name] = coder.done(by_number if name in ("stage", "by") else None)
            np.save(target / f"{name}.npy", codes[name])
        numbers = {name: np.concatenate(parts) for name, parts in self._numbers.items()}
        numbers["outcome"] = _outcomes(numbers["kept"], codes["origin"], codes["by"], values)
        scores = self._save_scores(target)
        order = self._save_ids(target)
        self._save_lineage(order, target)
        numbers["filed"] = self._filed(ledger, numbers["has"], codes["label"], values["label"])
        numbers["hidden"] = _hidden(target, codes, values, scores.get(MEASURE))
        numbers["file_rank"] = _ranks(target)
        for name, column in numbers.items():
            np.save(target / f"{name}.npy", column)
        facts = [_score_facts(name, column) for name, column in sorted(scores.items())]
        meta = {"rows": self._rows, "classes": self.classes, "values": values, "scores": facts}
        (target / "meta.json").write_text(json.dumps(meta), encoding="utf-8")

    def _save_scores(self, target: Path) -> dict[str, NDArray[np.float64]]:
        (target / "scores").mkdir()
        found = {name: np.concatenate(parts) for name, parts in self._scores.items()}
        for place, name in enumerate(sorted(found)):
            np.save(target / "scores" / f"{place}.npy", found[name])
        return found

    def _save_ids(self, target: Path) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
        ids = np.concatenate([np.zeros(0, dtype="S1"), *self._ids])
        order = order_of(ids)
        np.save(target / "id.npy", ids)
        np.save(target / "id_order.npy", order.astype(np.int32))
        return ids[order], order

    def _save_lineage(self, ids: tuple[NDArray[np.bytes_], NDArray[np.int64]], target: Path) -> None:
        counts = np.concatenate([np.zeros(0, dtype=np.int64), *(each for each, _ in self._parents)])
        named_ = np.concatenate([np.zeros(0, dtype="S1"), *(each for _, each in self._parents)])
        for name, column in child_lists(counts, named_, *ids).items():
            np.save(target / f"{name}.npy", column)

    def _filed(
        self, ledger: Path, has: NDArray[np.uint16], labels: NDArray[np.int32], names: list[str]
    ) -> NDArray[np.int32]:
        """(n,) the class under which each sample is filed, as a place in the labels, -1 without one."""
        several = (1 << HAS.index("labels")) | (1 << HAS.index("soft_label"))
        if not ((labels < 0) & (has & several > 0)).any():
            return labels
        places = {name: place for place, name in enumerate(names)}
        filed = filed_labels(pq.read_table(ledger, columns=["label", "annotations", "split", "origin"]), self.classes)
        return np.array([-1 if name is None else places.get(name, -1) for name in filed], dtype=np.int32)


def _bits(annotations: Any, pictures: str | None) -> int:
    """Which of `HAS` a sample has."""
    names = [
        *annotations,
        *((name if name in PICTURES else HAS[-1]) for name in (parse_pictures(pictures) if pictures else ())),
    ]
    return sum(1 << HAS.index(name) for name in set(names) if name in HAS)


def _searchable(batch: pa.RecordBatch, annotations: list[Any]) -> pa.Array:
    """(n,) file, caption and prompt of each row in lower case, a line each."""

    def texts() -> Iterator[str]:
        rows = zip(
            batch.column("source").to_pylist(), annotations, batch.column("sampled_params").to_pylist(), strict=True
        )
        for source, said, drawn in rows:
            prompt = json.loads(drawn).get("prompt") if drawn and '"prompt"' in drawn else None
            yield "\n".join(str(text) for text in (source, said.get("caption"), prompt) if text).lower()

    return pa.array(texts(), pa.string(), size=batch.num_rows)


def _outcomes(
    kept: NDArray[np.bool_], origin: NDArray[np.int32], by: NDArray[np.int32], values: dict[str, list[str]]
) -> NDArray[np.int8]:
    """(n,) places in `OUTCOMES`."""
    selectors = np.array([bool(SELECTOR.match(title)) for title in values["by"]] + [False], dtype=bool)
    gone = np.where(selectors[by], OUTCOMES.index("not chosen"), OUTCOMES.index("filtered out"))
    stays = np.where(origin == values["origin"].index("real"), OUTCOMES.index("real"), OUTCOMES.index("synthetic"))
    return np.where(kept, stays, gone).astype(np.int8)


def _hidden(
    target: Path, codes: dict[str, NDArray[np.int32]], values: dict[str, list[str]], safety: NDArray[np.float64] | None
) -> NDArray[np.uint8]:
    """(n,) 1 where an image was flagged as unsafe, 2 where a safety filter never saw it, else 0."""
    by_safety = np.array([bool(STAGE.fullmatch(title)) for title in values["by"]] + [False], dtype=bool)[codes["by"]]
    if safety is None and not by_safety.any():
        return np.zeros(len(by_safety), dtype=np.uint8)
    scores = np.full(len(by_safety), np.nan) if safety is None else safety
    with pa.memory_map(str(target / "rows.arrow")) as file:
        digests = pa.ipc.open_file(file).read_all().column("digest")
        flagged, unjudged = withheld_of(by_safety, scores, digests, codes["origin"])
    found: NDArray[np.uint8] = flagged + 2 * unjudged.astype(np.uint8)
    return found


def _ranks(target: Path) -> NDArray[np.int32]:
    """(n,) the place of each row in the order of its file or, without one, behind those."""
    with pa.memory_map(str(target / "rows.arrow")) as file:
        order = np.asarray(pc.sort_indices(pa.ipc.open_file(file).read_all().column("source")))
    ranks = np.empty(len(order), dtype=np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    return ranks


def _score_facts(name: str, column: NDArray[np.float64]) -> dict[str, Any]:
    known = column[np.isfinite(column)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (None, None)
    return {"name": name, "count": len(known), "min": low, "max": high}
