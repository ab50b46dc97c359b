"""Day to night: real images through a trained translator, with their masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from augforge.data.ids import rng, unit
from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.optional import require
from augforge.stages.generator import (
    GeneratedImage,
    GenerationInput,
    Job,
    LoadedGenerator,
    SampledParams,
    required,
)
from augforge.stages.generators.bounds import too_large, too_long
from augforge.stages.generators.following import FollowingGenerator
from augforge.stages.generators.grouping import places_by
from augforge.stages.stage import Share, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from augforge.algorithms.geometry import Geometry

LEAST_CROP = 0.8


class Night(FollowingGenerator):
    """Translate real images to night with a model of `train night`.

    Which images are translated is decided by a hash of their id (after Dark Side Augmentation, which hashes the file
    name): a larger `ratio` only adds images. With an amount (`per-class` and the like) instead of a ratio, images
    are translated in turn, and from the second time on with a random crop and flip, as in training.
    """

    name: ClassVar[str] = "night"
    needs_labels: ClassVar[bool] = False
    decision_options: ClassVar[frozenset[str]] = FollowingGenerator.decision_options | {"ratio"}
    example: ClassVar[Mapping[str, Any]] = {"per-class": 2}

    model: Annotated[str, Task("night")] = Field(..., description="The trained translator: a directory, or a recipe's.")
    ratio: Share | None = Field(
        default=None, description="Translate this share of the images (0.25 if no amount is given)."
    )
    label: str | None = Field(default=None, description="Class of the translated images (their parent's if absent).")
    size: int | None = Field(
        default=None, ge=16, le=16_384, description="Shorter side in px of the result (the image's own if absent)."
    )
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        default="auto", description="Precision; auto is fp16 on a GPU."
    )

    @model_validator(mode="after")
    def _ratio_or_amount(self) -> Night:
        if self.ratio is not None and self.has_amount:
            raise ValueError("ratio excludes per-class, balance-to and real-to-synthetic: give one")
        return self

    def default_batch_size(self, device: str) -> int:
        """A few images at a time: they keep their own, possibly large, size."""
        return 8

    def child_label(self, label: str | None) -> str | None:
        """The class of what is generated from an image of class `label`."""
        return self.label or label

    @property
    def balances(self) -> bool:
        """Without an amount every image has its turn once."""
        return self.balance_to is not None

    def target_counts(self, counts: Mapping[str | None, float]) -> dict[str | None, int]:
        """As for every generator; with a ratio, `choose_parents` decides."""
        return super().target_counts(counts) if self.has_amount else {label: int(n) for label, n in counts.items()}

    def packages(self) -> tuple[str, ...]:
        """What the networks run in."""
        return ("torch", "safetensors")

    def choose_parents(self, pool: Pool, count: int) -> Iterator[tuple[Sample | None, int]]:
        """Every image whose hash is below the ratio once; or the images in turn."""
        if self.has_amount:
            yield from pool.cycle(count)
            return
        ratio = 0.25 if self.ratio is None else self.ratio
        yield from ((sample, 0) for sample in pool.samples if unit("night", sample.id) < ratio)

    def sample_params(
        self, label: str | None, parent: Sample | None, pool: Pool, variant: int, seed: int
    ) -> SampledParams:
        """Nothing the first time, then a random crop and flip."""
        parent = required(parent)
        if variant == 0:
            return [parent], {"variant": 0}
        random = rng(seed, "view")
        return [parent], {"variant": variant, "crop": _draw_crop(parent, random), "flip": bool(random.random() < 0.5)}

    def load(self, device: str) -> LoadedGenerator:
        """Load the translator."""
        require("torch")
        from augforge.models.translators import NightTranslator
        from augforge.stages.generators.night_likeness import MadeNights

        translator = NightTranslator(self.model, device, self.dtype)
        seen = MadeNights(translator.reference, translator.size)

        def make(batch: Sequence[GenerationInput]) -> list[GeneratedImage]:
            views = [self._view(item) for item in batch]
            made: list[GeneratedImage | None] = [None] * len(batch)
            for places in places_by([view.size for view in views]):
                pictures = translator.translate([views[place] for place in places])
                for place, pixels in zip(places, pictures, strict=True):
                    made[place] = self._followed(batch[place], pixels)
                    seen.add(batch[place].job.sample.id, views[place], pixels)
            return [picture for picture in made if picture is not None]

        return LoadedGenerator(make, translator.facts, seen.summary, self._refusal)

    def _refusal(self, job: Job) -> str:
        width, height = job.parents[0].width, job.parents[0].height
        return too_large(width, height) if self.size is None else too_long(width, height, self.size)

    def _followed(self, item: GenerationInput, pixels: NDArray[np.float32]) -> GeneratedImage:
        """A translated image with what its parent's mask and annotations became."""
        parent, moves = item.job.parents[0], self._geometry(item)
        pictures, said = self.pictures_after(item, moves), self.annotations_after(parent, moves)
        return GeneratedImage(pixels, self.moved_by(parent, moves), pictures=pictures, annotations=said)

    def _geometry(self, item: GenerationInput) -> Geometry:
        """What `_view` does, as operations."""
        from augforge.algorithms.geometry import Crop, Flip, Geometry, Op, Resize

        sampled_params, parent = item.job.sample.sampled_params, item.job.parents[0]
        left, top, right, bottom = sampled_params.get("crop", (0, 0, parent.width, parent.height))
        ops: list[Op] = [Crop(top, left, bottom - top, right - left)]
        ops += [Flip()] if sampled_params.get("flip") else []
        if self.size is not None:
            scale = self.size / min(bottom - top, right - left)
            ops.append(Resize(round((bottom - top) * scale), round((right - left) * scale)))
        return Geometry(tuple(ops))

    def _view(self, item: GenerationInput) -> Image.Image:
        """The input image: of the parent, perhaps a part of it, mirrored and resized."""
        from PIL import Image

        image, sampled_params = item.images[0], item.job.sample.sampled_params
        if "crop" in sampled_params:
            left, top, right, bottom = sampled_params["crop"]
            image = image.crop((left, top, right, bottom))
        if sampled_params.get("flip"):
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.size is not None:
            scale = self.size / min(image.size)
            sides = (round(image.width * scale), round(image.height * scale))
            image = image.resize(sides, Image.Resampling.BICUBIC)
        return image


def _draw_crop(parent: Sample, random: np.random.Generator) -> list[int]:
    """Left, top, right, bottom of a part with 0.8 to 1 of each side."""
    share = random.uniform(LEAST_CROP, 1.0)
    width, height = max(1, round(parent.width * share)), max(1, round(parent.height * share))
    left, top = int(random.integers(parent.width - width + 1)), int(random.integers(parent.height - height + 1))
    return [left, top, left + width, top + height]
