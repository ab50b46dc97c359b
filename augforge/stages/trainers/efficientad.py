"""EfficientAD: what good images look like, so that what is odd can be found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from augforge.data.ids import unit
from augforge.errors import RecipeError, shortened
from augforge.stages.stage import Task
from augforge.stages.trainer import Trainer

if TYPE_CHECKING:
    from augforge.data.ledger import Indices, Ledger
    from augforge.training.images import TrainingImages
    from augforge.training.task import TrainingContext, TrainingTask

HELD_OUT = 0.1


class TrainEfficientAd(Trainer):
    """Train EfficientAD (Batzner et al., WACV 2024) on your good images, to find what is odd in others.

    First a small network, the teacher, learns to see as `features` does; then a student learns from the teacher, by
    the hard feature loss, and an autoencoder does; where they disagree, something is odd. A tenth of the images is held
    out, by a hash, and sets the scale of the maps.

    As published, but for two things, as no ImageNet comes with it. The teacher is distilled on crops of your own
    images, good and other, from a model that you name (published: a WideResNet-101 on ImageNet). And the penalty, which
    keeps the student from following the teacher on what is not good, is taken on the images of the class `other`, where
    you have some (any photos will do), and left out else. Published: 256 px, 384 channels, 70,000 steps of one image.
    """

    name: ClassVar[str] = "efficientad"
    task: ClassVar[str] = "anomaly"
    arguments: ClassVar[Mapping[str, str]] = {
        "good": "Source of good images: a folder, a dataset, a run or the like",
        "other": "Source of any other images, for the penalty.",
    }
    example: ClassVar[Mapping[str, Any]] = {"steps": 6, "size": 64, "width": 12, "distil": 0.5}

    good: str | None = Field(default=None, description="The class of the good images (all but `other` if absent).")
    other: str = Field(default="other", description="The class of images of anything else, for the penalty.")
    features: Annotated[str, Task("image-embedding")] = Field(
        default="builtin-clip",
        description="Whose feature maps the teacher learns to see; efficientnet-lite2 for photos.",
    )
    size: int = Field(
        default=256, ge=64, le=1024, multiple_of=32, description="Side in px to which images are squashed."
    )
    width: int = Field(default=384, ge=12, le=1536, multiple_of=12, description="Channels of the features.")
    steps: int = Field(default=70_000, ge=1, le=10_000_000, description="Steps of the optimisers.")
    batch: int = Field(default=1, ge=1, le=16_384, description="Images per step, over all processes.")
    distil: float = Field(default=0.25, ge=0, lt=1, description="Share of the steps in which the teacher learns.")
    rate: float = Field(default=1e-4, gt=0, le=10, description="Learning rate of Adam, a tenth for the last 5 %.")

    @classmethod
    def sources_from(cls, given: Mapping[str, Sequence[str]]) -> list[tuple[str, dict[str, str]]]:
        """Sources of `--good` get the class good, sources of `--other` the class other."""
        if not given.get("good"):
            raise RecipeError("train efficientad: --good is missing", "give a folder of good images")
        return [(source, {"class": role}) for role, sources in given.items() for source in sources]

    def roles(self, ledger: Ledger) -> dict[str, Indices]:
        """Good images to learn from, those held out, and images for the penalty."""
        import numpy as np

        indices = ledger.reference(unlabelled=True)
        labels = np.array(ledger.column("label", indices), dtype=object)
        other = indices[labels == self.other]
        good = indices[labels != self.other] if self.good is None else indices[labels == self.good]
        if len(good) < 2:
            raise RecipeError(
                f"train efficientad: 2 or more good images are needed, there are {len(good)}",
                f"the source's classes are {shortened(ledger.classes) or 'none'}",
            )
        drawn = np.array([unit("held out", identity) for identity in ledger.column("id", good)])
        apart = drawn < max(HELD_OUT, np.nextafter(drawn.min(), 1))  # one at least
        return {"good": good[~apart], "held-out": good[apart], "other": other}

    def training_task(self, pictures: Mapping[str, TrainingImages], context: TrainingContext) -> TrainingTask:
        """The networks, on the images of each role."""
        from augforge.models import find_model
        from augforge.training.efficientad import EfficientAdOptions, EfficientAdTask

        options = EfficientAdOptions(
            size=self.size,
            width=self.width,
            batch=self.batch // context.accelerator.num_processes,
            rate=self.rate,
            distil=self.distil,
            features=find_model(self.features, "image-embedding"),
        )
        return EfficientAdTask(pictures, context, options)
