"""EfficientAD: is something in an image odd, beside the good images that a model was trained on?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from augforge.stages.filter import EmbeddingFilter
from augforge.stages.stage import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.stages.filter_inputs import FilterInputs


class EfficientAd(EmbeddingFilter):
    """Keep the images in which nothing is odd, by a model that `train efficientad` trained on good images.

    EfficientAD (Batzner et al., WACV 2024): where student and teacher, or student and autoencoder, disagree, something
    is odd. `efficientad` is the largest value of the anomaly map, less is better: 0 is a value that 9 of 10 places of
    held-out good images are under, 0.1 one that 199 of 200 are under. The map lies beside the image in the report.
    """

    name: ClassVar[str] = "efficientad"
    measures: ClassVar[tuple[str, ...]] = ("efficientad",)
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"efficientad"})
    finds_outliers: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    model: Annotated[str, Task("anomaly")] = Field(..., description="What train efficientad trained.")

    def compare(self, inputs: FilterInputs) -> dict[str, NDArray[np.float64]]:
        """The largest value of each map."""
        import numpy as np

        return {"efficientad": inputs.images.max(axis=1).astype(np.float64)}
