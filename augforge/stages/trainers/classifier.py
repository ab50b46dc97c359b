"""An image classifier: any timm network, or a linear probe on an embedder."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import repr as short
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from augforge.data.files import is_file
from augforge.data.ids import unit
from augforge.errors import RecipeError
from augforge.stages.stage import Task
from augforge.stages.trainer import Trainer

if TYPE_CHECKING:
    from augforge.data.ledger import Indices, Ledger
    from augforge.training.images import TrainingImages
    from augforge.training.task import TrainingContext, TrainingTask


class TrainClassifier(Trainer):
    """Train a classifier on the labelled images: a timm network, or a linear probe on the embeddings of a model.

    It is evaluated on the split `validation` if there is one, else on a share of the images held out by a hash.
    """

    name: ClassVar[str] = "classifier"
    task: ClassVar[str] = "classification"
    files: ClassVar[tuple[str, ...]] = ("weights",)
    example: ClassVar[Mapping[str, Any]] = {"steps": 20}

    backbone: str = Field(default="probe", description="timm:NAME for a network of timm, or probe for a linear layer.")
    embedder: Annotated[str, Task("image-embedding")] = Field(
        default="builtin-clip", description="probe: whose embeddings."
    )
    weights: str | None = Field(
        default=None, description="timm: a safetensors file to begin from, or `pretrained` (the hub)."
    )
    size: int | None = Field(
        default=None, ge=16, le=4096, description="timm: side of the input in px (the network's own if absent)."
    )
    batch: int = Field(default=32, ge=1, le=16_384, description="Images per step, over all processes.")
    rate: float | None = Field(
        default=None, gt=0, le=10, description="Learning rate (1e-2 for a probe, 1e-3 for a network)."
    )
    loss: Literal["cross-entropy", "balanced-softmax"] = Field(
        default="cross-entropy", description="balanced-softmax makes up for classes of different size."
    )
    flip: bool = Field(
        default=True, description="timm: mirror half of the crops; not for what changes its meaning mirrored."
    )
    held_out: float = Field(
        default=0.1, ge=0, le=0.5, description="Share of the images to measure on without a validation set."
    )

    @property
    def needs_one_label(self) -> bool:
        """It learns one class for each image."""
        return True

    def check(self) -> None:
        """Refuse a backbone that is neither, and weights that are not there or that it does not begin from."""
        if self.weights and self.backbone == "probe":
            raise RecipeError("key 'weights': a probe begins from none", "give --backbone timm:NAME, or leave them out")
        if self.weights not in (None, "pretrained") and not is_file(str(self.weights)):
            raise RecipeError(
                f"key 'weights': there is no file {short(self.weights)}", "give a safetensors file, or pretrained"
            )
        if self.backbone != "probe" and not self.backbone.startswith("timm:"):
            raise RecipeError(
                f"there is no backbone {self.backbone!r}", "give timm:NAME, such as timm:resnet18, or probe"
            )

    def check_weights(self) -> None:
        """ModelError where timm's own weights are to be begun from and can be had from nowhere."""
        from augforge.models.hub import check_timm

        if self.weights == "pretrained" and self.backbone.startswith("timm:"):
            check_timm(self.backbone.removeprefix("timm:"))

    def roles(self, ledger: Ledger) -> dict[str, Indices]:
        """Labelled real images: to train on, and to evaluate on."""
        import numpy as np

        train = ledger.reference()
        real = ledger.visible("real")
        named = zip(ledger.column("split", real), ledger.column("label", real), strict=True)
        held_out = real[np.array([s == "validation" and label is not None for s, label in named], dtype=bool)]
        if not len(held_out):
            apart = np.array([unit("held out", i) < self.held_out for i in ledger.column("id", train)], dtype=bool)
            train, held_out = train[~apart], train[apart]
        if len(set(ledger.column("label", train))) < 2:
            hint = "images of evaluation splits are not trained on" if len(real) > len(train) + len(held_out) else ""
            raise RecipeError("train classifier: the training images have fewer than two classes", hint)
        return {"train": train, "held-out": held_out}

    def training_task(self, pictures: Mapping[str, TrainingImages], context: TrainingContext) -> TrainingTask:
        """The training task on the labelled images."""
        from augforge.models import find_model
        from augforge.training.classifier import ClassifierOptions, LabelledImages, classifier_task

        classes = sorted({str(sample.label) for sample in pictures["train"].samples})
        options = ClassifierOptions(
            backbone=self.backbone,
            embedder=find_model(self.embedder, "image-embedding"),
            size=self.size,
            batch=self.batch // context.accelerator.num_processes,
            rate=self.rate,
            pretrained=self.weights,
            loss=self.loss,
            flip=self.flip,
        )
        return classifier_task(LabelledImages(pictures["train"], pictures["held-out"], classes), context, options)
