"""Low-rank layers of a diffusion model, learnt from the user's own few images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from augforge.data.ids import unit
from augforge.errors import RecipeError
from augforge.models.directory import HELD_OUT
from augforge.stages.prompts import CAPTION, captioned_of, fill, words_of
from augforge.stages.stage import CaptionPrompt, Prompt, Task
from augforge.stages.trainer import Trainer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.data.ledger import Indices, Ledger
    from augforge.data.sample import Sample
    from augforge.models.backends import Backend
    from augforge.models.table import Model
    from augforge.training.images import TrainingImages
    from augforge.training.task import TrainingContext, TrainingTask

_LOADING = ("revision", "variant", "allow_pickle", "config", "prior")


class TrainLora(Trainer):
    """Fine-tune a diffusion model on the real images by low-rank layers (LoRA): generated images look more like them.

    One LoRA for all images or one of each class (DataDream), or one of each image, of which generation fuses two
    (LoFT). The model's own weights stay as they are; generators name the LoRA by `lora`. It is judged by its loss on
    the split `validation` if there is one, else on a share of the images held out by a hash, and the best weights are
    kept. With `{caption}` in its prompt each image is learnt by its own caption (BOB, CVPR 2026).
    """

    name: ClassVar[str] = "lora"
    task: ClassVar[str] = "lora"
    decision_options: ClassVar[frozenset[str]] = Trainer.decision_options - {"eval_every"}  # the best of them is kept
    example: ClassVar[Mapping[str, Any]] = {"steps": 2, "size": 32, "rank": 2, "batch": 2}

    model: Annotated[str, Task("fine-tuning")] = Field(
        default="builtin-unclip", description="The diffusion model, to generate with afterwards."
    )
    per: Literal["set", "class", "image"] = Field(
        default="set", description="One LoRA for all images, one of each class, or one of each image."
    )
    rank: int = Field(
        default=16,
        ge=0,
        le=1024,
        description="Rank of the layers: how much a LoRA can hold. Of rank 0 new words (`token`) learn alone, if any.",
    )
    alpha: int | None = Field(
        default=None, ge=1, le=4096, description="The layers are scaled by alpha / rank; as the rank if absent."
    )
    targets: tuple[str, ...] = Field(
        default=(), description="Names of the layers that get a LoRA; those of the attention if absent. Repeatable."
    )
    token: Prompt = Field(
        default="",
        description="A new word whose embedding is learnt, too, such as <{label}> for one of each class; use it in "
        "`prompt`.",
    )
    text_encoder: bool = Field(default=False, description="Fine-tune the text encoders (CLIP), too.")
    size: int | None = Field(
        default=None, ge=8, le=4096, description="Side in px of the squares to train on (the model's own if absent)."
    )
    fit: Literal["stretch", "crop"] = Field(
        default="crop", description="How images become squares: cropped, or stretched whole."
    )
    flip: bool = Field(
        default=False, description="Mirror half of the images; not for what changes its meaning mirrored."
    )
    prompt: CaptionPrompt = Field(
        default="a photo of a {label}",
        description="The prompt of each image; {label} is the class name, {caption} its own caption. Generate with "
        "the same.",
    )
    steps: int = Field(
        default=1000, ge=1, le=10_000_000, description="Steps of the optimiser in all; several LoRAs take turns."
    )
    batch: int = Field(default=4, ge=1, le=16_384, description="Images per step, over all processes.")
    rate: float = Field(default=1e-4, gt=0, le=10, description="Learning rate of AdamW, constant.")
    prior_weight: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="Prior preservation: weight of the loss on images that the model itself makes first; 0 is without.",
    )
    prior_images: int = Field(
        default=4, ge=1, le=1000, description="Prior preservation: how many the model makes for each real image."
    )
    held_out: float = Field(
        default=0.1, ge=0, le=0.5, description="Share of the images to judge by without a validation set or `shots`."
    )
    patience: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Stop after so many evaluations without a lower held-out loss."
    )
    eval_every: int = Field(default=100, ge=1, description="Steps between evaluations; the best weights are kept.")
    recompute: bool = Field(
        default=False, description="Compute activations twice instead of keeping them: less memory, slower."
    )
    revision: str | None = Field(default=None, description="Branch, tag or commit of a hub model.")
    variant: str | None = Field(default=None, description="Variant of the weights' files, such as fp16.")
    allow_pickle: bool = Field(default=False, description="Read pickled weights; such a file can run any code.")
    config: str | None = Field(
        default=None, description="For a single weights file: the directory of its configuration."
    )
    prior: str | None = Field(default=None, description="Kandinsky: directory or hub id of the prior.")

    @field_validator("targets", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str) else given

    def idle_options(self) -> frozenset[str]:
        """As `Stage.idle_options`: without layers what is said of them."""
        return super().idle_options() | (frozenset() if self.rank else frozenset({"alpha", "targets", "text-encoder"}))

    def check(self) -> None:
        """RecipeError where a new word is in no prompt, or not in that of every process."""
        if self.token and self.token not in self.prompt:
            raise RecipeError(f"key 'token': {self.token!r} is not in the prompt", f"prompt: a photo of a {self.token}")
        if self.token and self.processes > 1:
            raise RecipeError("key 'token': new words learn in one process", "leave processes out")

    @property
    def needs_one_label(self) -> bool:
        """One LoRA of each class learns from the images of that class."""
        return self.per == "class"

    @property
    def row(self) -> Model:
        """The model's row of the table."""
        from augforge.models import find_model

        return find_model(self.model, "fine-tuning")

    def packages(self) -> tuple[str, ...]:
        """What the training loop, the model and the low-rank layers run in."""
        return ("accelerate", "torch", "diffusers", "transformers", "peft")

    def roles(self, ledger: Ledger) -> dict[str, Indices]:
        """Real images outside evaluation splits: to learn from, and to judge by."""
        import numpy as np

        learnt = ledger.reference(unlabelled=self.per != "class")
        real = ledger.visible("real")
        held_out = real[np.array([split == "validation" for split in ledger.column("split", real)], dtype=bool)]
        if not len(held_out) and self.per != "image" and self.shots is None:
            apart = self._apart(ledger, learnt)
            learnt, held_out = learnt[~apart], learnt[apart]
        if not len(learnt):
            raise RecipeError("train lora: there is no image to learn from", "give images outside evaluation splits")
        return {"images": learnt, HELD_OUT: held_out}

    def _apart(self, ledger: Ledger, learnt: Indices) -> NDArray[np.bool_]:
        """(n,) which images are held out by a hash; none of a class that would have no other."""
        import numpy as np

        labels = list(ledger.column("label", learnt))
        apart = [unit("held out", i) < self.held_out for i in ledger.column("id", learnt)]
        left = {label for label, out in zip(labels, apart, strict=True) if not out}
        return np.array([out and label in left for label, out in zip(labels, apart, strict=True)], dtype=bool)

    def usable(self, role: str, samples: Sequence[Sample]) -> tuple[Sequence[Sample], str]:
        """As `Trainer.usable`: where the prompt asks for a caption, the images that have one."""
        if CAPTION not in self.prompt:
            return samples, ""
        if role == HELD_OUT:
            return [sample for sample in samples if sample.annotations.get("caption")], ""
        return captioned_of(samples, f"train {self.name}")

    def texts(self, samples: Sequence[Sample]) -> Sequence[str]:
        """As `Trainer.texts`: the captions, where the prompt asks for them."""
        return [words_of(sample) for sample in samples] if CAPTION in self.prompt else ()

    def _own_prompts(self, samples: Sequence[Sample]) -> dict[str, str]:
        """The prompts of single images, by their ids; {} where all of a class have the same."""
        if CAPTION not in self.prompt:
            return {}
        return {each.id: fill(self.prompt, each.label).replace(CAPTION, words_of(each)) for each in samples}

    def verdict(self, measured: Mapping[str, float]) -> str:
        """Says so where the model denoises the images no better than without the LoRA, though something learnt."""
        learnt = self.rank or self.token
        if not learnt or measured["denoising"] < measured["without"]:
            return ""
        return "its images are denoised no better with the LoRA: fewer steps, a smaller rate or another model may help"

    def training_task(self, pictures: Mapping[str, TrainingImages], context: TrainingContext) -> TrainingTask:
        """The training task on the images."""
        from augforge.training.lora.adapters import Size
        from augforge.training.lora.task import LoraOptions, LoraTask

        learnt, held_out = pictures["images"], pictures[HELD_OUT]
        labels = {sample.label for sample in (*learnt.samples, *held_out.samples)}
        options = LoraOptions(
            per=self.per,
            size=Size(self.rank, self.alpha or self.rank, self.targets),
            prompts={label or "": fill(self.prompt, label) for label in labels},
            own_prompts=self._own_prompts([*learnt.samples, *held_out.samples]),
            words={fill(self.token, label): fill("{label}", label) for label in labels} if self.token else {},
            texts=self.text_encoder and self.rank > 0,
            side=self.size or self.row.native or 512,
            fit=self.fit,
            flip=self.flip,
            batch=self.batch // context.accelerator.num_processes,
            rate=self.rate,
            prior_weight=self.prior_weight,
            prior_images=self.prior_images,
            patience=self.patience,
            recompute=self.recompute,
            steps=int(self.row.defaults.get("steps", 20)),
            guidance=float(self.row.defaults.get("guidance", 2.0)),
        )
        return LoraTask(learnt, held_out, self._opened(context), context, options)

    def _opened(self, context: TrainingContext) -> Any:
        """The model, in the precision of the training."""
        from augforge.models.backends import backend_class

        found = backend_class(str(self.row.backend_for("fine-tuning")))
        given = {name: value for name in _LOADING if (value := getattr(self, name)) not in (None, False)}
        dtype = {"no": "fp32", "fp16": "fp16", "bf16": "bf16"}[context.accelerator.mixed_precision]
        backend: Backend = found(self.row, str(context.device), dtype, found.read_options(given))
        return backend
