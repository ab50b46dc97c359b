"""Near-duplicates: perceptual hashes, the pairs of them that are close, and what hangs together through pairs.

    hashes = hash_many(files)                           # (n,) uint64; 0 has no structure to compare
    pairs, distances = near_pairs(hashes, 6, flips=True)
    groups = groups_of(hashes, ids, 6)                  # (n,) the smallest id of each one's group
    splits = split_by_group(ids, groups, labels, {"test": 0.2})

Importing this package loads neither Pillow, SciPy nor anything larger.
"""

from augforge.algorithms.duplicates.groups import components, groups_of
from augforge.algorithms.duplicates.hashes import (
    NO_STRUCTURE,
    canonical,
    hash_bytes,
    hash_many,
    mirrored,
    phash,
    structure,
)
from augforge.algorithms.duplicates.pairs import against, near_pairs, pair_blocks
from augforge.algorithms.duplicates.split import split_by_group

__all__ = [
    "NO_STRUCTURE",
    "against",
    "canonical",
    "components",
    "groups_of",
    "hash_bytes",
    "hash_many",
    "mirrored",
    "near_pairs",
    "pair_blocks",
    "phash",
    "split_by_group",
    "structure",
]
