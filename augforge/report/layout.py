"""Maps of the images: the vectors that the run stored, on their first two principal components, and by UMAP."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augforge.data.ids import unit
from augforge.data.store import Store
from augforge.engine.embedding import stored_vectors
from augforge.errors import AugforgeError
from augforge.optional import require
from augforge.recipe import Recipe

TASKS = ("image-text", "image-embedding")
NEIGHBOURS = 15
LEAST = 2 * NEIGHBOURS
"""Images below which UMAP has no neighbourhoods to keep."""
MOST = 5_000
"""Images that UMAP places, so that it takes a minute rather than ten."""
WIDE = 50
"""Principal components that UMAP is given: distances in the others are mostly noise, and cost time."""


@dataclass(frozen=True, slots=True)
class Umap:
    """Places by UMAP: `chosen` (u,) of the m samples of a layout, and `places` (u, 2)."""

    chosen: NDArray[np.int64]
    places: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layout:
    """Places of m samples: `rows` (m,) in the ledger, `places` (m, 2) on the two principal components, and both axes'
    shares of the variance; `umap` where that was asked for and there are enough of them."""

    model: str
    rows: NDArray[np.int64]
    places: NDArray[np.float32]
    explained: tuple[float, float]
    umap: Umap | None = None
    umap_asked: bool = False

    @property
    def without_umap(self) -> str:
        """Why there is no map by UMAP, where there is none."""
        if not self.umap_asked:
            return "it was not asked for (augforge report --umap)"
        return f"it needs {LEAST:,} images or more"


def layout_of(folder: Path, recipe: Recipe, digests: Sequence[str], umap: bool = False) -> Layout | None:
    """The map by the model of the recipe that has embedded most of the images; None if no vectors are stored.

    Args:
        folder: the run folder.
        recipe: whose models may have embedded something.
        digests: (n,) of the images, as in the ledger.
        umap: place them by UMAP, too, unless there are fewer than `LEAST`.
    """
    best = _embedded(folder, recipe, digests)
    if best is None or len(best[1]) < 3:
        return None
    name, rows, matrix = best
    layout = Layout(name, rows, *_projected(matrix), umap_asked=umap)
    if not umap or len(rows) < LEAST:
        return layout
    return replace(layout, umap=umap_of(matrix, [digests[row] for row in rows.tolist()]))


def _embedded(
    folder: Path, recipe: Recipe, digests: Sequence[str]
) -> tuple[str, NDArray[np.int64], NDArray[np.float32]] | None:
    """The model that has embedded most of the images, the rows (m,) of those, and their vectors (m, d)."""
    best: tuple[str, NDArray[np.int64], NDArray[np.float32]] | None = None
    for name, task in embedding_models(recipe):
        try:
            vectors = stored_vectors(name, task, Store(folder))
        except AugforgeError:  # a model that is no longer there has no vectors that could be found
            continue
        rows = np.flatnonzero(vectors.find(digests) >= 0)
        if len(rows) > (0 if best is None else len(best[1])):
            best = name, rows, vectors.matrix([digests[row] for row in rows.tolist()])
    return best


def embedding_models(recipe: Recipe) -> list[tuple[str, str]]:
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


def umap_of(vectors: NDArray[np.float32], digests: Sequence[str]) -> Umap:
    """Places of vectors (m, d), m >= LEAST, by UMAP (McInnes, Healy and Melville, 2018): neighbours stay neighbours.

    Of more than `MOST` vectors those whose digest has the lowest hash are placed. The same vectors are given the same
    places on the same machine.

    Raises:
        AugforgeError: umap-learn is not installed.
    """
    require("umap", who="a map by UMAP")
    import umap
    from sklearn.decomposition import PCA

    order = np.argsort([unit("umap", digest) for digest in digests], kind="stable")
    chosen = np.sort(order[:MOST]).astype(np.int64)
    reduced = vectors[chosen]
    if min(reduced.shape) > WIDE:
        reduced = PCA(n_components=WIDE, svd_solver="randomized", random_state=0).fit_transform(reduced)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of several unconnected groups, which the map shows anyway
        fitted = umap.UMAP(n_neighbors=NEIGHBOURS, min_dist=0.1, random_state=0, n_jobs=1).fit_transform(reduced)
    return Umap(chosen, np.asarray(fitted, dtype=np.float32))
