"""Label-preserved: does a generated image still show what its parents show?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from augforge.stages.filter import EmbeddingFilter
from augforge.stages.filter_inputs import mean_directions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.stages.filter_inputs import FilterInputs


class LabelPreserved(EmbeddingFilter):
    """Keep the generated images most similar to their parents.

    Cosine, in [-1, 1], between an image and the mean direction of its parents; 1 for a copy of a single parent, so
    `max` drops mere copies. Real images have no parents and are not judged; a generated image without parents (from a
    prompt alone) has no score and is dropped.
    """

    name: ClassVar[str] = "label-preserved"
    measures: ClassVar[tuple[str, ...]] = ("label-preserved",)
    needs_real: ClassVar[bool] = True
    finds_outliers: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    on: Literal["synthetic"] = Field(default="synthetic", description="Only generated images have parents.")

    def compare(self, inputs: FilterInputs) -> dict[str, NDArray[np.float64]]:
        """The cosine to the parents' mean direction."""
        import numpy as np

        images, parents = inputs.images, inputs.parents
        means = mean_directions(parents.vectors, parents.children, len(inputs), images.shape[1])
        return {"label-preserved": np.einsum("nd,nd->n", images, means, dtype=np.float64)}

    def explain(self, inputs: FilterInputs, scores: NDArray[np.float64]) -> Sequence[str | None]:
        """An image without parents is dropped for that reason."""
        theirs = set(inputs.parents.children.tolist())
        return [None if index in theirs else "it has no parent to compare with" for index in range(len(inputs))]
