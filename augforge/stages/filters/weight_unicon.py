"""Soft weights: an image counts for more if others of its class are similar to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from augforge.data.sample import On
from augforge.stages.filter import EmbeddingFilter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.stages.filter_inputs import FilterInputs, Vectors

ROWS = 1024


class WeightUnicon(EmbeddingFilter):
    """Weight the generated images: those similar to the others of their class count for more.

    The soft weight of UniCon-HA (Wang et al., 2023): w_i is proportional to the sum over the others j of
    exp(z_i . z_j / tau), here over the judged images of a class and scaled to sum to their number, so that the mean
    weight is 1. It multiplies the weight that an image has. Nothing is dropped unless a rule is given.
    """

    name: ClassVar[str] = "weight-unicon"
    measures: ClassVar[tuple[str, ...]] = ("weight-unicon",)
    default_rule: ClassVar[Mapping[str, float]] = {"keep": 1.0}
    reweights: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"on": "all", "keep": 0.5}

    on: On = Field(default="synthetic", description="Weight all images, or only the synthetic or the real ones.")
    tau: float = Field(default=0.5, gt=0, description="The temperature: the larger, the more equal the weights.")

    @property
    def needs_one_label(self) -> bool:
        """The weights of the images of a class are scaled together."""
        return True

    def compare(self, inputs: FilterInputs) -> dict[str, NDArray[np.float64]]:
        """The weights, class by class; images without a label are a class of their own."""
        import numpy as np

        scores = np.full(len(inputs), np.nan)
        usable = np.isfinite(inputs.images).all(axis=1) if len(inputs) else np.zeros(0, dtype=bool)
        for number in np.unique(inputs.classes[usable]):
            mine = np.flatnonzero(usable & (inputs.classes == number))
            scores[mine] = soft_weights(inputs.images[mine], self.tau)
        return {"weight-unicon": scores}


def soft_weights(vectors: Vectors, tau: float) -> NDArray[np.float64]:
    """(n,) positive weights of n unit vectors (n, d), summing to n; 1 for a lone one."""
    import numpy as np

    if len(vectors) < 2:
        return np.ones(len(vectors))
    logs = np.zeros(len(vectors))  # of the sums: with a small tau the sums themselves overflow or vanish
    for start in range(0, len(vectors), ROWS):
        rows = slice(start, start + ROWS)
        terms = (vectors[rows] @ vectors.T).astype(np.float64) / tau
        terms[np.arange(len(terms)), np.arange(start, start + len(terms))] = -np.inf
        largest = terms.max(axis=1)
        logs[rows] = largest + np.log(np.exp(terms - largest[:, None]).sum(axis=1))
    terms = np.exp(logs - logs.max())
    weights: NDArray[np.float64] = terms * (len(terms) / terms.sum())
    return weights
