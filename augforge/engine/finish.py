"""Write what a run leaves behind: the Hugging Face dataset, the ledger, the resolved recipe and the dataset card."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from augforge.data.files import named, sync, sync_folder, write_atomically
from augforge.data.label_errors import write_label_errors
from augforge.data.ledger import Ledger
from augforge.data.nearest import write_nearest
from augforge.data.reviewed import write_reviewed
from augforge.data.stage_facts import write_facts
from augforge.data.store import Store
from augforge.engine.context import RunContext
from augforge.engine.dataset import write_dataset
from augforge.errors import StoreError
from augforge.progress import Progress
from augforge.provenance.drift import still_describes
from augforge.provenance.lock import NAME, Lock, read_lock, text_of
from augforge.publish.card import dataset_card
from augforge.recipe import Recipe


def write_result(recipe: Recipe, context: RunContext, together: Mapping[str, int] | None = None) -> None:
    """Write the whole result; each piece appears whole or not at all. `together` is what a splitter kept so."""
    store, ledger, certificates = context.store, context.ledger, context.certificates
    write_dataset(ledger, store, context.pixels, context.progress, context.flat)
    write_ledger(ledger, store.folder / "samples.parquet")
    write_atomically(store.folder / "recipe.yaml", recipe.yaml().encode())
    certified = json.dumps(certificates, indent=1).encode()
    write_atomically(store.folder / "certificates.json", certified)
    write_label_errors(store.folder, chain.from_iterable(context.label_errors.values()))
    write_nearest(store.folder, context.nearest)
    write_facts(store.folder, context.facts)
    write_reviewed(store.folder, context.reviewed)
    card = dataset_card(recipe, ledger, certificates, together or {}, context.facts)
    write_atomically(store.folder / "README.md", card.encode())


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
