"""A map of the images: the vectors that the run stored, projected on their first two principal components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augforge.data.store import Store
from augforge.engine.embedding import stored_vectors
from augforge.errors import AugforgeError
from augforge.recipe import Recipe

TASKS = ("image-text", "image-embedding")
WIDE = 2048


@dataclass(frozen=True, slots=True)
class Layout:
    """Places of m samples: `rows` (m,) in the ledger, `places` (m, 2), and both axes' shares of the variance."""

    model: str
    rows: NDArray[np.int64]
    places: NDArray[np.float32]
    explained: tuple[float, float]


def layout_of(folder: Path, recipe: Recipe, digests: Sequence[str]) -> Layout | None:
    """The map by the model of the recipe that has embedded most of the images; None if no vectors are stored.

    Args:
        folder: the run folder.
        recipe: whose models may have embedded something.
        digests: (n,) of the images, as in the ledger.
    """
    best: tuple[str, NDArray[np.int64], NDArray[np.float32]] | None = None
    for name, task in _models(recipe):
        try:
            vectors = stored_vectors(name, task, Store(folder))
        except AugforgeError:  # a model that is no longer there has no vectors that could be found
            continue
        rows = np.flatnonzero(vectors.find(digests) >= 0)
        if len(rows) > (0 if best is None else len(best[1])):
            best = name, rows, vectors.matrix([digests[row] for row in rows.tolist()])
    if best is None or len(best[1]) < 3:
        return None
    places, explained = _projected(best[2])
    return Layout(best[0], best[1], places, explained)


def _models(recipe: Recipe) -> list[tuple[str, str]]:
    """The embedding models that the stages name, each once."""
    named = [(name, task) for stage in recipe.stages for name, task in stage.models() if task in TASKS]
    return list(dict.fromkeys(named))


def _projected(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """(m, 2) the vectors (m, d) on their two axes of largest variance, and the shares of those."""
    from sklearn.decomposition import PCA

    pca = PCA(
        n_components=2, svd_solver="covariance_eigh" if vectors.shape[1] <= 2048 else "randomized", random_state=0
    )
    places: NDArray[np.float32] = pca.fit_transform(vectors).astype(np.float32)
    first, second = (float(share) for share in np.nan_to_num(pca.explained_variance_ratio_))
    return places, (first, second)
