"""What lies in a run folder: its dataset, ledger, lock and counts, read when they are asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from augforge.api.shown import table
from augforge.data.places import folder_to_read
from augforge.data.record import AGAIN, FORMAT, LEDGER, format_of, no_run
from augforge.errors import StoreError

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

    from augforge.engine.run import Summary


class RunContents:
    """A run folder, as far as it can be looked at without computing anything."""

    def __init__(self, folder: str | os.PathLike[str], *, summary: Summary | None = None) -> None:
        self.folder = folder_to_read(folder)
        self._summary = summary
        if not (self.folder / LEDGER).is_file():
            raise no_run(self.folder)
        version = format_of(self.folder)
        if version not in (None, FORMAT):
            known = f"this augforge reads format {FORMAT}"
            raise StoreError(f"{self.folder} was written in format {version}, {known}", "run its recipe again")

    @property
    def summary(self) -> Summary:
        """What the run did: images kept and dropped, by class and reason; `work`, stage by stage, if it ran just now.

        Raises:
            StoreError: the run has not ended.
        """
        if self._summary is not None:
            return self._summary
        from augforge.data.store import Store
        from augforge.engine.run import Summary

        state = Store(self.folder).state()
        if "summary" not in state:
            raise StoreError(f"the run in {self.folder} has no finished result", "run its recipe again to go on")
        return Summary(**{**state["summary"], "out": str(self.folder), "work": [], "up_to_date": True})

    @property
    def dataset(self) -> datasets.Dataset | datasets.DatasetDict:
        """The kept images as a Hugging Face dataset; where there are splits, a `DatasetDict` of them."""
        from datasets import load_from_disk

        from augforge.io.run import dataset_root

        if dataset_root(self.folder) is None:
            raise StoreError(f"the dataset of {self.folder} is missing or unfinished", AGAIN)
        return load_from_disk(str(self.folder / "dataset"))

    @property
    def ledger(self) -> pa.Table:
        """Every image that the run ever saw, kept or dropped, as an Arrow table; docs/format.md has its columns."""
        return self._read(None)

    @property
    def classes(self) -> list[str]:
        """The classes, in their order."""
        found = json.loads((self._read(["id"]).schema.metadata or {}).get(b"augforge", b"{}"))
        return [str(name) for name in found.get("classes", [])]

    @property
    def lock(self) -> dict[str, Any]:
        """What the result depends on, and what it is: recipe, sources, models, versions, counts and digests."""
        from augforge.provenance.lock import NAME, read_lock

        return read_lock(self.folder / NAME)

    def _read(self, columns: Sequence[str] | None) -> pa.Table:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.folder / LEDGER
        try:
            return pq.read_table(path, columns=None if columns is None else list(columns))
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{path} cannot be read: {error}", AGAIN) from error

    def _counts(self) -> tuple[dict[str, list[float]], list[int]]:
        """Of each class: real and synthetic images that were kept, and dropped ones, as far as expected; and of all.

        "" stands for no class.
        """
        import pyarrow.compute as pc

        from augforge.data.classes import several_in, table_counts

        rows = self._read(["label", "annotations", "origin", "kept"])
        real, kept = pc.equal(rows.column("origin"), "real"), rows.column("kept")
        chosen = (pc.and_(real, kept), pc.and_(pc.invert(real), kept), pc.invert(kept))
        parts = [rows.filter(mask) for mask in chosen]
        met = (label for label in rows.column("label").unique().to_pylist() if label is not None)
        classes = list(dict.fromkeys([*self.classes, *met]))
        counted = [table_counts(part, classes) for part in parts]
        counts = {label: [part[label] for part in counted] for label in classes}
        without: list[float] = [part.column("label").null_count - len(several_in(part)) for part in parts]
        return {**counts, **({"": without} if any(without) else {})}, [len(part) for part in parts]

    def __repr__(self) -> str:
        counts, (real, synthetic, dropped) = self._counts()
        classes = len([label for label in counts if label])
        kept = f"{real + synthetic:,} images kept ({synthetic:,} synthetic), {dropped:,} dropped"
        return f"<Run {str(self.folder)!r}: {kept}, {classes} classes>"

    def _repr_html_(self) -> str:
        counts, total = self._counts()
        rows = [["all", *total], *([label or "(no class)", *count] for label, count in counts.items())]
        return table(["class", "real", "synthetic", "dropped"], rows, f"run {self.folder}")
