"""Fit the model of time by which facility location chooses between dense and sparse.

    OMP_NUM_THREADS=1 python benchmarks/selection_model.py

Prints the constants for `augforge/algorithms/selection/strategies.py`: the non-negative ones with the least relative
errors over a grid of rows, dimensions, neighbours and budgets, on the data of `selection.py`; and by which factor the
model is off. CPU seconds, the lesser of two runs each: other processes matter little. Cells in which sparse chose
twice, because lists had missed too many neighbours, are left out. About three minutes.
"""

from __future__ import annotations

import time
from itertools import product

import numpy as np
from scipy.optimize import nnls
from selection import budget_of, mixture

from augforge.algorithms.selection import facility_location
from augforge.algorithms.selection.strategies import terms

NAMES = "PRODUCT, LIST_PRODUCT, ENTRY, EVALUATION, ROW, COMPARED, NEIGHBOUR, UPDATE"
ROWS = (3000, 4000, 6000, 9000, 12000)
DIMS = (16, 128, 512)
SHARES = (0.01, 0.1, 0.5)
NEIGHBOURS = (100, 400)  # of the sparse method
CLUSTERS = 200


def seconds_of(method: str, n: int, d: int, budget: int, neighbours: int) -> float | None:
    """The CPU seconds of one selection, the lesser of two; None if it chose twice."""
    features, found = mixture(n, d, CLUSTERS), []
    for _ in range(2):
        start = time.process_time()
        selection = facility_location(features, budget, method=method, neighbours=neighbours)
        found.append(time.process_time() - start)
        if any("missed in lists" in note for note in selection.notes):
            return None
    return min(found)


def main() -> None:
    """Measure every cell, fit, and print."""
    cells = [("dense", *cell) for cell in product(ROWS, DIMS, SHARES, NEIGHBOURS[:1])]
    cells += [("sparse", *cell) for cell in product(ROWS, DIMS, SHARES, NEIGHBOURS)]
    relative = []
    for method, n, d, share, neighbours in cells:
        sizes = (n, d, budget_of(n, share), neighbours)
        if (seconds := seconds_of(method, *sizes)) is not None:
            relative.append(np.array(terms(method, *sizes)) / seconds)
    table = np.array(relative)
    constants, _ = nnls(table, np.ones(len(table)))
    off = np.exp(np.abs(np.log(table @ constants)))
    print(f"{NAMES} = {', '.join(f'{1e9 * value:.3g}' for value in constants)}")
    print(
        f"{len(table)} of {len(cells)} cells, off by a factor of {np.median(off):.2f} (median), {off.max():.2f} (most)"
    )


if __name__ == "__main__":
    main()
