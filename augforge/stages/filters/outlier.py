"""Outlier: is the image unlike the others of its class?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from augforge.data.ids import unit
from augforge.stages.filter import EmbeddingFilter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.stages.filter_inputs import FilterInputs, Numbers, Vectors

ROWS = 1024
"""Images compared at a time: with it, the memory depends on the size of the reference and not on how many there are."""


class Outlier(EmbeddingFilter):
    """Keep the images that resemble other real images of their class.

    The mutual scoring of MuSc (Li et al., 2024) on whole-image vectors: the score of an image is the mean of the lowest
    30 % of its distances to the others. MuSc scores every patch and takes the largest score, which needs the patch
    tokens of a vision transformer; on whole images it finds anomalous images, not anomalous regions. Its re-scoring by
    similar images is left out. It assumes that normal images are similar: in a diverse class keep a large share.

    `outlier` is that mean of Euclidean distances of unit vectors, in [0, 2], and less is better. The others are at
    most `reference` real images of the class, chosen by a hash of their ids, never the image itself. At least one
    distance counts, so it is defined with fewer than four others, where 30 % of them is none. A class's only real
    image scores 0; where a class has no real image its images have no score.
    """

    name: ClassVar[str] = "outlier"
    compares_classes: ClassVar[bool] = True
    measures: ClassVar[tuple[str, ...]] = ("outlier",)
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"outlier"})
    needs_real: ClassVar[bool] = True
    finds_outliers: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    reference: int = Field(default=256, ge=1, description="Compare with at most so many real images of the class.")
    lowest: float = Field(
        default=0.3, gt=0, le=1, description="The share of the distances that counts, the lowest ones."
    )

    @property
    def needs_labels(self) -> bool:
        """It compares an image with its class."""
        return True

    def compare(self, inputs: FilterInputs) -> dict[str, NDArray[np.float64]]:
        """How odd each image is in its class."""
        import numpy as np

        scores = np.full(len(inputs), np.nan)
        for number in np.unique(inputs.classes[inputs.classes >= 0]):
            mine = np.flatnonzero(inputs.classes == number)
            chosen = self._chosen(inputs, int(number))
            if not len(chosen):
                continue
            ids = {inputs.reference.ids[place]: column for column, place in enumerate(chosen.tolist())}
            for start in range(0, len(mine), ROWS):
                rows = mine[start : start + ROWS]
                itself = np.array([ids.get(inputs.ids[row], -1) for row in rows])
                scores[rows] = oddness(inputs.images[rows], inputs.reference.vectors[chosen], itself, self.lowest)
        return {"outlier": scores}

    def _chosen(self, inputs: FilterInputs, number: int) -> Numbers:
        """The places in the reference of the real images of a class that the others are compared with."""
        import numpy as np

        places = np.flatnonzero(inputs.reference.classes == number)
        order = np.argsort([unit("outlier", inputs.reference.ids[place]) for place in places.tolist()], kind="stable")
        return places[order[: self.reference]]


def oddness(images: Vectors, others: Vectors, itself: Numbers, lowest: float) -> NDArray[np.float64]:
    """(n,) mean of the lowest share of each image's distances to the others.

    Args:
        images: (n, d) of unit length.
        others: (m, d) of unit length, m >= 1.
        itself: (n,) which of the others each image is, -1 for none; it does not count.
        lowest: the share in (0, 1] of the distances that counts; at least one does.

    Returns:
        (n,) in [0, 2]; 0 for an image without any other; NaN for one that is not finite.
    """
    import numpy as np

    left, right = images.astype(np.float64), others.astype(np.float64)
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2 * left @ right.T
    distances = np.sqrt(np.maximum(squares, 0))
    within = itself >= 0
    distances[np.flatnonzero(within), itself[within]] = np.inf
    distances.sort(axis=1)
    available = len(others) - within
    counting = np.maximum(1, np.floor(lowest * available + 1e-9)).astype(np.int64)
    total = np.where(np.arange(len(others)) < counting[:, None], distances, 0).sum(axis=1)
    scores = np.where(available > 0, total / counting, 0.0)
    scores[~np.isfinite(images).all(axis=1)] = np.nan
    return scores
