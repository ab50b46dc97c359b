"""What a control network can be asked for, by its kind and the model's pipeline: before anything is loaded."""

from __future__ import annotations

from augforge.errors import RecipeError
from augforge.models.backends.base import Control

FROM_IMAGE = frozenset({"StableDiffusion", "StableDiffusionXL", "Flux"})
"""Families with a pipeline of diffusers that follows a ControlNet and starts from an image."""
AT_EVERY_STEP = frozenset({"ZImage"})
"""Families whose ControlNet acts at every step."""
FAMILIES = FROM_IMAGE | AT_EVERY_STEP | {"StableDiffusion3", "QwenImage"}
ADAPTED_TO_AN_END = frozenset({"StableDiffusionXL"})
"""Families whose T2I-Adapter can end before the last step."""


def check_control(backend: str, pipeline: str, control: Control, from_image: bool) -> None:
    """Refuse a span of steps, or an image to start from, that the pipeline of the model cannot be given.

    `pipeline` is the class of the model's pipeline, "" where it is not known: then only what none can be given is
    refused here, and the rest when the model is loaded.

    Raises:
        RecipeError: says which of control-start, control-end and strength cannot be.
    """
    family = _family(pipeline)
    if backend == "t2i-adapter":
        _check_adapter(family, control, from_image)
    elif family in FAMILIES:
        if from_image and family not in FROM_IMAGE:
            raise RecipeError(f"a ControlNet of {family} starts from noise alone", "leave strength out")
        if control != Control(control.scale) and family in AT_EVERY_STEP:
            raise RecipeError(f"a ControlNet of {family} acts at every step", "leave control-start and control-end out")


def _check_adapter(family: str, control: Control, from_image: bool) -> None:
    if from_image:
        raise RecipeError("a T2I-Adapter starts from noise alone", "leave strength out, or use a ControlNet")
    if control.start:
        raise RecipeError("a T2I-Adapter acts from the first step", "leave control-start out, or use a ControlNet")
    if control.end < 1 and family and family not in ADAPTED_TO_AN_END:
        raise RecipeError(f"a T2I-Adapter of {family} acts to the last step", "leave control-end out, or use XL")


def _family(pipeline: str) -> str:
    """The name of a family: that of its pipeline from text alone, without what others add to it."""
    name = pipeline.removesuffix("Pipeline")
    for more in ("Img2Img", "Inpaint", "ControlNet", "Adapter"):
        name = name.removesuffix(more)
    return name
