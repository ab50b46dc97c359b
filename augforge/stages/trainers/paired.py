"""pix2pixHD: images from label maps, edges or downsampled copies, trained on pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from reprlib import repr as short
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from augforge.data.files import is_file
from augforge.data.ids import unit
from augforge.data.pictures import MASK, parse_pictures
from augforge.data.sample import is_evaluation
from augforge.errors import RecipeError
from augforge.stages.trainer import Trainer

if TYPE_CHECKING:
    from augforge.data.ledger import Indices, Ledger
    from augforge.training.images import TrainingImages
    from augforge.training.task import TrainingContext, TrainingTask


class TrainPaired(Trainer):
    """Train pix2pixHD (High-Resolution Image Synthesis with Conditional GANs) on pairs of condition and image.

    The condition is the image's mask (`labelmap`, or `files` for masks that are images themselves), or is computed
    from the image (`edges`, `downsample`).
    """

    name: ClassVar[str] = "paired"
    task: ClassVar[str] = "paired"
    files: ClassVar[tuple[str, ...]] = ("perceptual",)
    arguments: ClassVar[Mapping[str, str]] = {
        "images": "Source of images: a folder, a dataset, a run or the like",
        "conditions": "Folder of masks or condition pictures, of the same names as the images.",
    }
    example: ClassVar[Mapping[str, Any]] = {
        "condition": "edges", "steps": 4, "size": 32, "width": 4, "downs": 1, "blocks": 1, "scales": 1
    }  # fmt: skip

    arch: Literal["pix2pixhd", "pix2pixhd-local"] = Field(
        default="pix2pixhd",
        description="The global generator, or with a local enhancer trained after it and then jointly.",
    )
    condition: Literal["labelmap", "edges", "downsample", "files"] = Field(
        default="labelmap", description="What an image is generated from."
    )
    by_class: bool = Field(
        default=False, description="Tell the networks the image's class, so that one model serves all."
    )
    size: int = Field(default=256, ge=16, le=4096, description="Shorter side in px.")
    width: int = Field(default=64, ge=1, le=1024, description="Channels of the networks' first layers.")
    downs: int = Field(default=4, ge=1, le=8, description="How often the generator halves the sides.")
    blocks: int = Field(default=9, ge=1, le=64, description="Residual blocks of the generator.")
    scales: int = Field(default=2, ge=1, le=8, description="Scales at which discriminators look.")
    upsampling: Literal["resize", "transposed"] = Field(
        default="resize",
        description="How the generator doubles the sides: transposed convolutions, as published, leave a grid of dots.",
    )
    rate: float = Field(
        default=2e-4, gt=0, le=10, description="Learning rate of Adam, constant and then falling to zero."
    )
    feature_weight: float = Field(
        default=10.0, ge=0, le=1e6, description="Weight of matching the discriminators' features."
    )
    pixel_weight: float = Field(
        default=0.0, ge=0, le=1e6, description="Weight of the pixels' L1 distance, as in pix2pix; pix2pixHD has none."
    )
    perceptual: str | None = Field(default=None, description="A file of VGG-19 weights for the perceptual loss.")
    instances: bool = Field(default=False, description="Add the borders between connected regions of the mask.")
    style: bool = Field(default=False, description="Learn a style code for every region, to vary it later.")
    held_out: float = Field(
        default=0.1, ge=0, le=0.5, description="Share of the pairs to evaluate on; never trained on."
    )

    @property
    def masks(self) -> bool:
        """Whether the condition is the mask, or uses its regions."""
        return self.condition in ("labelmap", "files") or self.instances

    @classmethod
    def sources_from(cls, given: Mapping[str, Sequence[str]]) -> list[tuple[str, dict[str, str]]]:
        """The sources of `--images`, with the folder of `--conditions` as their masks."""
        images, conditions = given["images"], given["conditions"]
        if not images:
            raise RecipeError("train paired: --images is missing", "give a folder of images")
        if conditions and len(conditions) != len(images):
            raise RecipeError("train paired: give one --conditions for each --images, in the same order")
        return [(source, {"masks": conditions[place]} if conditions else {}) for place, source in enumerate(images)]

    @property
    def needs_one_label(self) -> bool:
        """Where the networks are told the class."""
        return self.by_class

    def check(self) -> None:
        """Refuse options that contradict each other."""
        if self.condition == "files" and self.instances:
            raise RecipeError("a condition of `files` has no regions: instances do not go with it", "leave them out")
        if self.perceptual is not None and not is_file(self.perceptual):
            raise RecipeError(
                f"key 'perceptual': there is no file {short(self.perceptual)}", "give a file of torchvision's vgg19"
            )
        if self.arch == "pix2pixhd-local" and self.steps < 3:
            raise RecipeError("pix2pixhd-local learns in three parts: give it at least 3 steps")

    def roles(self, ledger: Ledger) -> dict[str, Indices]:
        """The training images, those with a mask if the condition is one; a share of them is held out."""
        import numpy as np

        indices = ledger.visible("real")
        evaluation = [is_evaluation(split) for split in ledger.column("split", indices)]
        usable = ~np.array(evaluation, dtype=bool)
        if self.masks:
            usable &= np.array(
                [MASK in parse_pictures(text) for text in ledger.column("pictures", indices)], dtype=bool
            )
        if usable.sum() < 2:
            hint = "give the masks' folder (`masks:` of the source), or another `condition`" if self.masks else ""
            raise RecipeError(f"train paired: {usable.sum()} training images with what `{self.condition}` needs", hint)
        chosen = indices[usable]
        apart = np.array([unit("held out", i) < self.held_out for i in ledger.column("id", chosen)], dtype=bool)
        if apart.all():
            apart[0] = False
        return {"pairs": chosen[~apart], "held-out": chosen[apart]}

    def training_task(self, pictures: Mapping[str, TrainingImages], context: TrainingContext) -> TrainingTask:
        """The training task on the pairs."""
        from augforge.training.paired import PairedOptions, paired_task

        options = PairedOptions(
            arch=self.arch,
            condition=self.condition,
            by_class=self.by_class,
            size=self.size,
            width=self.width,
            downs=self.downs,
            blocks=self.blocks,
            scales=self.scales,
            batch=self.batch // context.accelerator.num_processes,
            rate=self.rate,
            upsampling=self.upsampling,
            feature_weight=self.feature_weight,
            pixel_weight=self.pixel_weight,
            perceptual=self.perceptual,
            instances=self.instances,
            style=self.style,
        )
        return paired_task(pictures["pairs"], pictures["held-out"], context, options)
