"""Inpaint: objects or backgrounds painted anew, and not a bit of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from augforge.data.files import digest_of, is_file
from augforge.data.ids import rng
from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.errors import RecipeError
from augforge.stages.generator import GeneratedImage, GenerationInput, Job, LoadedGenerator, SampledParams, required
from augforge.stages.generators.bounds import too_large
from augforge.stages.generators.diffusion import DiffusionGenerator
from augforge.stages.stage import Share, Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from augforge.algorithms.inpainting import Region, Said, Thing, Weights
    from augforge.models.backends import Backend

SOURCES = ("auto", "boxes", "instances", "mask", "made-up")
REACH = 0.02
"""The share of the shorter side by which things are grown, and over which paint fades, unless said otherwise."""


@dataclass(frozen=True, slots=True)
class Painting:
    """What of an image is painted: how much of each pixel, what is replaced, and the part that the model is shown."""

    weights: Weights
    region: Region
    names: tuple[str, ...]
    shown: tuple[int, int, int, int]


class Inpaint(DiffusionGenerator):
    """Replace objects of images, or what is around them, by an inpainting model; the rest stays to the bit.

    Things come from the boxes and their outlines, the companion pictures `instances` or `mask`, a FILE that is white
    where they are, or are made up: a rectangle. They are grown by `dilate` px, and over `feather` px more the paint
    fades into the image. What lies further off is the parent's, bit by bit, whatever the model does, and so is what
    lies within the outlines of other things. What is said of a replaced thing is kept, dropped or renamed; the depth of
    what was painted is unknown. An image in which there is nothing to replace is dropped.
    """

    name: ClassVar[str] = "inpaint"
    task: ClassVar[str] = "inpainting"
    needs_labels: ClassVar[bool] = False
    uses_pictures: ClassVar[frozenset[str] | None] = frozenset({"mask", "instances", "depth"})
    example: ClassVar[Mapping[str, Any]] = {"per-class": 2, "things": "made-up", "steps": 2}

    model: Annotated[str, Task("inpainting")] = Field(default="sd15", description="The diffusion model.")
    paint: Literal["objects", "one", "background"] = Field(
        default="objects",
        description="What is painted: the chosen things, one of them by the seed, or all around them.",
    )
    things: str = Field(
        default="auto",
        description="Where things are: boxes, instances, mask, made-up or an image FILE, white where they are; auto is"
        " the first of these three that there is.",
    )
    classes: tuple[str, ...] = Field(
        default=(), description="Choose these things only: labels of boxes, numbers in the picture; repeatable."
    )
    label: str = Field(
        default="keep", description="What is said of a replaced thing: keep, drop, or the label of what is painted."
    )
    mask_value: int = Field(
        default=0, ge=0, le=255, description="Number in the mask of what was replaced, unless its label is kept."
    )
    dilate: int | None = Field(
        default=None, ge=0, le=4096, description="Px by which things are grown; 0.02 of the shorter side if absent."
    )
    feather: int | None = Field(
        default=None, ge=0, le=4096, description="Px over which the paint then fades; 0.02 of the side if absent."
    )
    context: float | None = Field(
        default=None,
        ge=0,
        le=16,
        description="Show the model only what is painted and this share of its sides around it (all if absent).",
    )
    share: Share = Field(default=0.2, description="Share of the image that a made-up thing covers.")

    @model_validator(mode="after")
    def _label_fits(self) -> Inpaint:
        if self.paint == "background" and self.label not in ("keep", "drop"):
            raise ValueError("a background gets no label: give keep or drop, which is what the mask says of it then")
        return self

    def check(self) -> None:
        """Refuse a file that is not there."""
        super().check()
        if self.things not in SOURCES and not is_file(self.things):
            raise RecipeError(
                f"key 'things': there is no image {self.things!r}", f"give {', '.join(SOURCES)} or a file"
            )

    def measured_options(self) -> dict[str, Any]:
        """The options that a stored result depends on: of a file its content."""
        options = super().measured_options()
        return {**options, "things": digest_of(Path(self.things))} if self._file else options

    def child_label(self, label: str | None) -> str | None:
        """The class of an image whose things were replaced is said as theirs is."""
        if self.paint == "background" or self.label == "keep":
            return label
        return None if self.label == "drop" else self.label

    def sample_params(
        self, label: str | None, parent: Sample | None, pool: Pool, variant: int, seed: int
    ) -> SampledParams:
        """One parent, and the prompt, of the label that is painted; which things follows from the seed."""
        shown = self.child_label(label) or label or ""
        return [required(parent)], {"variant": variant, **self.prompt_of(shown, seed)}

    def load(self, device: str) -> LoadedGenerator:
        """Load the model; an image without things is refused before it is read."""
        return replace(super().load(device), refusal=self._refusal)

    def condition(self, batch: Sequence[GenerationInput], backend: Backend) -> Mapping[str, Any]:
        """What the model is shown, and what of it is to be painted, as `_run` hands them on."""
        import numpy as np

        masks = [np.asarray(item.images[1]) > 0 for item in batch]
        return {"images": [item.images[0] for item in batch], "masks": masks}

    def _run(self, batch: Sequence[GenerationInput], backend: Backend) -> list[GeneratedImage]:
        """Paint what there is to paint, each image once: a batch is filled up with copies."""
        items = {item.job.sample.id: item for item in batch}
        plans = {name: self._painting(item) for name, item in items.items()}
        asked = [_as_shown(items[name], plan) for name, plan in plans.items() if plan.weights.any()]
        made = super()._run(asked, backend) if asked else []
        paints = {item.job.sample.id: image.pixels for item, image in zip(asked, made, strict=True)}
        done = {name: self._made(items[name], plan, paints.get(name)) for name, plan in plans.items()}
        return [done[item.job.sample.id] for item in batch]

    def _made(self, item: GenerationInput, plan: Painting, paint: NDArray[Any] | None) -> GeneratedImage:
        import numpy as np

        from augforge.algorithms.inpainting import annotations_after, compose, pictures_after
        from augforge.data.pictures import kind_of

        parent = np.asarray(item.images[0])
        if paint is None:
            return GeneratedImage(compose(parent, None, plan.weights), problem="there is nothing in it to replace")
        pixels = compose(parent, _in_place(paint, plan.shown, parent), plan.weights)
        found = item.pictures[0] if item.pictures else {}
        pictures = {name: kind_of(name).decoded(data) for name, data in found.items()}
        dilate, feather = self._reach(parent.shape)
        facts = {
            "replaced": list(plan.names),
            "painted": round(float((plan.weights > 0).mean()), 6),
            "dilate": dilate,
            "feather": feather,
            "shown": list(plan.shown),
        }
        return GeneratedImage(
            pixels,
            facts,
            pictures_after(pictures, plan.region, plan.weights, self._said),
            annotations_after(item.job.parents[0].annotations, plan.weights, self._said),
        )

    def _painting(self, item: GenerationInput) -> Painting:
        """What of an image is painted, as its seed decides."""
        import numpy as np

        from augforge.algorithms.inpainting import HALF, crop_around, union, weights_of

        height, width = size = np.asarray(item.images[0]).shape[:2]
        chosen, others = self._chosen(item, size)
        outside = self.paint == "background" and bool(chosen)
        weights = weights_of(chosen, others, size, self._reach(size), outside)
        region = weights >= HALF if outside else union((thing.area for thing in chosen), size) & (weights > 0)
        whole = self.context is None or not weights.any()
        shown = (0, 0, width, height) if whole else crop_around(weights > 0, self.context or 0.0)
        return Painting(weights, region, tuple(thing.label for thing in chosen), shown)

    def _chosen(self, item: GenerationInput, size: tuple[int, int]) -> tuple[list[Thing], list[Thing]]:
        """The things that are replaced (or, with their background, kept), and the others."""
        things = self._things(item, size)
        fit = [place for place, thing in enumerate(things) if self._fits(thing)]
        if self.paint == "one" and fit:
            fit = [fit[int(rng(item.job.sample.seed or 0, "thing").integers(len(fit)))]]
        return [things[place] for place in fit], [thing for place, thing in enumerate(things) if place not in fit]

    def _fits(self, thing: Thing) -> bool:
        """Whether it may be chosen."""
        return bool(thing.area.any()) and (not self.classes or thing.label in self.classes)

    def _things(self, item: GenerationInput, size: tuple[int, int]) -> list[Thing]:
        from augforge.algorithms import inpainting
        from augforge.data.pictures import kind_of

        if self._file:
            return [inpainting.Thing(_white_in(Path(self.things), size), "")]
        parent = item.job.parents[0]
        source = self._source(parent)
        if source == "made-up":
            return [inpainting.made_up_thing(size, self.share, rng(item.job.sample.seed or 0, "thing"))]
        if source == "boxes":
            return inpainting.things_in_boxes(parent.annotations["boxes"], size)
        numbers = kind_of(source).decoded(item.pictures[0][source])
        if numbers.ndim == 3:
            numbers = numbers.max(axis=2) > 0  # a picture in a mask's place
        return inpainting.things_in_map(numbers, classes=source == "mask")

    def _source(self, parent: Sample) -> str:
        """Where the things of an image are; "" if it has none of what was asked for."""
        there = {**parent.pictures, **({"boxes": ""} if parent.annotations.get("boxes") else {}), "made-up": ""}
        if self.things == "auto":
            return next((source for source in SOURCES[1:4] if source in there), "")
        return self.things if self.things in there else ""

    def _refusal(self, job: Job) -> str:
        parent = job.parents[0]
        if not self._file and not self._source(parent):
            wanted = " and no ".join(SOURCES[1:4]) if self.things == "auto" else self.things
            return f"its parent has no {wanted}"
        return too_large(parent.width, parent.height, "resize it first")

    @property
    def _file(self) -> bool:
        return self.things not in SOURCES and is_file(self.things)

    @property
    def _said(self) -> Said:
        from augforge.algorithms.inpainting import Said

        return Said(self.label, self.mask_value, self.paint == "background")

    def _reach(self, size: Sequence[int]) -> tuple[int, int]:
        """Px by which things of an image of `size` are grown, and over which the paint then fades."""
        usual = max(1, round(REACH * min(size[:2])))
        return (
            usual if self.dilate is None else self.dilate,
            usual if self.feather is None else self.feather,
        )


def _as_shown(item: GenerationInput, plan: Painting) -> GenerationInput:
    """An input with the part of its image that the model is shown, and what of that is to be painted in white."""
    import numpy as np
    from PIL import Image

    to_paint = Image.fromarray((plan.weights > 0).astype(np.uint8) * np.uint8(255))
    return replace(item, images=(item.images[0].crop(plan.shown), to_paint.crop(plan.shown)))


def _in_place(paint: NDArray[Any], shown: tuple[int, int, int, int], parent: NDArray[Any]) -> NDArray[Any]:
    """Paint (h', w', 3) of the part of the parent (h, w, 3) that was shown, where that lies in it."""
    import numpy as np

    from augforge.algorithms.outpainting import stretched

    left, top, right, bottom = shown
    placed = np.zeros(parent.shape, np.float32)
    placed[top:bottom, left:right] = stretched(paint, (bottom - top, right - left))
    return placed


def _white_in(file: Path, size: tuple[int, int]) -> Region:
    """(h, w) where a picture, stretched to `size` (height, width), is white."""
    import numpy as np
    from PIL import Image

    from augforge.data.images import decode

    drawn = decode(file.read_bytes()).convert("L").resize(size[::-1], Image.Resampling.NEAREST)
    return np.asarray(drawn) > 127
