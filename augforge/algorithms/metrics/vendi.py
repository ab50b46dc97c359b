"""The Vendi score: how many different images a set is worth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def vendi_score(vectors: NDArray[np.floating]) -> float:
    """exp of the entropy of the eigenvalues of K / n, K the cosines of (n, d): 1 where all are alike, n if orthogonal.

    At most min(n, d). Friedman & Dieng, TMLR 2023, arXiv 2210.02410. K / n has the eigenvalues of V'V / n, (d, d).

    Raises:
        ValueError: there is no vector, or one of length 0.
    """
    rows = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not len(rows) or not lengths.all():
        raise ValueError(f"{len(rows)} vectors, some of length 0: they have no cosines")
    unit = rows / lengths
    small = unit @ unit.T if len(unit) <= unit.shape[1] else unit.T @ unit
    values = np.linalg.eigvalsh(small / len(unit))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))
