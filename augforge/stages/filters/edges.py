"""Edges: does a generated image have the edges of the image that it was made from?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from augforge.stages.filter import EmbeddingFilter
from augforge.stages.stage import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.stages.filter_inputs import FilterInputs

    Scores = NDArray[np.float64]

PAIRS = 1024
"""Pairs of maps that are compared at a time."""


class Edges(EmbeddingFilter):
    """Keep the generated images whose edges are those of their parents: masks and boxes then still lie where they did.

    For `generate controlled`, img2img, translations and other generators that should keep the layout. A detector of
    soft edges looks at an image and at its parent, both squashed to 128 px, and gives a map of 64 x 64 cells each:

    - `edges`: the harmonic mean of the shares of either map's edges that the other has within a cell, in [0, 1];
    - `edges-ssim`: the structural similarity of the maps (Wang et al., 2004), in [-1, 1].

    Of several parents the one whose edges agree best counts. Real images have no parents and are not judged; a
    generated image without parents has no score and is dropped.
    """

    name: ClassVar[str] = "edges"
    measures: ClassVar[tuple[str, ...]] = ("edges", "edges-ssim")
    needs_real: ClassVar[bool] = True
    finds_outliers: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    on: Literal["synthetic"] = Field(default="synthetic", description="Only generated images have parents.")
    model: Annotated[str, Task("edges")] = Field(
        default="edge-operator", description="The detector of soft edges, such as hed; the default needs no weights."
    )
    by: Literal["edges", "edges-ssim"] = Field(default="edges", description="The measure that the rule looks at.")

    def packages(self) -> tuple[str, ...]:
        """What detects and compares."""
        return (*super().packages(), "safetensors", "scipy")

    def compare(self, inputs: FilterInputs) -> dict[str, Scores]:
        """The agreement with the edges of the parent that agrees best."""
        import numpy as np

        from augforge.algorithms.metrics.edge_agreement import edge_f1, structural_similarity

        parents = inputs.parents
        side = round(inputs.images.shape[1] ** 0.5)
        theirs = parents.vectors.reshape(-1, side, side)
        found = {}
        for name, agreement in zip(self.measures, (edge_f1, structural_similarity), strict=True):
            best = np.full(len(inputs), -np.inf)
            for start in range(0, len(theirs), PAIRS):
                rows = slice(start, start + PAIRS)
                own = inputs.images[parents.children[rows]].reshape(-1, side, side)
                np.maximum.at(best, parents.children[rows], agreement(own, theirs[rows]))
            found[name] = np.where(np.isfinite(best), best, np.nan)
        return found

    def explain(self, inputs: FilterInputs, scores: Scores) -> Sequence[str | None]:
        """An image without parents is dropped for that reason."""
        theirs = set(inputs.parents.children.tolist())
        return [None if index in theirs else "it has no parent to compare with" for index in range(len(inputs))]
