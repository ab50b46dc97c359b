"""What all diffusion stages share: the model and how it runs, prompts, guidance, and a retry in full precision."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from augforge.data import images
from augforge.data.files import is_file
from augforge.errors import ModelError, RecipeError
from augforge.models.backends.memory import free_memory, largest_batch, memory_of
from augforge.stages.generator import MOST_AT_ONCE, GeneratedImage, GenerationInput, Generator, LoadedGenerator
from augforge.stages.generators.loras import WithLoras
from augforge.stages.generators.prompted import PromptedGenerator
from augforge.stages.stage import AsksAboutClasses

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.data.pool import Pool
    from augforge.data.sample import Sample
    from augforge.models.backends import Backend
    from augforge.models.backends.options import Options
    from augforge.models.table import Model

BackendName = Literal[
    "auto",
    "unclip",
    "kandinsky-2.2",
    "ip-adapter",
    "ip-adapter-flux",
    "ip-adapter-sd3",
    "redux",
    "variation",
    "image-to-image",
    "references",
    "text-to-image",
    "class-conditional",
    "inpainting",
    "controlnet",
    "t2i-adapter",
    "unconditional",
]
MOST_PX = 16_384
_RUN = ("revision", "variant", "allow_pickle", "config", "scheduler", "attention", "cache", "compile")
_ALSO = ("micro_batch", "decode_batch", "adapter", "adapter_subfolder", "adapter_weights", "image_encoder", "prior")


class DiffusionGenerator(AsksAboutClasses, WithLoras, PromptedGenerator):
    """Options and execution of a diffusion model; a stage adds the conditioning."""

    task: ClassVar[str]
    trial: ClassVar[str] = "then tried on two made-up rows"
    ways_out: ClassVar[str] = "name a model for real work (augforge list models)"
    decision_options: ClassVar[frozenset[str]] = Generator.decision_options | {
        "any_class",
        "micro_batch",
        "decode_batch",
    }

    negative: str = Field(default="", description="The negative prompt.")
    perp_neg: tuple[str, ...] = Field(
        default=(), description="Guide away from a text by Perp-Neg: TEXT=WEIGHT, repeatable."
    )
    negtome: str = Field(
        default="off", description="NegToMe: push images apart within a `batch`, or away from an image FILE."
    )
    negtome_alpha: float = Field(default=0.9, ge=0, le=100, description="NegToMe: strength of the push.")
    negtome_threshold: float = Field(
        default=0.7, ge=-1, le=1, description="NegToMe: cosine above which tokens are pushed."
    )
    negtome_min_side: int = Field(
        default=32, ge=1, le=4096, description="NegToMe: least side, in tokens, of the layers it acts on."
    )
    guidance: float | None = Field(
        default=None, ge=0, le=1000, description="Classifier-free guidance scale (the model's own if absent)."
    )
    steps: int | None = Field(default=None, ge=1, le=1000, description="Denoising steps (the model's own if absent).")
    width: int | None = Field(default=None, ge=8, le=MOST_PX, description="Width in px (the model's own if absent).")
    height: int | None = Field(default=None, ge=8, le=MOST_PX, description="Height in px (the model's own if absent).")
    validation: float = Field(
        default=0.0, ge=0, le=1, description="Share of the new images that goes into the split `validation`."
    )
    backend: BackendName = Field(
        default="auto", description="How the model is conditioned, where it can be in several ways."
    )
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        default="auto", description="Precision; auto is fp32 on the CPU."
    )
    revision: str | None = Field(default=None, description="Branch, tag or commit of a hub model.")
    variant: str | None = Field(default=None, description="Variant of the weights' files, such as fp16.")
    allow_pickle: bool = Field(default=False, description="Read pickled weights; such a file can run any code.")
    config: str | None = Field(
        default=None, description="For a single weights file: the directory of its configuration."
    )
    scheduler: str | None = Field(default=None, description="A diffusers scheduler class, such as LCMScheduler.")
    attention: str | None = Field(
        default=None, description="An attention backend of diffusers, such as native or flash."
    )
    cache: str | None = Field(default=None, description="A step cache of diffusers: first-block or pyramid.")
    compile: bool = Field(default=False, description="Compile the denoiser; the first batch then takes minutes.")
    micro_batch: int | None = Field(
        default=None, ge=1, le=MOST_AT_ONCE, description="Denoise at most this many images at once."
    )
    decode_batch: int | None = Field(
        default=None, ge=1, le=MOST_AT_ONCE, description="Decode at most this many images at once."
    )
    adapter: str | None = Field(default=None, description="IP-Adapter: its directory, file or hub id.")
    adapter_subfolder: str | None = Field(default=None, description="IP-Adapter: the folder of the weights.")
    adapter_weights: str | None = Field(default=None, description="IP-Adapter: the file name of the weights.")
    image_encoder: str | None = Field(default=None, description="IP-Adapter: the folder of the image encoder.")
    prior: str | None = Field(default=None, description="Kandinsky, Redux: directory or hub id of the prior.")

    @field_validator("perp_neg")
    @classmethod
    def _weights(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for entry in given:
            _text_and_weight(entry)
        return given

    def check_batch(self) -> None:
        """Refuse `batch: auto` where the images depend on their batch."""
        if self.batch_dependent and self.batch == "auto":
            raise RecipeError("key 'batch': these images influence each other, so it cannot be auto", "give a number")

    def default_batch_size(self, device: str) -> int:
        """32 on the CPU; with CUDA the largest power of two up to 256 whose memory was measured to fit.

        1 where each row is a call of its own, or has LoRAs of its own, so that no batch is filled up with calls for
        nothing, and on MPS, where diffusers advises against batches: they can fail.
        """
        from augforge.models.backends import backend_class
        from augforge.models.devices import kind_of, pick_device

        if backend_class(self.backend_name).one_by_one or self.has_loras_of_images:
            return 1
        if (kind := kind_of(pick_device(device))) != "cuda":
            return 1 if kind == "mps" else 32
        backend = self._open(device, self.dtype)
        return largest_batch(lambda size: memory_of(backend, size, self._guidance), free_memory())

    @property
    def batch_dependent(self) -> bool:
        """True with NegToMe within a batch and with step caches: the images of a batch influence each other."""
        return self.negtome == "batch" or self.cache is not None

    @property
    def row(self) -> Model:
        """The model's row of the table."""
        from augforge.models import find_model

        return find_model(getattr(self, "model"), self.task)  # noqa: B009  # every subclass declares `model`

    @property
    def backend_name(self) -> str:
        """The back-end that this stage runs the model in."""
        return str(self.row.backend_for(self.task)) if self.backend == "auto" else self.backend

    def packages(self) -> tuple[str, ...]:
        """What the diffusion models run in."""
        return ("diffusers", "torch", "transformers", *(["peft"] if self.lora else []))

    def companions(self) -> tuple[str, ...]:
        """The adapter or the prior."""
        return self._backend_options.locations()

    def check_weights(self) -> None:
        """ModelError where an adapter or a prior can be had from nowhere."""
        from augforge.models.hub import check_location

        for location in self.companions():
            check_location(location, task=self.task)

    def check(self) -> None:
        """Refuse, before anything is loaded, a back-end that cannot do the task and guidance that reads no text."""
        from augforge.models.tasks import TASKS

        super().check()
        self.check_batch()
        name = self.backend_name
        self.check_loras(name)
        if name not in TASKS[self.task]:
            raise RecipeError(f"key 'backend': {name} cannot do {self.task}", "use " + " or ".join(TASKS[self.task]))
        if not self.reads_prompt and (self.negative or self.perp_neg):
            raise RecipeError(f"{name} reads no text, and so no negative prompt", "leave negative and perp-neg out")
        if self.perp_neg and self._guidance <= 1:
            raise RecipeError(f"perp-neg needs guidance above 1, not {self._guidance:g}", "raise guidance")
        if self.negtome not in ("off", "batch") and not is_file(self.negtome):
            raise RecipeError(f"key 'negtome': there is no image {self.negtome!r}", "give off, batch or an image file")
        self._check_size()

    def check_known(self, names: Sequence[str]) -> None:
        """ModelError for a class that the model does not know; no rehearsal makes one that reads no text know it."""
        from augforge.models import unknown_classes

        super().check_known(names)
        if self.backend_name != "class-conditional" or (known := self.row.knows) is None:
            return
        if unknown := unknown_classes(names, known):
            raise ModelError(
                f"generate {self.name}: the model {self.row.name!r} knows no class {unknown[0]!r}",
                "name classes as the model's id2label does, or use a model that reads text",
            )

    def _check_size(self) -> None:
        """Refuse a width or height that the model cannot make; its configuration is read only if one is given."""
        from augforge.models.backends.sizes import check_size, size_multiple

        given = {side: px for side in ("width", "height") if (px := getattr(self, side)) is not None}
        if given:
            check_size(given, size_multiple(self.row, self.backend_name, self.revision), self.row.name)

    @property
    def _guidance(self) -> float:
        return float(self.row.defaults.get("guidance", 7.5)) if self.guidance is None else self.guidance

    @property
    def is_guided(self) -> bool:
        """Whether classifier-free guidance is on."""
        return self._guidance > 1

    @property
    def _steps(self) -> int:
        return int(self.row.defaults.get("steps", 50)) if self.steps is None else self.steps

    @property
    def reads_prompt(self) -> bool:
        """Whether the back-end reads text."""
        from augforge.models.backends import backend_class

        return bool(backend_class(self.backend_name).reads_prompt)

    def also_drawn(self, label: str | None, parents: Sequence[Sample], pool: Pool, seed: int) -> Mapping[str, Any]:
        """The LoRAs of an image, where they are of classes or images."""
        return self.drawn_loras(label, parents, pool, seed)

    @abstractmethod
    def condition(self, batch: Sequence[GenerationInput], backend: Backend) -> Mapping[str, Any]:
        """The fields of the request that hold the conditioning of a batch."""

    def load(self, device: str) -> LoadedGenerator:
        """Load the model; an image that comes out broken is generated once more in full precision."""
        backend = self._open(device, self.dtype)
        wider: list[Backend] = []

        def make(batch: Sequence[GenerationInput]) -> list[GeneratedImage]:
            pictures = self._run(batch, backend)
            broken = [index for index, picture in enumerate(pictures) if images.degenerate(picture.pixels)]
            if broken and backend.facts["dtype"] != "float32":
                if not wider:
                    wider.append(self._open(device, "fp32"))
                again = self._run(batch, wider[0])
                for index in broken:
                    facts = {**again[index].facts, "retried-in": "float32"}
                    pictures[index] = replace(again[index], facts=facts)
            return pictures

        return LoadedGenerator(make, {**backend.facts, "steps": self._steps, "guidance": self._guidance})

    @property
    def _given_options(self) -> dict[str, Any]:
        """The options of the back-end that the recipe or the model's row names."""
        from augforge.models.backends import backend_class

        given = {option: getattr(self, option) for option in (*_RUN, *_ALSO)}
        known = {option: value for option, value in given.items() if value not in (None, False)}
        takes = {field.name for field in fields(backend_class(self.backend_name).options)}
        fit = {option: value for option, value in self.row.options.items() if option in takes}
        return {**fit, **known}

    @property
    def _backend_options(self) -> Options:
        from augforge.models.backends import backend_class

        return backend_class(self.backend_name).read_options(self._given_options)

    def _open(self, device: str, dtype: str) -> Backend:
        from augforge.models.backends import open_backend

        loras = {"loras": tuple(self.lora_rows)} if self.lora else {}
        return open_backend(self.backend_name, self.row, device, dtype, **self._given_options, **loras)

    def _run(self, batch: Sequence[GenerationInput], backend: Backend) -> list[GeneratedImage]:
        from augforge.models.backends import Request

        drawn = [item.job.sample for item in batch]
        request = Request(
            prompts=[str(sample.sampled_params.get("prompt", "")) for sample in drawn],
            negatives=[self.negative] * len(batch),
            seeds=[sample.seed or 0 for sample in drawn],
            steps=self._steps,
            guidance=self._guidance,
            loras=[sample.sampled_params.get("loras", {}) for sample in drawn],
            labels=[str(sample.label) for sample in drawn] if backend.labels else None,
            **{"size": self._size(backend), **self.condition(batch, backend)},
        )
        with self._guided(backend):
            made: NDArray[np.float32] = backend.generate(request)
        return [GeneratedImage(pixels) for pixels in made]

    def _size(self, backend: Backend) -> tuple[int, int] | None:
        if self.width is None and self.height is None:
            return None
        native: tuple[int, int] = getattr(backend, "native_size", None) or (512, 512)
        return (self.width or native[0], self.height or native[1])

    @contextmanager
    def _guided(self, backend: Any) -> Iterator[None]:
        from augforge.algorithms.guidance import encode_reference, negtome, perp_neg_guidance

        with ExitStack() as stack:
            if self.perp_neg:
                pairs = [_text_and_weight(entry) for entry in self.perp_neg]
                stack.enter_context(perp_neg_guidance(backend.pipe, pairs))
            if self.negtome != "off":
                strength: dict[str, Any] = {
                    "alpha": self.negtome_alpha,
                    "threshold": self.negtome_threshold,
                    "min_side": self.negtome_min_side,
                }
                if self.negtome != "batch":
                    picture = images.decode(Path(self.negtome).read_bytes())
                    width, height = self._size(backend) or backend.native_size
                    strength["reference"] = encode_reference(backend.pipe, picture, height, width)
                stack.enter_context(negtome(backend.pipe, **strength))
            yield


def _text_and_weight(entry: str) -> tuple[str, float]:
    """The two halves of TEXT=WEIGHT; the weight is 1 where there is none."""
    text, equals, weight = entry.rpartition("=")
    if not equals:
        return entry, 1.0
    try:
        return text, float(weight)
    except ValueError:
        raise ValueError(f"{entry!r} is not TEXT=WEIGHT") from None
