"""How far two maps of soft edges agree: an F1 with a tolerance, and the structural similarity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Maps = NDArray[np.floating[Any]]
Scores = NDArray[np.float64]
WINDOW = 7
"""The side, in cells, of the squares that the structural similarity compares."""
FLOORS = (0.01**2, 0.03**2)
"""What keeps its two ratios finite where nothing is, for values in [0, 1] (Wang et al., 2004)."""


def edge_f1(maps: Maps, others: Maps, tolerance: int = 1) -> Scores:
    """(n,) in [0, 1]: the harmonic mean of the shares of either map's edges that the other has; 0 where one has none.

    `maps` and `others` (n, h, w) say in [0, 1] how surely an edge runs through each cell. An edge is found again as far
    as the other map has one within `tolerance` cells: of maps of 0 and 1 these are precision and recall as in
    `augforge.models.edges.edge_overlap`.
    """
    one, two = maps.astype(np.float64), others.astype(np.float64)
    precision = _found_again(one, _grown(two, tolerance))
    recall = _found_again(two, _grown(one, tolerance))
    both = precision + recall
    return np.divide(2 * precision * recall, both, out=np.zeros(len(one)), where=both > 0)


def structural_similarity(maps: Maps, others: Maps) -> Scores:
    """(n,) in [-1, 1]: the mean structural similarity (Wang et al., 2004) of squares of 7 x 7 cells of maps (n, h, w).

    1 for equal maps; squares that reach over the rim do not count.
    """
    one, two = maps.astype(np.float64), others.astype(np.float64)
    mean_one, mean_two = _means(one), _means(two)
    sample = WINDOW**2 / (WINDOW**2 - 1)  # of the unbiased variance
    var_one, var_two = (_means(one**2) - mean_one**2) * sample, (_means(two**2) - mean_two**2) * sample
    shared = (_means(one * two) - mean_one * mean_two) * sample
    light = (2 * mean_one * mean_two + FLOORS[0]) / (mean_one**2 + mean_two**2 + FLOORS[0])
    shape = (2 * shared + FLOORS[1]) / (var_one + var_two + FLOORS[1])
    scores: Scores = (light * shape).mean(axis=(1, 2))
    return scores


def _found_again(maps: Maps, grown: Maps) -> Scores:
    """(n,) which share of the edges the other, grown map has; 0 without edges."""
    total = maps.sum(axis=(1, 2))
    found = np.minimum(maps, grown).sum(axis=(1, 2))
    shares: Scores = np.divide(found, total, out=np.zeros(len(maps)), where=total > 0)
    return shares


def _grown(maps: Maps, by: int) -> Maps:
    side = 2 * by + 1
    grown: Maps = ndimage.maximum_filter(maps, (1, side, side), mode="constant")
    return grown


def _means(maps: Maps) -> Maps:
    """The means of all whole windows."""
    rim = WINDOW // 2
    means: Maps = ndimage.uniform_filter(maps, (1, WINDOW, WINDOW))[:, rim:-rim, rim:-rim]
    return means
