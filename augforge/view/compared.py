"""Two runs beside each other: what is in one and not in the other, and what is otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.view.index import Index
from augforge.view.rows import edges_of

Mask = NDArray[np.bool_]
BINS = 40
PIECE = 65_536


class Compared:
    """How the rows of `here` differ from those of `there`, by ids; `masks` (n,) each.

    `only-here`: not in the other ledger. `kept-here`, `kept-there`: in both, in the dataset of one. `changed`: kept in
    both with other bytes. `relabelled`: kept in both with another label.
    """

    def __init__(self, here: Index, there: Index) -> None:
        self.here, self.there = here, there
        rows = _rows_there(here, there)
        self.rows = rows
        known = rows >= 0
        kept = np.asarray(here.column("kept"))
        kept_there = np.zeros(len(here), dtype=bool)
        kept_there[known] = there.column("kept")[rows[known]]
        both = kept & kept_there
        self.masks: Mapping[str, Mask] = {
            "only-here": ~known,
            "kept-here": known & kept & ~kept_there,
            "kept-there": known & ~kept & kept_there,
            "changed": self._other_bytes(both),
            "relabelled": both & self._other_labels(rows),
        }

    def _other_labels(self, rows: NDArray[np.int64]) -> Mask:
        """(n,) whose label is another one there; of what is not there nothing is meant."""
        codes = np.array([self.there.code("label", name) for name in self.here.values["label"]] + [-1])
        mine, theirs = codes[self.here.column("label")], self.there.column("label")
        return np.asarray(mine != theirs[rows]) if len(theirs) else np.zeros(len(rows), dtype=bool)

    def _other_bytes(self, both: Mask) -> Mask:
        found = np.zeros(len(self.here), dtype=bool)
        for part in np.array_split(np.flatnonzero(both), max(1, -(-int(both.sum()) // PIECE))):
            mine = self.here.texts.take(part, ["digest"])
            theirs = self.there.texts.take(self.rows[part], ["digest"])
            found[part] = [a["digest"] != b["digest"] for a, b in zip(mine, theirs, strict=True)]
        return found

    def plain(self, names: tuple[str, str]) -> dict[str, Any]:
        """Counts, and the histograms of the scores that both have."""
        counts = {name: int(mask.sum()) for name, mask in self.masks.items()}
        counts["only-there"] = len(self.there) - int((self.rows >= 0).sum())
        sides = (self.here, self.there)
        return {
            "a": names[0],
            "b": names[1],
            "rows": [len(each) for each in sides],
            "kept": [int(each.column("kept").sum()) for each in sides],
            "counts": self._per_class(),
            "moved": counts,
            "histograms": [self._histogram(name) for name in self.here.scores if name in self.there.scores],
        }

    def _per_class(self) -> list[dict[str, Any]]:
        names = list(dict.fromkeys([*self.here.values["label"], *self.there.values["label"], None]))
        a, b = (_kept_of(each) for each in (self.here, self.there))
        rows = [{"label": name, "a": a.get(name, 0), "b": b.get(name, 0)} for name in names]
        return [row for row in rows if row["a"] or row["b"] or row["label"] is not None]

    def _histogram(self, name: str) -> dict[str, Any]:
        known = [each.score(name)[np.isfinite(each.score(name))] for each in (self.here, self.there)]
        both = np.concatenate(known)
        edges = edges_of(float(both.min()), float(both.max()), BINS) if len(both) else edges_of(0.0, 1.0, BINS)
        a, b = (np.histogram(scores, edges)[0].tolist() for scores in known)
        return {"score": name, "edges": edges.tolist(), "a": a, "b": b}


def _rows_there(here: Index, there: Index) -> NDArray[np.int64]:
    """(n,) where each sample lies in the other run, -1 where it is none of its."""
    ids = here.column("id")
    parts = [there.find([i.decode() for i in ids[s : s + PIECE].tolist()]) for s in range(0, len(ids), PIECE)]
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])


def _kept_of(index: Index) -> dict[str | None, int]:
    codes = index.column("label")[np.asarray(index.column("kept"))]
    size = len(index.values["label"])
    counts = np.bincount(codes % (size + 1), minlength=size + 1).tolist()
    return dict(zip([*index.values["label"], None], counts, strict=True))
