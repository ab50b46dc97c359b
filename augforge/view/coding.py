"""Columns of few different texts as numbers, taken in batch by batch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Codes = NDArray[np.int32]

PARTICULAR = re.compile(r"\b[0-9a-f]{8,64}\b|[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
"""What of a reason holds for one sample alone: the id of another one, a number."""


class Coder:
    """The codes of a column that grows: the place of each text in `values`, -1 for null.

    Args:
        first: values that come before all others, in this order.
        kind: what stands for a text, if it is not the text itself.
    """

    def __init__(self, first: Iterable[str] = (), kind: Callable[[str], str] = str) -> None:
        self._places = {value: place for place, value in enumerate(first)}
        self._kind = kind
        self._codes: list[Codes] = []

    def add(self, column: pa.Array) -> None:
        """Take in the next rows."""
        coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        known = [self._place(text) for text in coded.dictionary.to_pylist()]
        places = np.array([*known, -1], dtype=np.int32)
        self._codes.append(places[np.asarray(coded.indices.fill_null(len(known)))])

    def _place(self, text: str | None) -> int:
        return -1 if text is None else self._places.setdefault(self._kind(text), len(self._places))

    def done(self, by: Callable[[str], object] | None = None) -> tuple[list[str], Codes]:
        """The values, sorted `by` a key if one is given, and the (n,) codes of all rows."""
        codes = np.concatenate([np.zeros(0, dtype=np.int32), *self._codes])
        values = list(self._places)
        if by is None:
            return values, codes
        ordered = sorted(values, key=by)  # type: ignore[arg-type]
        places = {value: place for place, value in enumerate(ordered)}
        moved = np.array([*(places[value] for value in values), -1], dtype=np.int32)
        return ordered, moved[codes]


def kind_of(reason: str) -> str:
    """A reason without what holds for one sample alone: "near-duplicate of …", "clip-prompt: under …"."""
    return PARTICULAR.sub("…", reason)


def by_number(title: str) -> tuple[int, int, str]:
    """The key that puts titles of stages into their order: the source, the stages by their numbers, then others."""
    number = title.partition("-")[0]
    if title == "source":
        return 0, 0, title
    return (1, int(number), title) if number.isdecimal() else (2, 0, title)
