"""Latent shift: an image is moved in the latent space of an autoencoder, where its class varies."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from augforge.data.ids import rng
from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.optional import require
from augforge.stages.generator import (
    GeneratedImage,
    GenerationInput,
    Generator,
    Job,
    LoadedGenerator,
    SampledParams,
    required,
)
from augforge.stages.generators.bounds import too_large
from augforge.stages.generators.grouping import places_by
from augforge.stages.stage import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from augforge.models.autoencoder import Autoencoder

REMEMBERED = 256
"""Latents that are kept, for images that others are compared with."""


class LatentShift(Generator):
    """Shift images in the latent space of an autoencoder, so that they still show what they show.

    After *Robust Training Using Natural Transformation* (NaTra), which shifts the latents of a GAN. `principal` goes
    along the directions in which the images of the class differ most: the principal components of the latents of the
    image and its `neighbours`. `style` changes each channel's mean and spread, and so colours and textures but not the
    layout. What the autoencoder loses of an image is put back: amplitude 0 gives the image to the byte. Follow it
    with `filter label-preserved`, which judges whether the label was kept.
    """

    name: ClassVar[str] = "latent-shift"
    needs_labels: ClassVar[bool] = False
    uses_pictures: ClassVar[frozenset[str] | None] = None
    example: ClassVar[Mapping[str, Any]] = {"per-class": 2, "neighbours": 3}

    model: Annotated[str, Task("autoencoder")] = Field(
        ..., description="The autoencoder: a directory of diffusers' AutoencoderKL, or a pipeline that has one."
    )
    direction: Literal["principal", "style"] = Field(
        default="principal", description="principal: how the class varies; style: means and spreads of the channels."
    )
    amplitude: float = Field(
        default=0.5, ge=0, le=10, description="The farthest in each direction, in standard deviations; 0 is none."
    )
    components: int = Field(default=4, ge=1, le=64, description="principal: directions that it goes along.")
    neighbours: int = Field(default=8, ge=1, le=64, description="principal: other images of the class it looks at.")
    detail: bool = Field(
        default=True, description="Put back what the autoencoder loses; without, amplitude 0 is its reconstruction."
    )
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        default="auto", description="Precision; auto is fp32 on the CPU."
    )

    def default_batch_size(self, device: str) -> int:
        """A few images at a time: they keep their own, possibly large, size."""
        return 8

    def packages(self) -> tuple[str, ...]:
        """What the autoencoder runs in."""
        return ("diffusers", "torch")

    def sample_params(
        self, label: str | None, parent: Sample | None, pool: Pool, variant: int, seed: int
    ) -> SampledParams:
        """The image and its neighbours, and how far to go along each direction; `style` draws when it knows them."""
        parent = required(parent)
        if self.direction == "style":
            return [parent], {"variant": variant}
        near = (pool.partner(parent, self.neighbours * variant + number) for number in range(self.neighbours))
        others = {sample.id: sample for sample in near if sample is not None}
        strengths = rng(seed, "strengths").uniform(-self.amplitude, self.amplitude, self.components)
        return [parent, *others.values()], {"variant": variant, "strengths": strengths.round(6).tolist()}

    def load(self, device: str) -> LoadedGenerator:
        """Load the autoencoder."""
        require("torch", "diffusers", who="latent-shift", extra="generate")
        from augforge.models.autoencoder import Autoencoder

        shifter = _Shifter(self, Autoencoder(self.model, device, self.dtype))
        return LoadedGenerator(shifter.make, shifter.model.facts, refusal=_refusal)


class _Shifter:
    """Shifts images by a stage's options, with an autoencoder that is loaded."""

    def __init__(self, stage: LatentShift, model: Autoencoder) -> None:
        self.stage, self.model = stage, model
        self._known: OrderedDict[tuple[str, tuple[int, int]], NDArray[np.float32]] = OrderedDict()

    def make(self, batch: Sequence[GenerationInput]) -> list[GeneratedImage]:
        """A shifted image of each, those of one size together; each once, as a batch is filled up with copies."""
        items = {item.job.sample.id: item for item in batch}
        names, made = list(items), dict[str, GeneratedImage]()
        for places in places_by([items[name].images[0].size for name in names]):
            group = [items[names[place]] for place in places]
            made |= {item.job.sample.id: image for item, image in zip(group, self._alike(group), strict=True)}
        return [made[item.job.sample.id] for item in batch]

    def _alike(self, group: Sequence[GenerationInput]) -> list[GeneratedImage]:
        """Of images of one size."""
        import numpy as np

        from augforge.data.pictures import kind_of

        latents = [self._latent(item, 0) for item in group]
        shifts = [self._shift(item, latent) for item, latent in zip(group, latents, strict=True)]
        moved = np.stack([latent + shift for latent, (shift, _) in zip(latents, shifts, strict=True)])
        size = group[0].images[0].size[::-1]
        after, made = self.model.decode(moved, size), []
        before = self.model.decode(np.stack(latents), size) if self.stage.detail else after
        for place, (item, (shift, facts)) in enumerate(zip(group, shifts, strict=True)):
            pixels = after[place]
            if self.stage.detail:  # a shift of nothing adds nothing, whatever the last bits of two decodings are
                whole = np.asarray(item.images[0], np.float32) / np.float32(255)
                pixels = whole + (after[place] - before[place]) if shift.any() else whole
            stored = item.pictures[0] if item.pictures else {}
            pictures = {name: kind_of(name).decoded(data) for name, data in stored.items()}
            said, problem = item.job.parents[0].annotations, self._problem(item)
            made.append(GeneratedImage(pixels.clip(0, 1), facts, pictures, said, problem=problem))
        return made

    def _problem(self, item: GenerationInput) -> str:
        """Why there is no direction to go."""
        if self.stage.direction == "style" or len(item.images) > 1:
            return ""
        return "its class has no other image, and so no direction in which it varies"

    def _shift(
        self, item: GenerationInput, latent: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], dict[str, list[float]]]:
        """The shift of a latent (c, h, w), and what is recorded of it."""
        from augforge.algorithms.latents import principal_directions, principal_shift, style_shift

        sample, amplitude = item.job.sample, self.stage.amplitude
        if self.stage.direction == "style":
            drawn = rng(sample.seed or 0, "style").uniform(-amplitude, amplitude, (2, self.model.channels)).round(6)
            gains, offsets = drawn.tolist()
            return style_shift(latent, gains, offsets), {"gains": gains, "offsets": offsets}
        others = [self._latent(item, place) for place in range(1, len(item.images))]
        directions = principal_directions([latent, *others])
        return principal_shift(directions, sample.sampled_params["strengths"], latent.shape), {}

    def _latent(self, item: GenerationInput, place: int) -> NDArray[np.float32]:
        """The latent (c, h, w) of one of the images, in the size of the first; always computed alone."""
        size = item.images[0].size
        name = (item.job.parents[place].digest, size)
        if name not in self._known:
            self._known[name] = self.model.encode([_fitted(item.images[place], size)])[0]
        self._known.move_to_end(name)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return self._known[name]


def _fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    from PIL.Image import Resampling

    return image if image.size == size else image.resize(size, Resampling.BICUBIC)


def _refusal(job: Job) -> str:
    return too_large(job.parents[0].width, job.parents[0].height, "resize it first")
