"""A random subset: the baseline that a selector has to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from augforge.data.ids import key
from augforge.stages.selector import Selector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.selection import Selection


class Random(Selector):
    """Keep images at random, decided by a hash of the id: a larger budget only adds images.

    As many of each class as `allocation` says. No other selector beat it reliably where we measured them, so it is the
    one to begin with.
    """

    name: ClassVar[str] = "random"
    example: ClassVar[Mapping[str, Any]] = {"share": 0.5}

    draw: int = Field(default=0, description="Another number gives another random subset.")

    def choose(
        self, budget: int, labels: Sequence[str], ids: Sequence[str], features: NDArray[np.float32] | None
    ) -> Selection:
        """Those with the smallest hashes per class; see the base class for shapes."""
        import numpy as np

        from augforge.algorithms.selection import random_subset

        drawn = (int(key("random", self.draw, i)[:16], 16) for i in ids)
        keys = np.fromiter(drawn, dtype=np.uint64, count=len(ids))
        return random_subset(len(ids), budget, labels=labels, allocation=self.allocation, keys=keys)
