"""Day to night: a translator trained on unpaired day and night images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from augforge.errors import RecipeError, shortened
from augforge.stages.stage import Task
from augforge.stages.trainer import Trainer

if TYPE_CHECKING:
    from augforge.data.ledger import Indices, Ledger
    from augforge.training.images import TrainingImages
    from augforge.training.task import TrainingContext, TrainingTask


class TrainNight(Trainer):
    """Train a day-to-night translator on unpaired day and night images.

    hedngan: one generator, one discriminator, and a student edge detector that learns from a frozen teacher to detect
    edges in night images (Dark Side Augmentation). hedgan: only the frozen teacher. cyclegan: two generators
    and two discriminators (Unpaired Image-to-Image Translation). cut: contrastive patches (Contrastive Unpaired
    Translation). None of them is known to be better than the others in general: measure on your own images.
    """

    name: ClassVar[str] = "night"
    task: ClassVar[str] = "night"
    arguments: ClassVar[Mapping[str, str]] = {
        "day": "Source of day images: a folder, a dataset, a run or the like",
        "night": "Source of night images.",
    }
    example: ClassVar[Mapping[str, Any]] = {
        "steps": 4,
        "size": 32,
        "width": 4,
        "blocks": 1,
        "day": "cat",
        "night": "dog",
    }

    day: str = Field(default="day", description="The class of the day images.")
    night: str = Field(default="night", description="The class of the night images.")
    arch: Literal["hedngan", "hedgan", "cyclegan", "cut"] = Field(default="hedngan", description="Architecture.")
    size: int = Field(
        default=256, ge=32, le=4096, multiple_of=4, description="Side in px of the squares that it trains on."
    )
    width: int = Field(default=64, ge=1, le=1024, description="Channels of the networks' first layers.")
    blocks: int = Field(default=9, ge=1, le=64, description="Residual blocks of the generator.")
    upsampling: Literal["resize", "transposed"] = Field(
        default="resize",
        description="How the generator doubles the sides: transposed convolutions, as published, leave a grid of dots.",
    )
    rate: float = Field(
        default=2e-4, gt=0, le=10, description="Learning rate of Adam, constant and then falling to zero."
    )
    edge_weight: float = Field(default=5.0, ge=0, le=1e6, description="hedngan, hedgan: weight of the edges.")
    darken_weight: float = Field(
        default=0.0,
        ge=0,
        le=1e6,
        description="L1 distance to the day with the nights' histogram, for short trainings; 0 as published.",
    )
    cycle_weight: float = Field(
        default=10.0, ge=0, le=1e6, description="cyclegan: weight of the cycle-consistency loss."
    )
    identity_weight: float | None = Field(
        default=None,
        ge=0,
        le=1e6,
        description="cyclegan, cut: weight of the identity loss on night images (0 and 10 if absent).",
    )
    teacher: Annotated[str, Task("edges")] = Field(
        default="edge-operator",
        description="hedngan, hedgan: the edge teacher: edge-operator, hed, or a file of HED weights.",
    )

    @classmethod
    def sources_from(cls, given: Mapping[str, Sequence[str]]) -> list[tuple[str, dict[str, str]]]:
        """Sources of `--day` get the class day, sources of `--night` the class night."""
        missing = [f"--{role}" for role, sources in given.items() if not sources]
        if missing:
            raise RecipeError(
                f"train night: {' and '.join(missing)} is missing", "give folders of day and night images"
            )
        return [(source, {"class": role}) for role, sources in given.items() for source in sources]

    @property
    def needs_one_label(self) -> bool:
        """The class says whether it is day or night."""
        return True

    def roles(self, ledger: Ledger) -> dict[str, Indices]:
        """The training images of the two classes."""
        import numpy as np

        indices = ledger.reference()
        labels = np.array(ledger.column("label", indices), dtype=object)
        roles = {"day": indices[labels == self.day], "night": indices[labels == self.night]}
        for role, found in roles.items():
            if len(found) < 2:
                wanted = getattr(self, role)
                known = shortened(ledger.classes) or "none"
                raise RecipeError(
                    f"train night: 2 or more training images of class {wanted!r} are needed, there are {len(found)}",
                    f"give more images, or name another class as `{role}`; the source's classes are {known}",
                )
        return roles

    def verdict(self, measured: Mapping[str, float]) -> str:
        """That days with other levels would be as good nights, where they would."""
        made, dark = measured.get("night_kid"), measured.get("darkened_kid")
        if made is None or dark is None or made < dark:
            return ""
        remedy = "train longer" if self.darken_weight else "train longer, or with --darken-weight 10"
        return (
            f"its nights are farther from real nights ({made:.1f}) than days darkened to their histogram ({dark:.1f}); "
            f"{remedy}"
        )

    def training_task(self, pictures: Mapping[str, TrainingImages], context: TrainingContext) -> TrainingTask:
        """The training task of the architecture on day and night images."""
        from augforge.training.night import NightOptions, night_task

        options = NightOptions(
            arch=self.arch,
            size=self.size,
            width=self.width,
            blocks=self.blocks,
            batch=self.batch // context.accelerator.num_processes,
            rate=self.rate,
            upsampling=self.upsampling,
            edge_weight=self.edge_weight,
            cycle_weight=self.cycle_weight,
            darken_weight=self.darken_weight,
            identity_weight=self.identity_weight,
            teacher=self.teacher,
        )
        return night_task(pictures["day"], pictures["night"], context, options)
