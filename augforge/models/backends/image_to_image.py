"""Text and an image whose latents are partly noised: what AutoPipelineForImage2Image takes a batch of images to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from augforge.errors import ModelError
from augforge.models.backends.base import Request
from augforge.models.backends.checkpoint import Checkpoint
from augforge.models.backends.diffusion import Diffusion, needs
from augforge.models.tasks import REFERENCES

if TYPE_CHECKING:
    from PIL.Image import Image

_SEVERAL = "to it a list of images is several references of every prompt: "
REFUSED = {
    **dict.fromkeys(REFERENCES, _SEVERAL + "use the back-end `references`"),
    **dict.fromkeys(
        ("BriaFiboEditPipeline", "GlmImagePipeline", "JoyImageEditPlusPipeline", "ZImageOmniPipeline"),
        _SEVERAL + "no back-end runs it yet, use a model of " + " or ".join(REFERENCES),
    ),
    "QwenImageLayeredPipeline": "it makes several layers of each image: use a model that makes one",
}
BEYOND = {
    "ChromaPipeline": "ChromaImg2ImgPipeline",
    "ChromaImg2ImgPipeline": "ChromaImg2ImgPipeline",
    "SanaSprintPipeline": "SanaSprintImg2ImgPipeline",
    "SanaSprintImg2ImgPipeline": "SanaSprintImg2ImgPipeline",
}
"""Checkpoints of which AutoPipelineForImage2Image does not know that another class makes images from images of them."""
STRENGTH = 0.8  # of diffusers, where the request has none


class ImageToImage(Diffusion):
    """AutoPipelineForImage2Image, through `image` and `strength`."""

    carries: ClassVar[frozenset[str]] = frozenset({"image"})
    pipeline: ClassVar[str] = "AutoPipelineForImage2Image"
    refuses: ClassVar[Mapping[str, str]] = REFUSED

    def _loader(self, checkpoint: Checkpoint) -> str:
        return BEYOND.get(checkpoint.pipeline, self.pipeline)

    def check(self, request: Request) -> None:
        """ModelError where the request has no images, or a strength that leaves no step."""
        super().check(request)
        needs(request.images, "an image", self)
        if "strength" in self._takes:
            check_strength(request)

    def _condition(self, request: Request) -> dict[str, Any]:
        images = fitted(needs(request.images, "an image", self), request.size or self.native_size)
        return {"image": images, **({"strength": strength_of(request)} if "strength" in self._takes else {})}


def strength_of(request: Request) -> float:
    """How much of the picture is replaced by noise."""
    return STRENGTH if request.strength is None else request.strength


def check_strength(request: Request) -> None:
    """ModelError for a strength outside (0, 1], or one that leaves no step to run."""
    strength = strength_of(request)
    if not 0.0 < strength <= 1.0:
        raise ModelError(f"strength is {strength:g}", "give one above 0 and up to 1")
    if int(request.steps * strength) < 1:
        raise ModelError(
            f"strength {strength:g} of {request.steps} steps leaves no step to run",
            f"use at least {int(1 / strength) + 1} steps, or a higher strength",
        )


def fitted(images: Sequence[Image], size: tuple[int, int] | None) -> list[Image]:
    """The RGB images, all of one size: `size`, or else that of the first one."""
    from PIL.Image import Resampling

    wanted = size or images[0].size
    return [
        image.convert("RGB") if image.size == wanted else image.convert("RGB").resize(wanted, Resampling.LANCZOS)
        for image in images
    ]
