"""Leaks: images to train on that are, byte for byte or nearly, images of the test set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.duplicates.closer import DIFFERENT
from augforge.algorithms.duplicates.crops import SLIGHTLY
from augforge.algorithms.duplicates.hashes import SIDE, Hashes
from augforge.algorithms.duplicates.pairs import against
from augforge.data.ledger import Indices, Ledger
from augforge.data.parts import Parts
from augforge.data.store import Store
from augforge.engine.engines.local import Local
from augforge.engine.pixels import located
from augforge.engine.rows import look_at, without_rows
from augforge.engine.runners.candidates import Hashing, look_parts
from augforge.engine.runners.comparisons import ByDigest, Comparisons
from augforge.engine.runners.overlaps import plain_ones
from augforge.engine.work import Place
from augforge.errors import AugforgeError
from augforge.evaluate.heldout import HeldOut
from augforge.progress import Progress

NEAR, ALIKE = 4, 0.95
"""Two images are the same to us if their hashes differ in no more bits than NEAR and they correlate at least ALIKE.

Handwritten digits of two people come as near as 2 bits and a correlation of 0.94; copies that were saved again do not
go below 0.95. Plain pictures must also have the same colours, see `closer`.
"""
NAMED = 3


@dataclass(frozen=True, slots=True)
class Leak:
    """A sample to train on (`row` of the run's ledger) that is the image `place` of the test set; `bits` 0 to NEAR."""

    row: int
    place: int
    bits: int
    exact: bool


def refuse_leaks(ledger: Ledger, rows: Indices, pixels: Any, test: HeldOut, store: Store, progress: Progress) -> None:
    """AugforgeError, naming images, if one of the samples at `rows` (n,) is an image of the test set."""
    found = find_leaks(ledger, rows, pixels, test, store, progress)
    if not found:
        return
    count = len({leak.row for leak in found})
    named = "; ".join(_named(leak, ledger, test) for leak in found[:NAMED])
    raise AugforgeError(
        f"{count} of {len(rows)} images to train on are in the test set {test.source}: {named}"
        + ("; …" if len(found) > NAMED else ""),
        f"drop them first: augforge filter duplicates SOURCE --against {test.source} --out DIR, "
        f"or `- {{filter: duplicates, against: {test.source}}}` in the recipe before anything is made",
    )


def find_leaks(
    ledger: Ledger, rows: Indices, pixels: Any, test: HeldOut, store: Store, progress: Progress
) -> list[Leak]:
    """Every pair of an image to train on and an image of the test set that are the same, exact copies first."""
    parts = look_parts(store)
    _look(ledger, rows, pixels, parts, progress)
    _look(test.ledger, test.rows, test.pixels, parts, progress)
    mine, theirs = ledger.column("digest", rows), test.ledger.column("digest", test.rows)
    images = ByDigest((test.ledger, test.pixels), (ledger, pixels))
    comparisons = Comparisons(store, parts, images, Local(), flips=False)
    leaks = [*_copies(rows, mine, theirs), *_near_copies(rows, mine, theirs, parts, comparisons)]
    return sorted(leaks, key=lambda leak: (not leak.exact, leak.bits, leak.row, leak.place))


def _copies(rows: Indices, mine: Sequence[str], theirs: Sequence[str]) -> list[Leak]:
    """The pairs with the same digest; of each image to train on the first."""
    places: dict[str, int] = {digest: place for place, digest in reversed(list(enumerate(theirs)))}
    return [Leak(int(row), places[d], 0, True) for row, d in zip(rows, mine, strict=True) if d in places]


def _near_copies(
    rows: Indices, mine: Sequence[str], theirs: Sequence[str], parts: Parts, comparisons: Comparisons
) -> Iterator[Leak]:
    """The pairs that look the same and have different digests."""
    seen = [np.flatnonzero(parts.find(digests) >= 0).tolist() for digests in (mine, theirs)]
    left_of, right_of = [mine[i] for i in seen[0]], [theirs[i] for i in seen[1]]
    pairs, bits = against(_hashes(parts, left_of), _hashes(parts, right_of), NEAR)
    places = [(left, right) for left, right in pairs.tolist()]
    same = _same([left_of[left] for left, _ in places], [right_of[right] for _, right in places], parts, comparisons)
    for (left, right), apart, alike in zip(places, bits.tolist(), same.tolist(), strict=True):
        if alike and left_of[left] != right_of[right]:
            yield Leak(int(rows[seen[0][left]]), seen[1][right], apart, False)


def _same(left: Sequence[str], right: Sequence[str], parts: Parts, comparisons: Comparisons) -> NDArray[np.bool_]:
    """(p,) which pictures of near hashes correlate and, where one is plain, are not told apart by their colours."""
    same = comparisons.overlapping(left, right, ALIKE, SIDE)
    near = np.flatnonzero(same)
    one, other = ([side[place] for place in near.tolist()] for side in (left, right))
    doubtful = plain_ones(parts, one) | plain_ones(parts, other)
    near = near[doubtful]
    one, other = ([side[place] for place in near.tolist()] for side in (left, right))
    found = comparisons.differences(one, other, SLIGHTLY)
    same[near] = (found <= DIFFERENT) | np.isinf(found)  # what cannot be looked at may be a leak
    return same


def _look(ledger: Ledger, rows: Indices, pixels: Any, parts: Parts, progress: Progress) -> None:
    """Hash and shrink what no one has looked at; an image that cannot be read leaks nothing here."""
    todo = without_rows(ledger, rows, parts)
    refused = look_at(Hashing(), ledger, todo, parts, Place(pixels, "cpu", progress))
    for sample in located(ledger, todo) if refused.dropped else ():
        if why := refused.dropped.get(sample.digest):
            progress.say(f"{sample.id}: {why}")


def _hashes(parts: Parts, digests: Sequence[str]) -> Hashes:
    """(n,) the hashes of `digests`."""
    if not digests:
        return np.zeros(0, dtype=np.uint64)
    found: Hashes = parts.take(digests, ["hash"]).column("hash").to_numpy()
    return found


def _named(leak: Leak, ledger: Ledger, test: HeldOut) -> str:
    (sample,) = ledger.samples(np.array([leak.row]))
    (other,) = test.ledger.samples(test.rows[[leak.place]])
    how = "exactly" if leak.exact else f"nearly, {leak.bits} bits apart"
    return f"{sample.source or f'{sample.origin} {sample.id}'} is {other.source or other.id} ({how})"
