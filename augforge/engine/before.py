"""What can be known of a run before its source is read: whatever is wrong there is said at once."""

from __future__ import annotations

from collections.abc import Sequence

from augforge.engine.limits import check_asked
from augforge.errors import RecipeError
from augforge.models.devices import check_device
from augforge.optional import require
from augforge.recipe import Recipe
from augforge.stages.generators.operator import OperatorGenerator
from augforge.stages.stage import Stage


def check_before(stages: Sequence[Stage], device: str, yes: bool = False) -> None:
    """Check the amounts and the device; no model is loaded, and no source opened.

    Raises:
        RecipeError: too many images for whatever source, or one GPU for several processes.
        ModelError: the device is not there.
    """
    check_asked(stages, yes)
    check_device(device)
    for stage in stages:
        processes = getattr(stage, "processes", 1)
        if ":" in device and processes > 1 and not isinstance(stage, OperatorGenerator):
            raise RecipeError(
                f"{stage.verb} {stage.name}: {processes} processes need a GPU each, and {device} is one",
                "give --device cuda; CUDA_VISIBLE_DEVICES says which ones",
            )


def require_packages(recipe: Recipe) -> None:
    """Ask for the optional packages of every stage; AugforgeError says what to install."""
    for title, stage in zip(recipe.titles(), recipe.stages, strict=True):
        require(*stage.packages(), who=title)
