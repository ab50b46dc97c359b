"""Of which classes an image is, and how many images a class is expected to have.

An image with one label counts for that class alone. One with several labels counts one for each of them, one with a
soft label for each class as much as that class's share: so the number of a class is the expected number of images that
show it. An image with a label and several labels or a soft label is of its one label.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from augforge.data.annotations import check_annotations, parse_annotations
from augforge.data.sample import is_evaluation

Shares = Mapping[str, float]
"""The classes of an image, each with what the image counts for it, in (0, 1]."""
DIGITS = 3
"""Decimals of an expected number of images."""


def shares_of(label: str | None, annotations: Mapping[str, Any]) -> dict[str, float]:
    """The classes of an image: of its label, else of its several labels, else of its soft label; {} without any."""
    if label is not None:
        return {label: 1.0}
    if annotations.get("labels"):
        return dict.fromkeys(annotations["labels"], 1.0)
    return {name: float(share) for name, share in (annotations.get("soft_label") or {}).items() if share > 0}


def one_label(label: str | None, annotations: Mapping[str, Any]) -> str | None:
    """The label of an image: its own one, or the only class that its annotations name."""
    shares = shares_of(label, annotations)
    return next(iter(shares)) if len(shares) == 1 else label


def said_labels(annotations: Mapping[str, Any]) -> dict[str, Any]:
    """What unchecked annotations of a source say of several labels and a soft label, as far as it can be used."""
    said = {name: annotations[name] for name in ("labels", "soft_label") if annotations.get(name)}
    return check_annotations(said, (1, 1))[0] if said else {}


def is_soft(shares: Shares) -> bool:
    """Whether the shares are those of a soft label, not of several labels."""
    return any(share < 1 for share in shares.values())


def expected_counts(
    labels: Mapping[str | None, int], several: Iterable[Shares], classes: Sequence[str]
) -> dict[str, float]:
    """How many images of each of `classes` are expected, whole numbers as such.

    Args:
        labels: how many images have each as their one label.
        several: the shares of those images that have several labels or a soft label.
        classes: what to count.
    """
    terms: dict[str, list[float]] = {name: [] for name in classes}
    for shares in several:
        for name, share in shares.items():
            if name in terms:
                terms[name].append(share)
    return {name: plain(labels.get(name, 0) + math.fsum(terms[name])) for name in classes}


def plain(number: float) -> float:
    """A number of images as people read it: 3 decimals, and no point where there is nothing behind it."""
    rounded = round(number, DIGITS)
    return int(rounded) if rounded == int(rounded) else rounded


def filed_under(shares: Shares, counts: Mapping[str, float]) -> str | None:
    """The one class under which an image is filed where each can be counted once: of several labels the rarest by
    `counts`, of a soft label the most probable; of equals the one that `counts` names first. None without a class.
    """
    if not shares:
        return None
    order = {name: place for place, name in enumerate(counts)}
    soft = is_soft(shares)
    return min(shares, key=lambda name: (-shares[name] if soft else counts.get(name, 0), order.get(name, len(order))))


def filed_labels(rows: pa.Table, classes: Sequence[str]) -> list[str | None]:
    """(n,) the class under which each row of a whole ledger is filed; see `Ledger.filed_under`."""
    labels: list[str | None] = rows.column("label").to_pylist()
    several = several_in(rows)
    if several:
        splits, origins = rows.column("split").to_pylist(), rows.column("origin").to_pylist()
        real = [o == "real" and not is_evaluation(s) for o, s in zip(origins, splits, strict=True)]
        counts = table_counts(rows.filter(pa.array(real)), classes)
        for place, shares in several.items():
            labels[place] = filed_under(shares, counts)
    return labels


def table_counts(rows: pa.Table, classes: Sequence[str]) -> dict[str, float]:
    """How many images of each of `classes` are expected among rows of a ledger."""
    return expected_counts(Counter(rows.column("label").to_pylist()), several_in(rows).values(), classes)


def several_in(rows: pa.Table) -> dict[int, dict[str, float]]:
    """The shares of those rows of a ledger that have several labels or a soft label, by their places."""
    if "annotations" not in rows.column_names:
        return {}  # an earlier version's
    said = pc.match_substring_regex(rows.column("annotations"), '"(labels|soft_label)":')
    places = np.flatnonzero(np.asarray(pc.and_(pc.is_null(rows.column("label")), pc.fill_null(said, False))))
    texts = rows.column("annotations").take(pa.array(places)).to_pylist()
    found = {int(place): shares_of(None, parse_annotations(text)) for place, text in zip(places, texts, strict=True)}
    return {place: shares for place, shares in found.items() if shares}


class Several:
    """The shares of the rows of a growing ledger, of which each is looked at once."""

    def __init__(self) -> None:
        self._known: dict[int, dict[str, float]] = {}
        self._looked = 0

    def copy(self) -> Several:
        """What is known so far, for a ledger that is put back to what it was."""
        made = Several()
        made._known, made._looked = dict(self._known), self._looked
        return made

    def of(self, count: int, rows_from: Callable[[int], Iterable[pa.Table]]) -> dict[int, dict[str, float]]:
        """By the places of all `count` rows that have several labels or a soft label, less those labelled since.

        `rows_from` gives the columns `label` and `annotations` of the rows from a place on, some at a time.
        """
        start, self._looked = self._looked, count
        for rows in rows_from(start) if start < count else ():
            self._known |= {start + place: shares for place, shares in several_in(rows).items()}
            start += rows.num_rows
        return self._known
