"""k-center: no image is far from a kept one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from augforge.stages.selector import Selector, required
from augforge.stages.stage import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.selection import Selection


class KCenter(Selector):
    """Keep a subset of each class that no image is far from, outliers and wrong images first: filter them before.

    These are the farthest from all others. Farthest-first traversal (Gonzalez, 1985).
    """

    name: ClassVar[str] = "k-center"
    keeps_outliers: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"share": 0.5}

    model: Annotated[str, Task("image-embedding")] = Field(
        default="builtin-clip", description="The model whose embeddings are used."
    )

    def choose(
        self, budget: int, labels: Sequence[str], ids: Sequence[str], features: NDArray[np.float32] | None
    ) -> Selection:
        """Greedy farthest first per class; see the base class for shapes."""
        from augforge.algorithms.selection import k_center

        return k_center(required(features), budget, labels=labels, allocation=self.allocation)
