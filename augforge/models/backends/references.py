"""Text and an image to refer to: pipelines that read a list of images as several references of every prompt."""

from __future__ import annotations

from typing import Any, ClassVar

from augforge.models.backends.base import Request
from augforge.models.backends.checkpoint import Checkpoint
from augforge.models.backends.diffusion import Diffusion, needs
from augforge.models.backends.image_to_image import fitted
from augforge.models.tasks import REFERENCES

LEAST = 64
"""The shortest side, in px, of an image that Flux.2 takes as a reference."""


class References(Diffusion):
    """Editing pipelines of which `image` holds the references of all prompts of a call: one call a row.

    A row refers to its own image, and to those of its `references`; none is noised, and so there is no strength.
    """

    carries: ClassVar[frozenset[str]] = frozenset({"image"})
    takes_strength: ClassVar[bool] = False
    refers_to_several: ClassVar[bool] = True
    one_by_one: ClassVar[bool] = True
    pipeline: ClassVar[str] = "AutoPipelineForImage2Image"
    accepts: ClassVar[frozenset[str]] = frozenset(REFERENCES)

    def check(self, request: Request) -> None:
        """ModelError where the request has no images."""
        super().check(request)
        needs(request.images, "an image", self)

    def _loader(self, checkpoint: Checkpoint) -> str:
        return checkpoint.pipeline if checkpoint.pipeline in self.accepts else self.pipeline

    def _condition(self, request: Request) -> dict[str, Any]:
        (image,) = needs(request.images, "an image", self)  # one row a call
        (others,) = request.references or [()]
        width, height = request.size or self.native_size or image.size
        return {"image": fitted([image, *others], (max(width, LEAST), max(height, LEAST)))}
