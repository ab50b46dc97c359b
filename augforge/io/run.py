"""The run folders of augforge itself: all samples with their history, the dropped ones too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from augforge.data.pictures import parse_pictures
from augforge.data.record import FORMAT, check_ledger, format_of
from augforge.errors import BadImage, SourceError, StoreError
from augforge.io.base import Entry, Source, existing_folder, files_fingerprint, only
from augforge.io.dataset import Dataset
from augforge.remote.places import file_to_read

if TYPE_CHECKING:
    import numpy as np
    import pyarrow.parquet as pq
    from numpy.typing import NDArray

AGAIN = "run the command that made it again"
NEEDED = frozenset({
    "id", "label", "origin", "kept", "dropped", "parents", "stage", "seed", "source", "split", "digest", "weight",
    "scores", "sampled_params", "pictures",
})  # fmt: skip
ELSEWHERE = frozenset({"label", "split", "ref"})
"""Columns that are not carried: the entry has its own, and `ref` only means something to the run that wrote it."""
CHUNK = 4096
ROOTS = ("dataset/state.json", "dataset/dataset_dict.json")
"""Of a finished run, one of these is there: its dataset is a `Dataset`, or a `DatasetDict` of its splits."""


def dataset_root(folder: Path) -> str | None:
    """The file of `ROOTS` that a run folder has; None if its dataset is missing or unfinished."""
    return next((name for name in ROOTS if (folder / name).is_file()), None)


class Run(Source):
    """A finished run. Every row of its ledger is an entry, dropped ones too; the id is the locator.

    `carried` holds all columns of the ledger but label, split and ref, with `scores` as a mapping and `sampled_params`
    and `generation_config` as JSON texts. `read` finds the bytes of kept samples in the run's dataset.
    """

    format = "run folder"

    def __init__(self, value: str, *, split: str | None = None) -> None:
        self.where = f"run {value}"
        self._root = existing_folder(value)
        self._split = split
        self.check_sound()
        with self._ledger() as ledger:
            missing = NEEDED - set(ledger.schema_arrow.names)
            self._classes = _classes(ledger.schema_arrow.metadata or {})
        if missing:
            raise SourceError(f"{self.where}: samples.parquet lacks {', '.join(sorted(missing))}", AGAIN)
        if dataset_root(self._root) is None:
            raise SourceError(f"{self.where}: its dataset is missing or unfinished", AGAIN)

    def check_sound(self) -> None:
        """Refuse a run that is unfinished, newer than this augforge, or whose record or ledger is damaged."""
        if not (self._root / "run.json").exists() and (self._root / "parts").is_dir():
            raise SourceError(f"{self.where}: the run has no finished result", "run the command that began it to go on")
        version = format_of(self._root)
        if version is not None and version > FORMAT:
            known = f"this augforge reads formats up to {FORMAT}"
            raise SourceError(f"{self.where}: it was written in format {version}, {known}", "update augforge")
        if version is None or version == FORMAT:
            try:
                check_ledger(self._root)
            except StoreError as error:
                raise SourceError(f"{self.where}: {error.message}", error.hint) from error

    def classes(self) -> list[str]:
        """The classes of the run, in its order."""
        return list(self._classes)

    def entries(self) -> Iterator[Entry]:
        """Every sample of the ledger, in its order."""
        yield from only(self._rows(), self._split, self.where)

    def fingerprint(self) -> str:
        """Changes whenever the run was written again."""
        names = filter(None, ("samples.parquet", dataset_root(self._root)))
        return files_fingerprint(self.where, self._root, names, self._split)

    def read(self, locator: str) -> bytes:
        """The bytes of a kept sample; a run does not keep those of dropped ones."""
        return self._dataset.read(self._place(locator))

    def read_picture(self, locator: str, name: str) -> bytes:
        """The bytes of a picture that goes with a kept sample."""
        return self._dataset.read_picture(self._place(locator), name)

    def keeps(self, locator: str) -> bool:
        """Whether the dataset holds a sample."""
        return self._at(locator) is not None

    def _at(self, locator: str) -> int | None:
        ids, _ = self._index
        wanted = locator.encode()
        at = int(ids.searchsorted(wanted))
        return None if at == len(ids) or ids[at] != wanted else at

    def _place(self, locator: str) -> str:
        """The row of the dataset that holds a sample."""
        if (at := self._at(locator)) is None:
            raise BadImage("the run kept no image of it")
        file, row = self._index[1][at]
        return f"{self._dataset.files[file]}#{row}"

    def _rows(self) -> Iterator[Entry]:
        with self._ledger() as ledger:
            for batch in ledger.iter_batches(CHUNK):
                for row in batch.to_pylist(maps_as_pydicts="strict"):
                    known = {name: value for name, value in row.items() if name not in ELSEWHERE}
                    pictures = parse_pictures(row.get("pictures"))
                    yield Entry(row["id"], row["label"], row["split"], row["digest"] or "", known, pictures=pictures)

    def _ledger(self) -> pq.ParquetFile:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(file_to_read(self._root / "samples.parquet"))
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self.where}: samples.parquet is missing or damaged: {error}", AGAIN) from error

    @cached_property
    def _dataset(self) -> Dataset:
        return Dataset(str(self._root / "dataset"))

    @cached_property
    def _index(self) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
        """(n,) the ids of the dataset, sorted, and (n, 2) the file and row of each. 36 bytes a sample."""
        import numpy as np

        columns = [self._dataset.column(file, "id") for file in self._dataset.files]
        ids = np.array([text.encode() for column in columns for text in column], dtype=np.bytes_)
        rows = [np.arange(len(column), dtype=np.int64) for column in columns]
        places = [np.stack([np.full(len(r), file), r], axis=1) for file, r in enumerate(rows)]
        order = ids.argsort()
        return ids[order], np.concatenate([np.zeros((0, 2), dtype=np.int64), *places])[order]


def _classes(metadata: Mapping[bytes, bytes]) -> list[str]:
    try:
        return [str(name) for name in json.loads(metadata[b"augforge"])["classes"]]
    except (KeyError, TypeError, ValueError):
        return []
