"""Facility location: the images that together stand for all the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from augforge.select import Selection, facility_location
from augforge.stage import Selector, Task


class FacilityLocation(Selector):
    """Keep the subset that covers each class best, weighted by how many images each kept one stands for.

    Greedy maximisation of sum_i max_j cos(i, j) per class, as in *Data-Efficient Augmentation for Training
    Neural Networks* (NeurIPS 2022), on embeddings.
    """

    name: ClassVar[str] = "facility-location"
    example: ClassVar[Mapping[str, Any]] = {"share": 0.5}

    model: Annotated[str, Task("image-text")] = Field("builtin-clip", description="The model whose embeddings count.")

    def choose(
        self, budget: int, labels: Sequence[str], ids: Sequence[str], features: NDArray[np.float32] | None
    ) -> Selection:
        """Lazy greedy per class; see the base class for shapes."""
        assert features is not None
        return facility_location(features, budget, labels=labels, allocation=self.allocation)
