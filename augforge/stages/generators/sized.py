"""Operators whose images keep their size, or get a size first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from augforge.stages.generator import GenerationInput, Job
from augforge.stages.generators.bounds import MOST_OPERATED_ON, too_long
from augforge.stages.generators.operator import OperatorGenerator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.geometry import Geometry


class SizedOperator(OperatorGenerator):
    """An operator on images of their own size, or of the one that is asked for."""

    size: int | None = Field(
        default=None,
        ge=8,
        le=8192,
        description="Shorter side in px, to which the image is resized first (the image's own if absent).",
    )

    def refusal(self, job: Job) -> str:
        """Why an image is too large or too long."""
        width, height = job.parents[0].width, job.parents[0].height
        if self.size is not None:
            return too_long(width, height, self.size)
        if width * height <= MOST_OPERATED_ON:
            return ""
        return f"its parent of {width}x{height} px is over {MOST_OPERATED_ON:,} px: give a size"

    def resized(self, item: GenerationInput) -> tuple[NDArray[np.uint8], Geometry]:
        """The first parent's image (h, w, 3) at the size asked for, and what it took, as a geometry."""
        import numpy as np

        from augforge.algorithms.geometry import Geometry, Resize

        pixels: NDArray[Any] = np.asarray(item.images[0])
        if self.size is None or self.size == min(pixels.shape[:2]):
            return pixels, Geometry()
        scale = self.size / min(pixels.shape[:2])
        resize = Resize(*(round(side * scale) for side in pixels.shape[:2]))
        return resize.move(pixels, "bicubic", None), Geometry((resize,))
