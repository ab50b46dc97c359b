"""Choose the subset of a set of vectors that is worth keeping. Numbers in, numbers out: nothing here reads or writes.

`facility_location(features, budget=500, labels=labels)` answers a `Selection`: the rows to keep and their weights.
"""

from augforge.select.allocation import Allocation, budgets
from augforge.select.centers import k_center
from augforge.select.cover import Method, facility_location
from augforge.select.points import Similarity
from augforge.select.sampling import random_subset
from augforge.select.selection import Selection

__all__ = [
    "Allocation",
    "Method",
    "Selection",
    "Similarity",
    "budgets",
    "facility_location",
    "k_center",
    "random_subset",
]
