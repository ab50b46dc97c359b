"""What the policies of augmentation share: each draws operations for an image, and applies them to it."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from augforge.stages.generator import GeneratedImage, GenerationInput
from augforge.stages.generators.operator import OperatorGenerator


class PolicyGenerator(OperatorGenerator):
    """A generator whose `draw` leaves `steps` in the row: operations with their magnitudes, as torchvision has them."""

    made_with: ClassVar[tuple[str, ...]] = ("numpy", "pillow")

    interpolation: Literal["nearest", "bilinear"] = Field(
        default="nearest", description="How pixels are looked up where the image is moved."
    )
    fill: int = Field(default=0, ge=0, le=255, description="Grey that lies where a moved image shows nothing.")

    def operate(self, item: GenerationInput) -> GeneratedImage:
        """The first parent after the operations that were drawn."""
        from augforge.algorithms.policies import applied

        steps: list[Any] = item.job.sample.sampled_params["steps"]
        pixels, moves = applied(item.images[0], steps, self.interpolation, self.fill)
        return self.followed(item, pixels, moves)
