"""Cosines between images and the vectors of their classes; shared by the filters that compare with classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from augforge.stages.prompts import fill

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.stages.filter_inputs import FilterInputs, Numbers, Vectors

Scores: TypeAlias = "NDArray[np.float64]"


def class_prompts(inputs: FilterInputs, template: str) -> Vectors:
    """(c, d) the vectors of the classes' prompts."""
    return inputs.texts([fill(template, name) for name in inputs.names])


def to_own(images: Vectors, classes: Numbers, table: Vectors) -> Scores:
    """(n,) cosine of each image (n, d) and the row of its own class in `table` (c, d); NaN without a class."""
    import numpy as np

    scores = np.full(len(images), np.nan)
    labelled = classes >= 0
    if labelled.any():
        scores[labelled] = np.einsum("nd,nd->n", images[labelled], table[classes[labelled]])
    return scores


def margins(images: Vectors, classes: Numbers, table: Vectors, also: tuple[Numbers, Numbers] | None = None) -> Scores:
    """(n,) cosine to the own row of `table` (c, d) minus the best to another; NaN without a class or another one.

    `also` are images and classes, (q,) each, that are no others: what images are of beside their own class.
    """
    import numpy as np

    scores = np.full(len(images), np.nan)
    mine = (np.flatnonzero(classes >= 0), classes[classes >= 0])
    if len(table) > 1 and len(mine[0]):
        others = images @ table.T
        own = others[mine]
        others[mine] = -np.inf
        if also is not None:
            others[also] = -np.inf
        best = others[mine[0]].max(axis=1)
        scores[mine[0]] = np.where(np.isfinite(best), own - best, np.nan)
    return scores
