"""Outpaint: warp a labelled image, and let a diffusion model paint what the warp leaves empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from augforge.data.files import digest_of, is_file
from augforge.data.ids import rng
from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.errors import RecipeError
from augforge.stages.generator import (
    GeneratedImage,
    GenerationInput,
    Job,
    LoadedGenerator,
    SampledParams,
    required,
)
from augforge.stages.generators.bounds import too_large
from augforge.stages.generators.diffusion import DiffusionGenerator
from augforge.stages.generators.following import FollowingGenerator
from augforge.stages.stage import Share, Task, words_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.geometry import Sector
    from augforge.algorithms.outpainting import Accepted, Canvas, Region
    from augforge.models.backends import Backend
    from augforge.models.table import Model

OPS = ("depth", "tilt", "width", "translate")
ERODED = 0.04
"""The share of the shorter side that is painted anew beside the empty part: 10 px of 256."""
STEPS = 250
"""Steps as published, where the model's training had more."""


@dataclass(frozen=True, slots=True)
class View:
    """An image as it is warped: where it is looked at, which warp was accepted, and what becomes of its pixels."""

    region: Region
    accepted: Accepted
    canvas: Canvas


class Outpaint(DiffusionGenerator, FollowingGenerator):
    """Warp images with their masks and annotations, and paint what the warp leaves empty with a diffusion model.

    The view becomes deeper, tilted, narrower or wider, and moves, as that of an ultrasound probe does (*Generative
    augmentations for improved cardiac ultrasound segmentation*, EchoGAINS); what is not empty stays to the bit. An
    unconditional model, such as one of `train diffusion`, fills in by RePaint's schedule; an inpainting pipeline by its
    own. A warp must keep the share `min-label-inside` of the label, inside and not painted anew: of the mask, else of
    the boxes, else of the keypoints, else of the image. It is drawn again up to `retries` times, and then the image is
    dropped.
    """

    name: ClassVar[str] = "outpaint"
    task: ClassVar[str] = "outpainting"
    needs_labels: ClassVar[bool] = False
    example: ClassVar[Mapping[str, Any]] = {"per-class": 2, "steps": 5, "jump-length": 2, "jump-samples": 2, "erode": 2}

    model: Annotated[str, Task("outpainting")] = Field(
        ...,
        description="The diffusion model: a directory of train diffusion or of a diffusers pipeline, or a recipe's.",
    )
    ops: tuple[str, ...] = Field(default=OPS, description="What a warp may do: depth, tilt, width, translate.")
    probability: Share = Field(default=0.5, description="How likely each of them is.")
    depth: float = Field(default=0.59, ge=0, le=8, description="The most that is added below, in heights.")
    tilt: float = Field(default=30.0, ge=0, le=180, description="The most that it tilts either way, in degrees.")
    widen: float = Field(default=0.5, ge=0, lt=1, description="The most that the width changes: 0.5 is 0.5 to 1.5.")
    translate: float = Field(default=0.2, ge=0, le=1, description="The farthest that it moves, in shorter sides.")
    roi: str = Field(
        default="full",
        description="Where the image is warped: full, sector (what is not black) or an image FILE, white inside.",
    )
    erode: int | None = Field(
        default=None,
        ge=0,
        le=1024,
        description="Px beside the empty part that are painted anew, too; 0.04 of the shorter side if absent.",
    )
    empty_label: int = Field(
        default=0, ge=0, le=255, description="Class in the mask of what the warp leaves empty; 255 is usual for none."
    )
    min_label_inside: Share = Field(default=0.5, description="Share of the label that a warp must keep.")
    retries: int = Field(default=30, ge=0, le=1000, description="How often a warp is drawn again that leaves less.")
    jump_length: int = Field(default=10, ge=1, le=1000, description="Unconditional: steps that RePaint goes back.")
    jump_samples: int = Field(
        default=10, ge=1, le=100, description="Unconditional: how often RePaint makes each step; 1 is once."
    )
    eta: Share = Field(default=1.0, description="Unconditional: noise of each step; 1 is DDPM's, 0 none (DDIM).")

    @field_validator("ops", mode="before")
    @classmethod
    def _known_ops(cls, ops: Any) -> tuple[str, ...]:
        return words_of(ops, OPS)

    @model_validator(mode="after")
    def _some_op(self) -> Outpaint:
        if not self.ops:
            raise ValueError(f"ops names none of {', '.join(OPS)}")
        return self

    @property
    def row(self) -> Model:
        """The model's row of the table; of one that the recipe is still to train a row that says so."""
        from augforge.models.find import is_there
        from augforge.models.table import Model

        if is_there(self.model, self.task):
            return super().row
        return Model(self.model, ("unconditional",), f"trained:{self.model}", "", "still to be trained")

    @property
    def asks_about_classes(self) -> bool:
        """Whether the model reads the prompt."""
        from augforge.models.backends import backend_class

        return backend_class(self.backend_name).reads_prompt

    def check(self) -> None:
        """Refuse steps that an unconditional model cannot take, what it cannot use, and a file that is not there."""
        super().check()
        if self.roi not in ("full", "sector") and not is_file(self.roi):
            raise RecipeError(f"key 'roi': there is no image {self.roi!r}", "give full, sector or an image file")
        if self.backend_name != "unconditional":
            return
        if self.negtome != "off":
            raise RecipeError("key 'negtome': an unconditional model has no use for it", "leave it out")
        from augforge.models.backends.steps import trained_steps, why_not

        trained = trained_steps(self.row, self.revision)
        if self.steps is not None and (problem := why_not(self.steps, trained)):
            raise RecipeError(f"key 'steps': {problem}", f"give a divisor of {trained}")

    def measured_options(self) -> dict[str, Any]:
        """The options that a stored result depends on: of a file its content."""
        options = super().measured_options()
        return {**options, "roi": digest_of(Path(self.roi))} if is_file(self.roi) else options

    @property
    def _steps(self) -> int:
        if self.steps is not None or self.backend_name != "unconditional":
            return super()._steps
        from augforge.models.backends.steps import USUAL, most_steps, trained_steps

        return most_steps(trained_steps(self.row, self.revision) or USUAL, STEPS)

    def sample_params(
        self, label: str | None, parent: Sample | None, pool: Pool, variant: int, seed: int
    ) -> SampledParams:
        """One parent, and the prompt; the warps follow from the seed, and the accepted one is recorded."""
        return [required(parent)], {"variant": variant, **self.prompt_of(label or "", seed)}

    def load(self, device: str) -> LoadedGenerator:
        """Load the model; an image whose warp would need much memory is refused before it is read."""
        return replace(super().load(device), refusal=_refusal)

    def condition(self, batch: Sequence[GenerationInput], backend: Backend) -> Mapping[str, Any]:
        """Canvases and what of them is empty, as `_run` hands them on."""
        import numpy as np

        from augforge.algorithms.repaint import Jumps

        masks = [np.asarray(item.images[1]) > 0 for item in batch]
        condition: dict[str, Any] = {"images": [item.images[0] for item in batch], "masks": masks}
        if self.backend_name == "unconditional":
            condition["jumps"] = Jumps(self.jump_length, self.jump_samples, self.eta)
        return condition

    def _run(self, batch: Sequence[GenerationInput], backend: Backend) -> list[GeneratedImage]:
        """Paint what is accepted and has an empty part, each image once: a batch is filled up with copies."""
        items = {item.job.sample.id: item for item in batch}
        views = {name: self._view(item) for name, item in items.items()}
        asked = [
            replace(items[name], images=_as_images(view.canvas))
            for name, view in views.items()
            if self._wanted(items[name], view) and view.canvas.empty.any()
        ]
        painted = super()._run(asked, backend) if asked else []
        found = {item.job.sample.id: image.pixels for item, image in zip(asked, painted, strict=True)}
        made = {name: self._made(items[name], view, found.get(name)) for name, view in views.items()}
        return [made[item.job.sample.id] for item in batch]

    def _made(self, item: GenerationInput, view: View, painted: NDArray[Any] | None) -> GeneratedImage:
        from augforge.algorithms.geometry import Geometry
        from augforge.algorithms.outpainting import WarpedPictures, fill
        from augforge.data.pictures import move_pictures

        accepted, canvas = view.accepted, view.canvas
        geometry = Geometry((accepted.sector,))
        facts = {
            **self.moved_by(item.job.parents[0], geometry),
            "label-inside": round(accepted.inside, 6),
            "tries": accepted.tries,
            "painted": round(float(canvas.empty.mean()), 6),
        }
        pixels = fill(canvas, painted)
        if not self._wanted(item, view):
            return GeneratedImage(pixels, facts, problem=self._refused(accepted))
        moves = WarpedPictures(accepted.sector, view.region, self.empty_label)
        size = (canvas.pixels.shape[0], canvas.pixels.shape[1])
        pictures = move_pictures(item.pictures[0], moves, size) if item.pictures else {}
        said = self.annotations_after(item.job.parents[0], geometry)
        return GeneratedImage(pixels, facts, pictures, said)

    def _wanted(self, item: GenerationInput, view: View) -> bool:
        """Whether enough of the label is left inside; what was made once is made again."""
        return "moved" in item.job.sample.sampled_params or view.accepted.inside >= self.min_label_inside

    def _refused(self, best: Accepted) -> str:
        return (
            f"no warp of {best.tries} leaves {100 * self.min_label_inside:g} % of its label inside: "
            f"at most {100 * best.inside:.1f} %"
        )

    def _view(self, item: GenerationInput) -> View:
        import numpy as np

        from augforge.algorithms.outpainting import first_accepted, label_points, warp
        from augforge.data.images import decode_condition

        image = np.asarray(item.images[0])
        region = self._region(image)
        stored = item.pictures[0].get("mask") if item.pictures else None
        mask = decode_condition(stored) if stored is not None else None
        points = label_points(mask, item.job.parents[0].annotations, region)
        size = (image.shape[0], image.shape[1])
        margin = self._margin(size)
        accepted = first_accepted(self._drawn(item.job.sample, size), points, region, self.min_label_inside, margin)
        return View(region, accepted, warp(image, accepted.sector, region, margin))

    def _margin(self, size: tuple[int, int]) -> int:
        """Px beside the empty part of an image of `size` that are painted anew, too."""
        return max(1, round(ERODED * min(size))) if self.erode is None else self.erode

    def _drawn(self, sample: Sample, size: tuple[int, int]) -> Iterator[Sector]:
        """The warp that is recorded; else those of all tries, which follow from the seed."""
        from augforge.algorithms.geometry import Sector
        from augforge.algorithms.outpainting import Ranges, draw_sector

        if "moved" in sample.sampled_params:
            (plain,) = sample.sampled_params["moved"]["ops"]
            yield Sector(**{name: value for name, value in plain.items() if name != "op"})
            return
        given = {"depth": self.depth, "tilt": self.tilt, "width": self.widen, "translate": self.translate}
        depth, tilt, width, shift = (value if name in self.ops else 0.0 for name, value in given.items())
        ranges = Ranges(depth, tilt, width, shift, self.probability)
        for number in range(self.retries + 1):
            yield draw_sector(ranges, size, rng(sample.seed or 0, f"warp-{number}"))

    def _region(self, image: NDArray[np.uint8]) -> Region:
        """(h, w) where the image is warped."""
        import numpy as np
        from PIL import Image

        from augforge.algorithms.outpainting import sector_of
        from augforge.data.images import decode

        if self.roi == "full":
            return np.ones(image.shape[:2], bool)
        if self.roi == "sector":
            return sector_of(image)
        drawn = decode(Path(self.roi).read_bytes()).convert("L")
        fitted = drawn.resize(image.shape[1::-1], Image.Resampling.NEAREST)
        return np.asarray(fitted) > 127


def _refusal(job: Job) -> str:
    return too_large(job.parents[0].width, job.parents[0].height, "resize it first")


def _as_images(canvas: Canvas) -> tuple[Any, Any]:
    """A canvas and what of it is empty, as pictures."""
    import numpy as np
    from PIL import Image

    return Image.fromarray(canvas.pixels), Image.fromarray(canvas.empty.astype(np.uint8) * np.uint8(255))
