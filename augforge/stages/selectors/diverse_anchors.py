"""Diverse anchors: images that differ from each other, without the outliers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, model_validator

from augforge.data.ids import key
from augforge.stages.selector import Selector, required
from augforge.stages.stage import Share, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.selection import Selection


class DiverseAnchors(Selector):
    """Keep images that are neither near-duplicates of those kept before nor far outliers of their class.

    The anchor mining of *Dark Side Augmentation* (ICCV 2023), on embeddings.
    """

    name: ClassVar[str] = "diverse-anchors"
    example: ClassVar[Mapping[str, Any]] = {"share": 0.5}

    model: Annotated[str, Task("image-embedding")] = Field(
        default="builtin-clip", description="The model whose embeddings are used."
    )
    exclude: Share = Field(
        default=0.2, description="Never choose from this share, the most similar to those chosen before."
    )
    include: Share = Field(default=0.8, description="Choose from up to this share, counted from the most similar.")
    draw: int = Field(default=0, description="Another number gives another choice.")

    @model_validator(mode="after")
    def _a_band(self) -> DiverseAnchors:
        if self.exclude >= self.include:
            raise ValueError("exclude must be below include: nothing is left to choose from")
        return self

    def choose(
        self, budget: int, labels: Sequence[str], ids: Sequence[str], features: NDArray[np.float32] | None
    ) -> Selection:
        """The published rule per class; see the base class for shapes."""
        import numpy as np

        from augforge.algorithms.selection import diverse_anchors

        return diverse_anchors(
            required(features),
            budget,
            labels=labels,
            allocation=self.allocation,
            exclude=self.exclude,
            include=self.include,
            keys=np.array([int(key("diverse-anchors", i)[:16], 16) for i in ids], dtype=np.uint64),
            draw=self.draw,
        )
