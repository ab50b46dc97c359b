"""Similar-to: the images nearest to examples of what is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from augforge.stages.selector import Selector, required
from augforge.stages.stage import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.selection import Selection

REAL, SPLIT, CLASS = "real", "split:", "class:"
"""What `to` can name in the run itself: its real images, those of a split, those of a class."""


class SimilarTo(Selector):
    """Keep the images of each class nearest to a reference set, such as a few pictures of the place of use.

    `to` is another source, or in the run itself `real` (its real images outside evaluation splits), `split:NAME` or
    `class:NAME`. By `max` an image counts by its nearest reference, by `mean` by all of them; with `turns` the
    references take turns, by their ids, each taking the nearest image that is left, so that all of them are served
    and not only those in a crowd. An image is no reference of itself. Equal ones go by id.

    `similar-to` is the cosine that counted, in [-1, 1]. What is near the references is also near each other: with a
    small budget follow it by a filter for duplicates.
    """

    name: ClassVar[str] = "similar-to"
    example: ClassVar[Mapping[str, Any]] = {"share": 0.5}

    model: Annotated[str, Task("image-embedding")] = Field(
        default="builtin-clip", description="The model whose embeddings are compared."
    )
    to: str = Field(
        default=REAL, min_length=1, description="The reference: a source, or `real`, `split:NAME`, `class:NAME` here."
    )
    by: Literal["max", "mean", "turns"] = Field(
        default="max", description="The nearest reference counts, or the mean of all, or the references take turns."
    )
    within: Literal["class", "all"] = Field(
        default="class",
        description="Compare with the references of an image's own class, where references have classes, or with all.",
    )

    @property
    def source(self) -> str | None:
        """The source that holds the references, None where they are in the run itself."""
        return None if self.to == REAL or self.to.startswith((SPLIT, CLASS)) else self.to

    def check(self) -> None:
        """RecipeError where nothing says how many images to keep, SourceError where `to` cannot be a source."""
        from augforge.io import detect

        super().check()
        if self.source is not None:
            detect(self.source)

    def choose(
        self, budget: int, labels: Sequence[str], ids: Sequence[str], features: NDArray[np.float32] | None
    ) -> Selection:
        """The nearest per class, of what `closeness` found: (n, 3)."""
        import numpy as np

        from augforge.algorithms.selection.similar import most_similar

        near = required(features).astype(np.float64)
        return most_similar(near, budget, labels=labels, allocation=self.allocation)
