"""Ids, seeds and random numbers, all from hashes of content: never from position or a global generator."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

CHUNK = 1024  # items that are made to text together
ID_LENGTH = 20  # hex digits, 80 bits: under 1e-6 chance of a clash among a billion samples


def canonical(value: Any) -> str:
    """`value` as JSON with sorted keys: the same text for the same content, on every machine."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def key(*parts: Any) -> str:
    """A stable id of JSON-like `parts`: 20 hex digits of their SHA-256.

    A part that is an iterator, or one of iterators, counts as the list of what it gives, and need not fit in memory.
    """
    if not any(isinstance(part, Iterator) for part in parts):
        return hashlib.sha256(canonical(parts).encode()).hexdigest()[:ID_LENGTH]
    hashed = hashlib.sha256()
    for text in _list_text(iter(parts)):
        hashed.update(text.encode())
    return hashed.hexdigest()[:ID_LENGTH]


def _list_text(items: Iterator[Any]) -> Iterator[str]:
    """The canonical text of the list of `items`, piece by piece."""
    before = "["
    while chunk := list(islice(items, CHUNK)):
        for some, group in groupby(chunk, key=lambda item: isinstance(item, Iterator)):
            if not some:
                yield before + canonical(list(group))[1:-1]
                before = ","
                continue
            for item in group:
                yield before
                yield from _list_text(item)
                before = ","
    yield "[]" if before == "[" else "]"


def seed_of(identity: str) -> int:
    """The seed that belongs to an id: an integer in [0, 2**63)."""
    return int.from_bytes(hashlib.sha256(f"seed:{identity}".encode()).digest()[:8], "big") >> 1


def unit(*parts: Any) -> float:
    """A number in [0, 1) decided by `parts` alone; smaller thresholds pick subsets of larger ones."""
    return int(hashlib.sha256(canonical(parts).encode()).hexdigest()[:13], 16) / 16**13


def rng(seed: int, purpose: str = "") -> np.random.Generator:
    """A NumPy generator for one image and one purpose, so that sampling one more parameter never changes the others."""
    import numpy as np

    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))
