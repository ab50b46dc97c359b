"""Choose the subset of a set of vectors that is worth keeping. Numbers in, numbers out: nothing here reads or writes.

`facility_location(features, budget=500, labels=labels)` answers a `Selection`: the rows to keep and their weights.
"""

from augforge.algorithms.selection.allocation import Allocation, budgets
from augforge.algorithms.selection.anchors import diverse_anchors
from augforge.algorithms.selection.centers import k_center
from augforge.algorithms.selection.certificate import Certificate, Curve, certify
from augforge.algorithms.selection.cover import facility_location
from augforge.algorithms.selection.influence import influences
from augforge.algorithms.selection.largest import largest
from augforge.algorithms.selection.matching import gradient_matching
from augforge.algorithms.selection.points import Similarity
from augforge.algorithms.selection.proxies import (
    columns,
    divergences,
    losses,
    outer_gram,
    outer_product,
    outer_products,
    softmax_residual,
)
from augforge.algorithms.selection.redundancy import least_redundant
from augforge.algorithms.selection.sampling import random_subset
from augforge.algorithms.selection.selection import Selection
from augforge.algorithms.selection.strategies import Method

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
    "gradient_matching",
    "influences",
    "k_center",
    "largest",
    "least_redundant",
    "losses",
    "outer_gram",
    "outer_product",
    "outer_products",
    "random_subset",
    "softmax_residual",
]
