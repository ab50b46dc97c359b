"""Memorised: is a generated image a copy of its parents, or of anything in the training set?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from augforge.stages.filter import EmbeddingFilter
from augforge.stages.stage import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.data.nearest import Nearest
    from augforge.stages.filter_inputs import FilterInputs

    Scores = NDArray[np.float64]

CALLED = {"parent": "its parent", "training": "the training image"}
"""What reasons call the image that is nearest."""


class Memorised(EmbeddingFilter):
    """Drop the generated images that replicate a parent or a training image, by a copy detector.

    Three measures, the largest cosine of each, in [-1, 1], less is better: `memorised-parent` to the image's own
    parents, `memorised-training` to the real images outside evaluation splits, labelled or not, and `memorised`, the
    larger of both. The reason names the image that was copied, and `augforge why`
    the nearest one of every image, kept or not. Every pair is compared.

    By default an image over 0.75 goes: where nine of ten pairs are copies, for SSCD (Pizzi et al., CVPR 2022). Other
    embedders have other scales: with one that knows objects and not copies, two cats are alike. Without SSCD,
    `filter: duplicates` drops near-copies of parents and real images by perceptual hashes.
    """

    name: ClassVar[str] = "memorised"
    measures: ClassVar[tuple[str, ...]] = ("memorised", "memorised-parent", "memorised-training")
    lower_is_better: ClassVar[frozenset[str]] = frozenset(measures)
    needs_real: ClassVar[bool] = True
    default_rule: ClassVar[Mapping[str, float]] = {"maximum": 0.75}
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    on: Literal["synthetic"] = Field(default="synthetic", description="Only generated images replicate others.")
    model: Annotated[str, Task("image-embedding")] = Field(
        ..., description="The copy detector: a directory with SSCD's weights (docs/filters.md), or another embedder."
    )
    by: Literal["memorised", "memorised-parent", "memorised-training"] = Field(
        default="memorised", description="The measure that the rule looks at."
    )

    def compare(self, inputs: FilterInputs) -> dict[str, Scores]:
        """The cosines to the nearest parent, to the nearest training image, and the larger of both."""
        import numpy as np

        parents, training = inputs.nearest_parent[0], inputs.nearest_training[0]
        return dict(zip(self.measures, (np.fmax(parents, training), parents, training), strict=True))

    def nearest(self, inputs: FilterInputs, scores: Scores) -> Sequence[Nearest | None]:
        """Which image each is nearest to: a parent before another of the training set that is as near."""
        from augforge.algorithms.duplicates.replication import TIE
        from augforge.data.nearest import Nearest

        (near_parent, parent), (_, other) = inputs.nearest_parent, inputs.nearest_training
        found: list[Nearest | None] = []
        for row, score in enumerate(scores.tolist()):
            if parent[row] >= 0 and (score - near_parent[row] <= TIE or self.by == "memorised-parent"):
                found.append(Nearest(inputs.parents.ids[parent[row]], "parent", score))
            elif other[row] >= 0 and self.by != "memorised-parent":
                found.append(Nearest(inputs.training.ids[other[row]], "training", score))
            else:
                found.append(None)
        return found

    def explain(self, inputs: FilterInputs, scores: Scores) -> Sequence[str | None]:
        """How near each is to which image."""
        return [
            "it has no parent and there is no training image to compare with"
            if near is None
            else f"{near.similarity:.3f} to {CALLED[near.relation]} {near.id[:8]}"
            for near in self.nearest(inputs, scores)
        ]
