"""Choose the subset of a set of vectors that is worth keeping. Numbers in, numbers out: nothing here reads or writes.

`facility_location(features, budget=500, labels=labels)` answers a `Selection`: the rows to keep and their weights.
"""

from augforge.select.allocation import Allocation, budgets
from augforge.select.anchors import diverse_anchors
from augforge.select.centers import k_center
from augforge.select.certificate import Certificate, Curve, certify
from augforge.select.cover import facility_location
from augforge.select.largest import largest
from augforge.select.points import Similarity
from augforge.select.proxies import columns, divergences, losses, outer_gram, outer_product, softmax_residual
from augforge.select.roads import Method
from augforge.select.sampling import random_subset
from augforge.select.selection import Selection

__all__ = [
    "Allocation",
    "Certificate",
    "Curve",
    "Method",
    "Selection",
    "Similarity",
    "budgets",
    "certify",
    "columns",
    "divergences",
    "diverse_anchors",
    "facility_location",
    "k_center",
    "largest",
    "losses",
    "outer_gram",
    "outer_product",
    "random_subset",
    "softmax_residual",
]
