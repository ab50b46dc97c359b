"""Label conflicts: images that look the same and are labelled differently. They are listed, never lost in silence."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.duplicates.evidence import Rows
from augforge.algorithms.duplicates.groups import components
from augforge.algorithms.duplicates.pairs import Pairs
from augforge.engine.runners.candidates import Candidates, among

SCORE = "label-conflict"
LISTED = 10  # in the run's output; all are in the ledger


class Conflicts:
    """Collects the pairs (p, 2) of candidates that are near or equal and have different labels."""

    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates
        self._pairs: Pairs = np.zeros((0, 2), dtype=np.int64)

    def note(self, pairs: Pairs) -> NDArray[np.bool_]:
        """(p,) which of `pairs` are in conflict; they are remembered."""
        found = self._candidates.in_conflict(*pairs.T)
        if found.any():
            self._pairs = np.unique(np.concatenate([self._pairs, np.sort(pairs[found], axis=1)]), axis=0)
        return found

    def without(self, pairs: Pairs) -> Pairs:
        """`pairs` (p, 2) of near-duplicates without those of which neither goes; those in conflict are remembered.

        That is of two real images with different labels: one label is wrong, or the two are no duplicates, and nothing
        here can tell. A generated image still goes, and what leaks into an evaluation.
        """
        candidates, conflict = self._candidates, self.note(pairs)
        if candidates.stage.conflicts == "drop" or not conflict.any():
            return pairs
        goes = candidates.synthetic[pairs].any(axis=1) | candidates.evaluation[pairs].any(axis=1)
        open_: Pairs = pairs[~conflict | goes | self._share_a_label(*pairs.T)]
        return open_

    def _share_a_label(self, left: Rows, right: Rows) -> NDArray[np.bool_]:
        """(p,) whether a copy of one row has the label of the other one: then it is the copies that are in conflict.

        The rows (p,) and (p,) have different labels.
        """
        one, two = (self._candidates.codes[rows] for rows in (left, right))
        labels = self._candidates.labels
        return self._has(one, labels[right]) | self._has(two, labels[left])

    def _has(self, codes: Rows, labels: Rows) -> NDArray[np.bool_]:
        """(p,) whether one of several copies has this code and this label."""
        if not len(self._known):
            return np.zeros(len(codes), dtype=bool)
        return among(self._number(codes, labels), self._known)

    @cached_property
    def _known(self) -> Rows:
        """(k,) rising: the file and the label, as one number, of each row that has a copy."""
        codes, size = self._candidates.codes, self._candidates.size
        copied = np.flatnonzero(codes < size)
        known: Rows = np.sort(self._number(codes[copied], self._candidates.labels[copied]))
        return known

    def _number(self, codes: Rows, labels: Rows) -> Rows:
        return codes.astype(np.int64) * (len(self._candidates.ledger.classes) + 1) + labels

    def told(self, title: str) -> str:
        """Score the conflicts: a number that all images of one share; the line for the run's output, "" for none."""
        if not len(self._pairs):
            return ""
        ledger, indices = self._candidates.ledger, self._candidates.indices
        rows = np.unique(self._pairs)
        groups = components(self._candidates.size, [self._pairs])[rows]
        order = np.argsort(self._candidates.place_of_id[rows], kind="stable")
        _, first, which = np.unique(groups[order], return_index=True, return_inverse=True)
        numbers = np.argsort(np.argsort(first))[which] + 1  # 1 for the group of the smallest id, and so on
        ledger.score(SCORE, indices[rows[order]], numbers.astype(np.float64))
        shown = "; ".join(f"{self._name(a)} and {self._name(b)}" for a, b in self._pairs[:LISTED].tolist())
        more = f"; … {len(self._pairs) - LISTED} more" if len(self._pairs) > LISTED else ""
        count = "1 label conflict" if len(self._pairs) == 1 else f"{len(self._pairs)} label conflicts"
        return f"{title}: {count}, the same picture with different labels: {shown}{more}; see the score {SCORE!r}"

    def differing(self, title: str, copies: Pairs) -> str:
        """The line for the run's output of exact `copies` (p, 2) with other masks or annotations, "" for none."""
        ledger, indices = self._candidates.ledger, self._candidates.indices
        here = copies[(copies < len(indices)).all(axis=1)]
        rows = np.unique(here)
        columns = (ledger.column(name, indices[rows]) for name in ("pictures", "annotations"))
        said = dict(zip(rows.tolist(), zip(*columns, strict=True), strict=True))
        found = [(a, b) for a, b in here.tolist() if said[a] != said[b]]
        if not found:
            return ""
        shown = "; ".join(f"{self._file(a)} and {self._file(b)}" for a, b in found[:LISTED])
        more = f"; … {len(found) - LISTED} more" if len(found) > LISTED else ""
        one = len(found) == 1
        many = "1 pair of exact copies has" if one else f"{len(found)} pairs of exact copies have"
        return f"{title}: {many} different masks or annotations, of which one is kept: {shown}{more}"

    def _name(self, row: int) -> str:
        """The file, or the start of the id, and the class of a row."""
        return f"{self._file(row)} ({self._candidates.label(row)})"

    def _file(self, row: int) -> str:
        """The file of a row, or the start of its id."""
        candidates = self._candidates
        (source,) = candidates.ledger.column("source", candidates.indices[[row]])
        return str(source).rsplit(": ", 1)[-1] if source else candidates.id_of(row)[:8]
