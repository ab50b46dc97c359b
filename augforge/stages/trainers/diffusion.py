"""An unconditional diffusion model, learnt from the user's own images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from augforge.errors import RecipeError
from augforge.stages.trainer import Trainer

if TYPE_CHECKING:
    from augforge.data.ledger import Indices, Ledger
    from augforge.training.images import TrainingImages
    from augforge.training.task import TrainingContext, TrainingTask

SCHEDULES = {"linear": "linear", "cosine": "squaredcos_cap_v2"}
"""The names of the noise schedules in diffusers."""


class TrainDiffusion(Trainer):
    """Train an unconditional diffusion model on the images, with or without labels.

    A U-Net learns to take the noise out of images (Denoising Diffusion Probabilistic Models); what is kept is the
    moving average of its weights. `generate outpaint` fills the empty part of warped images with it. The directory is
    also a DDPMPipeline of diffusers.
    """

    name: ClassVar[str] = "diffusion"
    task: ClassVar[str] = "unconditional"
    example: ClassVar[Mapping[str, Any]] = {
        "steps": 4,
        "size": 16,
        "width": 8,
        "levels": 2,
        "blocks": 1,
        "timesteps": 20,
        "batch": 2,
    }

    size: int = Field(default=64, ge=8, le=4096, description="Side in px of the squares that it trains on.")
    fit: Literal["stretch", "crop"] = Field(
        default="stretch",
        description="How images become squares: stretched whole, as outpaint shows them to the model, or cropped.",
    )
    flip: bool = Field(
        default=False, description="Mirror half of the images; not for what changes its meaning mirrored."
    )
    width: int = Field(default=64, ge=8, le=1024, multiple_of=8, description="Channels of the finest level.")
    levels: int = Field(default=4, ge=1, le=8, description="Resolutions of the U-Net, each half as large as the last.")
    blocks: int = Field(default=2, ge=1, le=16, description="Residual blocks of each level.")
    timesteps: int = Field(default=1000, ge=2, le=100_000, description="Steps of noise.")
    schedule: Literal["linear", "cosine"] = Field(
        default="cosine", description="How the noise grows; cosine keeps more of small images."
    )
    ema: float = Field(
        default=0.9999,
        ge=0,
        lt=1,
        description="The most that each step keeps of the moving average; in its first steps it keeps less.",
    )
    batch: int = Field(default=16, ge=1, le=16_384, description="Images per step, over all processes.")
    rate: float = Field(default=1e-4, gt=0, le=10, description="Learning rate of Adam, constant.")

    @model_validator(mode="after")
    def _halves(self) -> TrainDiffusion:
        if self.size % 2 ** (self.levels - 1):
            raise ValueError(
                f"{self.levels} levels halve the side {self.levels - 1} times, which {self.size} px do not"
            )
        return self

    def packages(self) -> tuple[str, ...]:
        """What the training loop and the U-Net run in."""
        return ("accelerate", "torch", "diffusers")

    def roles(self, ledger: Ledger) -> dict[str, Indices]:
        """All real images outside evaluation splits."""
        images = ledger.reference(unlabelled=True)
        if len(images) < 2:
            raise RecipeError(
                f"train diffusion: 2 or more training images are needed, there are {len(images)}", "give more images"
            )
        return {"images": images}

    def training_task(self, pictures: Mapping[str, TrainingImages], context: TrainingContext) -> TrainingTask:
        """The training task on the images."""
        from augforge.training.diffusion import DiffusionOptions, DiffusionTask

        options = DiffusionOptions(
            size=self.size,
            width=self.width,
            levels=self.levels,
            blocks=self.blocks,
            timesteps=self.timesteps,
            schedule=SCHEDULES[self.schedule],
            fit=self.fit,
            flip=self.flip,
            ema=self.ema,
            batch=self.batch // context.accelerator.num_processes,
            rate=self.rate,
        )
        return DiffusionTask(pictures["images"], context, options)
