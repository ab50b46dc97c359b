"""A balanced random subset: equally many images of every class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from augforge.data.ids import key
from augforge.data.sample import OnOption
from augforge.stages.selector import Selector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.selection import Selection


class Balanced(Selector):
    """Keep equally many images of every class, at random by a hash of the id; a small class keeps all of its images.

    What small classes cannot fill goes to the others, so that the budget is used up. By default it chooses among all
    images, real and synthetic: of the synthetic ones alone equal numbers would not balance anything.
    """

    name: ClassVar[str] = "balanced"
    example: ClassVar[Mapping[str, Any]] = {"share": 0.5}

    on: OnOption = Field(default="all", description="Choose among all images, or only the synthetic or the real ones.")
    allocation: Literal["equal"] = Field(default="equal", description="Always equally over the classes.")
    draw: int = Field(default=0, description="Another number gives another random subset.")

    def choose(
        self, budget: int, labels: Sequence[str], ids: Sequence[str], features: NDArray[np.float32] | None
    ) -> Selection:
        """Those with the smallest hashes per class; see the base class for shapes."""
        import numpy as np

        from augforge.algorithms.selection import random_subset

        drawn = (int(key("balanced", self.draw, i)[:16], 16) for i in ids)
        keys = np.fromiter(drawn, dtype=np.uint64, count=len(ids))
        return random_subset(len(ids), budget, labels=labels, allocation="equal", keys=keys)
