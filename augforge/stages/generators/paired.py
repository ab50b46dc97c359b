"""New images and masks: varied conditions of real images through a trained pix2pixHD."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from augforge.data.ids import rng
from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.errors import ModelError, RecipeError
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
from augforge.stages.generators.bounds import too_long
from augforge.stages.generators.grouping import places_by
from augforge.stages.stage import Task, words_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.models.translators import PairedDrawer

WAYS = ("flip", "warp", "style")
NOTHING_KNOWN = 255
"""What a label map shows where nothing is known."""


NUMBERS = "masks with the number of a class in every pixel can be pasted into, pictures in colours cannot"


class Paired(Generator):
    """Generate images from varied conditions of real ones, with a model of `train paired`.

    `flip` and `warp` transform image and mask together, before the condition is computed from them; `style` samples a
    style code for every class. The mask goes through the same transform, nearest neighbour, into the dataset.

    `paste` first takes regions of those classes of a label map from another image of the class, at their place: more
    pedestrians in every street, as copy-paste (Ghiasi et al., CVPR 2021) does with pixels. Half come mirrored.
    """

    name: ClassVar[str] = "paired"
    needs_labels: ClassVar[bool] = False
    uses_pictures: ClassVar[frozenset[str] | None] = frozenset({"mask"})
    example: ClassVar[Mapping[str, Any]] = {"per-class": 2}

    model: Annotated[str, Task("paired")] = Field(..., description="The trained model: a directory, or a recipe's.")
    vary: tuple[str, ...] = Field(
        default=("flip", "warp"), description="How conditions are varied: flip, warp, style; or none."
    )
    warp: float = Field(default=0.05, ge=0, le=0.3, description="How far a warp moves a point, as a share of the side.")
    paste: tuple[int, ...] = Field(
        default=(), description="Classes of the label map, such as 9,10, of which regions of another one are pasted."
    )
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        default="auto", description="Precision; auto is fp16 on a GPU."
    )

    @field_validator("vary", mode="before")
    @classmethod
    def _known_ways(cls, vary: Any) -> tuple[str, ...]:
        return words_of(vary, WAYS, nothing="none")

    @field_validator("paste", mode="before")
    @classmethod
    def _classes(cls, paste: Any) -> Any:
        return tuple(word.strip() for word in paste.split(",")) if isinstance(paste, str) else paste

    @field_validator("paste")
    @classmethod
    def _in_a_mask(cls, paste: tuple[int, ...]) -> tuple[int, ...]:
        for value in paste:
            if not 0 <= value < NOTHING_KNOWN:
                raise ValueError(f"{value} is no class of a label map: 0 to {NOTHING_KNOWN - 1}")
        return tuple(sorted(set(paste)))

    def default_batch_size(self, device: str) -> int:
        """A few images at a time: the networks are large."""
        return 8

    def packages(self) -> tuple[str, ...]:
        """What the networks run in."""
        return ("torch", "safetensors")

    def choose_parents(self, pool: Pool, count: int) -> Iterator[tuple[Sample | None, int]]:
        """The images in turn; only once if nothing is varied."""
        return pool.cycle(count if self.vary or self.paste else min(count, len(pool)))

    def sample_params(
        self, label: str | None, parent: Sample | None, pool: Pool, variant: int, seed: int
    ) -> SampledParams:
        """Whose regions are pasted, whether to flip, how to warp, and a seed for sampling styles."""
        from augforge.algorithms.geometry import draw_flip, draw_warp

        parent = required(parent)
        ops = []
        if "flip" in self.vary and (flip := draw_flip(rng(seed, "flip"))) is not None:
            ops.append(flip.plain())
        if "warp" in self.vary:
            ops.append(draw_warp(rng(seed, "warp"), self.warp).plain())
        sampled_params: dict[str, Any] = {"variant": variant, "geometry": ops}
        if "style" in self.vary:
            sampled_params["style-seed"] = int(rng(seed, "style").integers(2**31))
        other = pool.partner(parent, variant, lambda sample: "mask" in sample.pictures) if self.paste else None
        if other is None:
            return [parent], sampled_params
        return [parent, other], {
            **sampled_params,
            "paste": list(self.paste),
            "mirrored": draw_flip(rng(seed, "mirrored")) is not None,
        }

    def load(self, device: str) -> LoadedGenerator:
        """Load the model."""
        require("torch")
        from augforge.models.translators import PairedDrawer

        drawer = PairedDrawer(self.model, device, self.dtype)
        self._check(drawer)

        def make(batch: Sequence[GenerationInput]) -> list[GeneratedImage]:
            views = [drawer.view(*_varied(item), item.job.parents[0].label) for item in batch]
            seeds = [item.job.sample.sampled_params.get("style-seed") for item in batch]
            made: dict[int, GeneratedImage] = {}
            for places in places_by([view.shape for view in views]):
                pictures = drawer.draw([views[place] for place in places], [seeds[place] for place in places])
                for place, pixels in zip(places, pictures, strict=True):
                    made[place] = GeneratedImage(pixels, pictures=_named(views[place].mask))
            return [made[place] for place in range(len(batch))]

        def refusal(job: Job) -> str:
            if self.paste and len(job.parents) < 2:
                return "there is no other image of its class with a mask to paste regions from"
            return too_long(job.parents[0].width, job.parents[0].height, drawer.size)

        return LoadedGenerator(make, drawer.facts, refusal=refusal)

    def _check(self, drawer: PairedDrawer) -> None:
        """Refuse what this model cannot do."""
        if "style" in self.vary and not drawer.has_styles:
            raise RecipeError(
                f"generate paired: {self.model!r} has no style codes", "train with `style`, or vary without"
            )
        if self.paste and drawer.condition != "labelmap":
            raise RecipeError(
                f"generate paired: {self.model!r} draws from `{drawer.condition}`, and `paste` changes a label map",
                "train with `condition: labelmap`, or leave `paste` out",
            )
        if beyond := [value for value in self.paste if value >= drawer.values]:
            raise RecipeError(
                f"generate paired: {self.model!r} knows the classes 0 to {drawer.values - 1}; "
                f"`paste` names {beyond[0]}",
                "name classes of the label maps that it was trained with",
            )


def _named(mask: Any) -> dict[str, Any]:
    return {} if mask is None else {"mask": mask}


def _varied(item: GenerationInput) -> tuple[Any, Any]:
    """Image and mask of the parent after the drawn geometry."""
    import numpy as np

    from augforge.algorithms.geometry import Geometry
    from augforge.data.images import decode_condition

    geometry = Geometry.from_plain(item.job.sample.sampled_params["geometry"])
    mask = item.pictures[0].get("mask") if item.pictures else None
    image = geometry.apply(np.asarray(item.images[0]))
    if mask is None:
        return image, None
    shown = decode_condition(mask)
    if (other := _other_mask(item)) is not None:
        shown = with_regions(shown, other, item.job.sample.sampled_params["paste"])
    return image, geometry.apply_label(shown) if shown.ndim == 2 else geometry.apply(shown)


def _other_mask(item: GenerationInput) -> Any:
    """The label map of the second parent, perhaps mirrored; None where there is none."""
    from augforge.data.images import decode_condition

    if len(item.job.parents) < 2:
        return None
    shown = decode_condition(item.pictures[1]["mask"])
    return shown[:, ::-1] if item.job.sample.sampled_params["mirrored"] else shown


def with_regions(mask: NDArray[np.uint8], other: NDArray[np.uint8], classes: Sequence[int]) -> NDArray[np.uint8]:
    """(h, w) a label map with the regions of `classes` of another (any size: it is stretched), at their place."""
    import numpy as np
    from PIL import Image

    from augforge.algorithms.mix.pixels import pasted

    for one in (mask, other):
        if one.ndim > 2:
            raise ModelError(f"a label map has one channel, not {one.shape[2]}: {NUMBERS}")
    stretched = Image.fromarray(np.ascontiguousarray(other)).resize(mask.shape[::-1], Image.Resampling.NEAREST)
    theirs = np.asarray(stretched)
    return pasted(mask, theirs, np.isin(theirs, classes))
