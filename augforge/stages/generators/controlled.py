"""Controlled: new images with the layout of real ones, whose masks and boxes they keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

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
from augforge.stages.stage import Share, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.models.backends import Backend
    from augforge.models.backends.base import Control
    from augforge.models.depth import DepthEstimator
    from augforge.models.edges import EdgeDetector
    from augforge.models.table import Model

EDGES_WITHIN = 2
"""How far apart, in px, an edge of an image and one of its parent may be to be the same."""
LAYOUT = frozenset({"mask", "instances", "depth"})
"""The pictures of a parent that are true of a new image with its layout."""
FAR = 256.0
"""Metres to what a model of relative depth finds furthest; the drawing stretches depths anyway."""


class Controlled(DiffusionGenerator):
    """Generate images with the layout of real ones, by a ControlNet or T2I-Adapter, and keep their annotations.

    What controls an image is drawn from its own parent: the `mask` in colours, its `edges` (Canny's, or those that
    `edge-model` sees), its `depth` (the companion picture, else what `depth-model` sees) or its `boxes`. The image gets
    the size of the parent, so that mask, instances, depth, boxes and all other annotations stay as they are. How well
    its edges agree with those of the parent stands in its row (`edges-kept`). (Zhang et al., *Adding Conditional
    Control to Text-to-Image Diffusion Models*, ICCV 2023; Mou et al., *T2I-Adapter*, AAAI 2024.)
    """

    name: ClassVar[str] = "controlled"
    task: ClassVar[str] = "controlled"
    needs_labels: ClassVar[bool] = False
    uses_pictures: ClassVar[frozenset[str] | None] = LAYOUT
    example: ClassVar[Mapping[str, Any]] = {"per-class": 2, "control": "edges", "steps": 2}

    model: Annotated[str, Task("controlled")] = Field(default="sd15", description="The diffusion model.")
    controlnet: Annotated[str, Task("control")] = Field(
        ..., description="The ControlNet or T2I-Adapter: a name, directory, file or hub id."
    )
    control: Literal["mask", "edges", "depth", "boxes"] = Field(
        ..., description="What of the parent controls the image: the one that the network was trained on."
    )
    conditioning_scale: float = Field(
        default=1.0, ge=0, le=10, description="How strongly it does (controlnet_conditioning_scale); 0 is not at all."
    )
    control_start: Share = Field(
        default=0.0, description="Share of the steps after which it does (control_guidance_start)."
    )
    control_end: Share = Field(
        default=1.0, description="Share of the steps after which it does no more (control_guidance_end)."
    )
    control_mode: int | None = Field(
        default=None, ge=0, le=64, description="Flux: the number of the kind of control, for a union ControlNet."
    )
    control_revision: str | None = Field(default=None, description="Branch, tag or commit of the ControlNet on a hub.")
    strength: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Start from the parent, of which this share is replaced (from noise if absent).",
    )
    colours: tuple[str, ...] = Field(
        default=(), description="Colour of a number in the mask or a label of boxes: NAME=#rrggbb, repeatable."
    )
    min_edges_kept: Share = Field(
        default=0.0, description="Drop an image whose edges agree less with its parent's (F1, within 2 px)."
    )
    edge_sigma: float = Field(default=1.0, ge=0, le=20, description="Blur, in px, before Canny's edges are looked for.")
    edge_model: Annotated[str | None, Task("edges")] = Field(
        default=None, description="The detector of soft edges, such as hed, in place of Canny's."
    )
    depth_model: Annotated[str | None, Task("depth-estimation")] = Field(
        default=None, description="The model that sees the depth of images without a depth picture."
    )

    _depths: DepthEstimator | None = PrivateAttr(None)
    _edges: EdgeDetector | None = PrivateAttr(None)

    @field_validator("colours")
    @classmethod
    def _known_colours(cls, colours: tuple[str, ...]) -> tuple[str, ...]:
        from augforge.algorithms.control import parse_colours

        parse_colours(colours)
        return colours

    @model_validator(mode="after")
    def _some_step(self) -> Controlled:
        if self.control_start and self.control_end <= self.control_start:
            raise ValueError("control-end is not after control-start: no step would be controlled")
        return self

    @property
    def control_row(self) -> Model:
        """The control network's row of the table."""
        from augforge.models import find_model

        return find_model(self.controlnet, "control")

    @property
    def backend_name(self) -> str:
        """The back-end of the control network, where it is told by its directory or its row."""
        if self.backend == "auto" and self.control_row.backends == ("control-adapter",):
            return "t2i-adapter"
        return super().backend_name

    @property
    def _span(self) -> Control:
        from augforge.models.backends.base import Control

        return Control(self.conditioning_scale, self.control_start, self.control_end)

    @property
    def _given_options(self) -> dict[str, Any]:
        row = self.control_row
        own = {
            "control": row.location,
            "control_revision": self.control_revision or row.revision,
            "control_mode": self.control_mode,
        }
        return {**super()._given_options, **{name: value for name, value in own.items() if value is not None}}

    def packages(self) -> tuple[str, ...]:
        """What the models run in, and what finds edges."""
        return (*super().packages(), *(("skimage",) if self.control == "edges" and self.edge_model is None else ()))

    def check(self) -> None:
        """Refuse a strength that leaves no step, and what the kind of the control network cannot be asked for."""
        from augforge.models.backends.control_rules import check_control
        from augforge.models.shapes import shape_of

        super().check()
        shape = shape_of(self.row, self.revision)
        check_control(self.backend_name, shape.pipeline if shape else "", self._span, self.strength is not None)
        if self.strength is not None and int(self._steps * self.strength) < 1:
            raise RecipeError(f"strength {self.strength:g} of {self._steps} steps leaves no step to run", "raise steps")

    def sample_params(
        self, label: str | None, parent: Sample | None, pool: Pool, variant: int, seed: int
    ) -> SampledParams:
        """One parent, the prompt, and where the control comes from."""
        source = self._source(required(parent))
        return [required(parent)], {"variant": variant, **self.prompt_of(label or "", seed), "control-from": source}

    def load(self, device: str) -> LoadedGenerator:
        """Load the models; an image without what controls it is refused before it is read."""
        facts: dict[str, Any] = {}
        if self.edge_model is not None and self.control == "edges":
            from augforge.models.edges import EdgeDetector

            self._edges = EdgeDetector(self.edge_model, device)
            facts["edge-model"] = self._edges.facts
        if self.depth_model is not None and self.control == "depth":
            from augforge.models.depth import DepthEstimator

            self._depths = DepthEstimator(self.depth_model, device)
            facts["depth-model"] = self._depths.facts["model"]
        loaded = super().load(device)
        return replace(loaded, facts={**loaded.facts, **facts}, refusal=self._refusal)

    def condition(self, batch: Sequence[GenerationInput], backend: Backend) -> Mapping[str, Any]:
        """The control pictures, as `_run` hands them on, and the parents where the images start from them."""
        condition: dict[str, Any] = {"controls": [item.images[1] for item in batch], "control": self._span}
        if self.strength is not None:
            condition |= {"images": [item.images[0] for item in batch], "strength": self.strength}
        return condition

    def _run(self, batch: Sequence[GenerationInput], backend: Backend) -> list[GeneratedImage]:
        """Draw the control of each parent, and give what is made its size and its annotations."""
        from PIL import Image

        drawn = {item.job.sample.id: Image.fromarray(self._drawn(item)) for item in batch}
        asked = [replace(item, images=(item.images[0], drawn[item.job.sample.id])) for item in batch]
        return [self._kept(item, made) for item, made in zip(asked, super()._run(asked, backend), strict=True)]

    def _kept(self, item: GenerationInput, made: GeneratedImage) -> GeneratedImage:
        """What was made, with all that is known of the layout of its parent."""
        from augforge.algorithms.outpainting import stretched
        from augforge.data.images import digest
        from augforge.data.pictures import kind_of

        parent, (image, control) = item.job.parents[0], item.images
        pixels = stretched(made.pixels.astype("float32"), (image.height, image.width))
        found = item.pictures[0] if item.pictures else {}
        pictures = {name: kind_of(name).decoded(data) for name, data in found.items()}
        edges = _edges_kept(image, pixels)
        facts = {**made.facts, "control-digest": digest(control.tobytes()), "edges-kept": edges}
        problem = f"edges-kept: {edges:g} is below {self.min_edges_kept:g}" if edges < self.min_edges_kept else ""
        said = dict(parent.annotations)
        return GeneratedImage(pixels, facts, pictures, annotations=said, problem=problem)

    def _source(self, parent: Sample) -> str:
        """Where the control of an image comes from: "" where it has none."""
        if self.control == "boxes":
            return "annotations" if "boxes" in parent.annotations else ""
        if self.control == "edges":
            return "canny" if self.edge_model is None else "model"
        if self.control in parent.pictures:
            return "picture"
        return "model" if self.control == "depth" and self.depth_model is not None else ""

    def _refusal(self, job: Job) -> str:
        parent = job.parents[0]
        if not self._source(parent):
            hint = ", and no depth-model is named" if self.control == "depth" else ""
            return f"its parent has no {self.control}{hint}"
        return too_large(parent.width, parent.height, "resize it first")

    def _drawn(self, item: GenerationInput) -> NDArray[np.uint8]:
        """(h, w, 3) what controls an image."""
        from augforge.algorithms import control
        from augforge.data.pictures import kind_of

        parent, image = item.job.parents[0], item.images[0]
        colours = control.parse_colours(self.colours)
        if self.control == "boxes":
            return control.draw_boxes(parent.annotations["boxes"], (image.height, image.width), colours)
        if self.control == "edges":
            return control.draw_edges(self._edges_of(image))
        if self.control in item.pictures[0]:
            pixels = kind_of(self.control).decoded(item.pictures[0][self.control])
            return control.draw_mask(pixels, colours) if self.control == "mask" else control.draw_depth(pixels)
        return control.draw_depth(self._depth_of(image))

    def _edges_of(self, image: Any) -> NDArray[Any]:
        import numpy as np

        if self._edges is not None:
            return self._edges.edges(image)
        from augforge.algorithms.shifts.base import grey_of
        from augforge.algorithms.shifts.edges import edges_of

        return edges_of(grey_of(np.asarray(image)), self.edge_sigma, "otsu")

    def _depth_of(self, image: Any) -> NDArray[np.float64]:
        if self._depths is None:
            raise TypeError("no depth-model is loaded, and the parent has no depth")
        return self._depths.depth(image, FAR)


def _edges_kept(parent: Any, pixels: NDArray[np.float32]) -> float:
    """How far an image (h, w, 3) in [0, 1] has the edges of its parent: `edge_overlap`, in [0, 1]."""
    import numpy as np

    from augforge.models.edges import edge_overlap

    made = np.round(np.nan_to_num(pixels) * 255).astype(np.uint8)
    return round(edge_overlap(np.asarray(parent), made, EDGES_WITHIN), 6)
