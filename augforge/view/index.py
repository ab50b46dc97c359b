"""The columns of a run as the server works with them: mapped from the cache, a few bytes of each sample in memory."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.report.outcomes import OUTCOMES
from augforge.view.build import HAS, built, revision_of
from augforge.view.stored import Stored

Rows = NDArray[np.int64]


class Index:
    """The samples of the run in `folder`, as rows 0 to n - 1 in the order of its ledger, for one `revision` of it.

    Raises:
        StoreError: there is no ledger, or it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.revision = revision_of(folder)
        self._place = built(folder)
        meta = json.loads((self._place / "meta.json").read_bytes())
        self.rows: int = meta["rows"]
        self.classes: list[str] = meta["classes"]
        self.values: dict[str, list[str]] = {**meta["values"], "outcome": list(OUTCOMES), "annotation": list(HAS)}
        self.score_facts: list[dict[str, Any]] = meta["scores"]
        self._scores = {facts["name"]: place for place, facts in enumerate(self.score_facts)}
        self._columns = {_name(self._place, path): np.load(path, mmap_mode="r") for path in self._place.rglob("*.npy")}
        self.texts = Stored(self._place / "rows.arrow")

    def __len__(self) -> int:
        return self.rows

    def column(self, name: str) -> NDArray[Any]:
        """(n,) a column of numbers or codes, mapped."""
        found: NDArray[Any] = self._columns[name]
        return found

    def score(self, name: str) -> NDArray[np.float64]:
        """(n,) a measure, NaN where it is not known. KeyError if the run has no such score."""
        return self.column(f"scores/{self._scores[name]}")

    @property
    def scores(self) -> list[str]:
        """The names of the measures."""
        return list(self._scores)

    def code(self, column: str, value: str | None) -> int:
        """The code of a text in a coded column: -1 for None, -2 for one that does not occur."""
        if value is None:
            return -1
        return self._places[column].get(value, -2)

    def text(self, column: str, code: int) -> str | None:
        """The text of a code."""
        return None if code < 0 else self.values[column][code]

    @cached_property
    def _places(self) -> dict[str, dict[str, int]]:
        return {name: {value: place for place, value in enumerate(each)} for name, each in self.values.items()}

    def identity(self, row: int) -> str:
        """The id of a row."""
        return str(self.column("id")[row].decode())

    def starting_with(self, beginning: str) -> Rows:
        """The rows whose id begins so, in the order of the ids."""
        if not beginning or not beginning.isascii():
            return np.zeros(0, dtype=np.int64)
        ids, low = self._sorted_ids, beginning.encode()
        start, stop = np.searchsorted(ids, low), np.searchsorted(ids, low + b"\xff")
        return np.asarray(self.column("id_order")[start:stop]).astype(np.int64)

    def find(self, ids: list[str]) -> Rows:
        """(m,) the row of each id, -1 where there is none."""
        wide = self.column("id").dtype.itemsize
        usable = [identity if identity.isascii() and len(identity) <= wide else "" for identity in ids]
        wanted = np.array([identity.encode() for identity in usable], dtype=f"S{wide}")
        if not self.rows or not len(wanted):
            return np.full(len(wanted), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self._sorted_ids, wanted), self.rows - 1)
        rows = np.asarray(self.column("id_order")[at]).astype(np.int64)
        rows[(self._sorted_ids[at] != wanted) | (wanted == b"")] = -1
        return rows

    @cached_property
    def _sorted_ids(self) -> NDArray[np.bytes_]:
        ids: NDArray[np.bytes_] = self.column("id")[self.column("id_order")]
        return ids

    def parents_of(self, row: int) -> Rows:
        """The parents of a row that are in the ledger, each once, in order."""
        starts = self.column("parent_starts")
        found = self.column("parents")[int(starts[row]) : int(starts[row + 1])].tolist()
        return np.array(list(dict.fromkeys(found)), dtype=np.int64)

    def children_of(self, row: int) -> Rows:
        """The rows that were conditioned on one, rising."""
        starts = self.column("child_starts")
        return np.asarray(self.column("children")[int(starts[row]) : int(starts[row + 1])]).astype(np.int64)


def _name(place: Path, path: Path) -> str:
    """What a column is called, by its file; all are opened at once, as another server may build new ones."""
    return path.relative_to(place).with_suffix("").as_posix()
