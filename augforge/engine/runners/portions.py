"""Pairs whose hashes are near, in portions of a size that an engine compares at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from augforge.algorithms.duplicates.evidence import Rows
from augforge.algorithms.duplicates.pairs import Block, Tell, pair_blocks
from augforge.engine.runners.candidates import Candidates
from augforge.engine.runners.comparisons import AT_ONCE


def portions_of(candidates: Candidates, rows: Rows, tell: Tell) -> Iterator[Block]:
    """Pairs (p, 2) of `rows` whose hashes are near and that may be evidence, and in how many bits they differ (p,).

    Many at a time, as they are compared by an engine. `tell` hears how far the portions before are.
    """
    shares, held, count = [0.0], [], 0
    blocks = pair_blocks(candidates.hashes[rows], candidates.distance, flips=candidates.stage.flips, tell=shares.append)
    for found, bits in _in_parts(blocks):
        pairs = rows[found]
        good = candidates.comparable(pairs)
        held.append((pairs[good], bits[good]))
        count += len(held[-1][0])
        if count >= AT_ONCE:
            yield np.concatenate([pairs for pairs, _ in held]), np.concatenate([bits for _, bits in held])
            tell(shares[-1])
            held, count = [], 0
    if held:
        yield np.concatenate([pairs for pairs, _ in held]), np.concatenate([bits for _, bits in held])
    tell(1.0)


def _in_parts(blocks: Iterable[Block]) -> Iterator[Block]:
    """The same pairs, at most `AT_ONCE` at a time."""
    for pairs, bits in blocks:
        for start in range(0, len(pairs), AT_ONCE):
            yield pairs[start : start + AT_ONCE], bits[start : start + AT_ONCE]
