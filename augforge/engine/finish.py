"""Write what a run leaves behind: the Hugging Face dataset, the ledger, the resolved recipe and the dataset card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from augforge.data.files import named, swap_folder, sync, sync_folder, write_atomically
from augforge.data.ledger import Ledger
from augforge.data.sample import Sample
from augforge.data.store import Store
from augforge.engine.context import RunContext
from augforge.engine.ingest import UNREADABLE, Pixels
from augforge.errors import BadImage, StoreError
from augforge.progress import Progress
from augforge.provenance.drift import still_describes
from augforge.provenance.lock import NAME, Lock, read_lock, text_of
from augforge.publish.card import dataset_card
from augforge.recipe import Recipe

ROWS_A_BATCH = 256
SHARD_BYTES = 256 << 20


def write_result(recipe: Recipe, context: RunContext) -> None:
    """Write the whole result; each piece appears whole or not at all."""
    store, ledger, certificates = context.store, context.ledger, context.certificates
    write_dataset(ledger, store, context.pixels, context.progress)
    write_ledger(ledger, store.folder / "samples.parquet")
    write_atomically(store.folder / "recipe.yaml", recipe.yaml().encode())
    certified = json.dumps(certificates, indent=1).encode()
    write_atomically(store.folder / "certificates.json", certified)
    write_atomically(store.folder / "README.md", dataset_card(recipe, ledger, certificates).encode())


def write_lock(lock: Mapping[str, Any], store: Store) -> None:
    """recipe.lock: what the result depends on, and what it is."""
    write_atomically(store.folder / NAME, text_of(dict(lock), "the recipe of this run").encode())


def keep_lock(out: Path, beside: Path | None, progress: Progress, always: bool = True) -> None:
    """Copy the lock of the run folder `out` to the file `beside` the recipe.

    Unless it must be written `always`, one that still describes the recipe and what it makes is left alone, though it
    was written on another machine: a committed lock does not change because somebody else ran the recipe.
    """
    if beside is None:
        return
    now = read_lock(out / NAME)
    text = text_of(now, beside.with_suffix(".yaml").name).encode()
    if beside.is_file():
        if beside.read_bytes() == text:
            return
        if not always and _still_describes(beside, now):
            return
    try:
        write_atomically(beside, text)
    except StoreError as error:
        raise StoreError(f"the result is complete, but not its lock: {error.message}", "use --no-lock") from error
    progress.say(f"wrote {beside}")


def _still_describes(beside: Path, now: Lock) -> bool:
    try:
        return still_describes(read_lock(beside), now)
    except StoreError:
        return False  # no lock, or of another format: it is written anew


def write_ledger(ledger: Ledger, path: Path) -> None:
    """samples.parquet: every sample ever seen."""
    ledger.reconcile()
    temporary = path.with_name(f".{path.name}.tmp")
    with named(path):
        try:
            _write_tables(ledger.tables(), temporary)
            sync(temporary)
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


def _write_tables(tables: Iterator[pa.Table], path: Path) -> None:
    first = next(tables)
    with pq.ParquetWriter(path, first.schema, compression="zstd", write_page_checksum=True) as writer:
        for table in chain([first], tables):
            writer.write_table(table)


def write_dataset(ledger: Ledger, store: Store, pixels: Pixels, progress: Progress) -> None:
    """dataset/: the kept samples, encoded bytes untouched, in the layout of `datasets.save_to_disk`."""
    folder = store.folder / ".dataset.new"
    with named(store.folder / "dataset"):
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _fill(folder, ledger, pixels, progress)
            swap_folder(folder, store.folder / "dataset")
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _fill(folder: Path, ledger: Ledger, pixels: Pixels, progress: Progress) -> None:
    """Write the kept samples into the empty `folder`, and bring all of it to the disk."""
    from datasets import DatasetInfo

    features = dataset_features(ledger)
    shards = _Shards(folder, features.arrow_schema)
    kept = ledger.visible()
    try:
        with progress.bar("write", len(kept)) as bar:
            for start in range(0, len(kept), ROWS_A_BATCH):
                part = kept[start : start + ROWS_A_BATCH]
                shards.write(list(_rows(ledger, list(ledger.samples(part)), part, pixels)))
                bar.advance(len(part))
        files = shards.close()
    finally:
        shards.abandon()
    DatasetInfo(features=features).write_to_directory(str(folder))
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in files],
        "_fingerprint": shards.fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    (folder / "state.json").write_text(json.dumps(state, indent=2, sort_keys=True))
    for path in (*folder.iterdir(), folder):
        sync(path)


def dataset_features(ledger: Ledger) -> Any:
    """The columns of the dataset, in order; `mask` only if a kept sample has one."""
    from datasets import ClassLabel, Features, Image, Value

    masks = {"mask": Image()} if any(ledger.column("mask", ledger.visible())) else {}
    return Features(
        {
            "image": Image(),
            "label": ClassLabel(names=ledger.classes) if ledger.classes else Value("string"),
            "id": Value("string"),
            "origin": Value("string"),
            "weight": Value("float64"),
            "scores": {name: Value("float64") for name in sorted(ledger.scores)} or Value("null"),
            "provenance": Value("string"),
            "split": Value("string"),
            "caption": Value("string"),
            **masks,
        }
    )


def _rows(ledger: Ledger, samples: Sequence[Sample], indices: Any, pixels: Pixels) -> Iterator[dict[str, Any]]:
    classes = {label: index for index, label in enumerate(ledger.classes)}
    parents = ledger.by_id({parent for sample in samples for parent in sample.parents})
    for sample, index in zip(samples, indices, strict=True):
        try:
            data = pixels.bytes_of(sample)
            mask = {"bytes": pixels.mask_of(sample), "path": None} if sample.mask else None
        except BadImage as error:
            ledger.drop(index, UNREADABLE + error.message, "write")
            continue
        yield {
            "image": {"bytes": data, "path": None},
            "label": classes.get(sample.label) if sample.label is not None else None,
            "id": sample.id,
            "origin": sample.origin,
            "weight": sample.weight,
            "scores": {name: sample.scores.get(name) for name in sorted(ledger.scores)} or None,
            "provenance": json.dumps(provenance(sample, parents), sort_keys=True, ensure_ascii=False),
            "split": sample.split,
            "caption": sample.sampled_params.get("prompt"),
            "mask": mask,
        }


def provenance(sample: Sample, known: Mapping[str, Sample]) -> dict[str, Any]:
    """Where a sample came from: its file; or what generated it, and its parents with their files and digests."""
    if sample.origin == "real":
        guessed = {} if sample.labelled_by is None else {"labelled-by": sample.labelled_by}
        return {"source": sample.source, "digest": sample.digest, "note": sample.note, **guessed}
    parents = [{"id": p.id, "digest": p.digest, "source": p.source} for i in sample.parents if (p := known.get(i))]
    return {**sample.provenance, "digest": sample.digest, "parents": parents}


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
        from augforge.data.ids import key

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
