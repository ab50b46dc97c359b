"""Images that are of several classes, as one row for each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augforge.data.classes import is_soft
from augforge.data.ledger import Indices, Ledger

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Memberships:
    """Which of n images is of which class: m rows, those of an image side by side, in the order of the images.

    `rows` (m,) the image, `classes` (m,) its class, -1 without one; `shares` (m,) what it counts for the class, and
    `soft` (m,) whether that is the share of a soft label.
    """

    count: int
    rows: Indices
    classes: Indices
    shares: Scores
    soft: NDArray[np.bool_]

    def also(self) -> tuple[Indices, Indices]:
        """Pairs of a row and another class of its image, (q,) each, for images with several labels."""
        left, right = [], []
        starts = np.flatnonzero(np.diff(self.rows)) + 1
        for group in np.split(np.arange(len(self.rows)), starts):
            if len(group) > 1 and not self.soft[group[0]]:
                pairs = [(row, self.classes[other]) for row in group for other in group if row != other]
                left += [row for row, _ in pairs]
                right += [other for _, other in pairs]
        return np.array(left, dtype=np.int64), np.array(right, dtype=np.int64)

    def likeliest(self) -> tuple[Indices, Indices]:
        """Images and classes, of a soft label only the class with the largest share, the first of equal ones."""
        order = np.lexsort((np.arange(len(self.rows)), -self.shares, self.rows))
        first = np.ones(len(order), dtype=bool)
        first[1:] = np.diff(self.rows[order]) > 0
        keep = ~self.soft
        keep[order[first]] = True
        return self.rows[keep], self.classes[keep]

    def joined(self, scores: Scores, lower: bool) -> Scores:
        """(n,) what the scores (m,) of the rows come to: of several labels the best (the lowest if `lower`), of a soft
        label the mean weighted by the shares. Classes that have no score do not count; NaN if none has one.
        """
        known = ~np.isnan(scores)
        hard, soft = known & ~self.soft, known & self.soft
        best = np.full(self.count, np.nan)
        (np.fmin if lower else np.fmax).at(best, self.rows[hard], scores[hard])
        total, weight = np.zeros(self.count), np.zeros(self.count)
        np.add.at(total, self.rows[soft], (scores * self.shares)[soft])
        np.add.at(weight, self.rows[soft], self.shares[soft])
        return np.where(weight > 0, total / np.where(weight > 0, weight, 1), best)


def memberships_of(ledger: Ledger, indices: Indices) -> Memberships | None:
    """The classes of the images at `indices`; None where none has several labels or a soft label."""
    several = ledger.several(indices)
    if not several:
        return None
    number = {name: place for place, name in enumerate(ledger.classes)}
    found: list[tuple[int, int, float, bool]] = []
    for place, own in enumerate(ledger.class_index(indices).tolist()):
        if place not in several:
            found.append((place, own, 1.0, False))
            continue
        soft = is_soft(several[place])
        found += [(place, number.get(name, -1), share, soft) for name, share in several[place].items()]
    rows, classes, shares, softs = zip(*found, strict=True)
    return Memberships(
        len(indices), np.array(rows), np.array(classes), np.array(shares, dtype=np.float64), np.array(softs, dtype=bool)
    )
