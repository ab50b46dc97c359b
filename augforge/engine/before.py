"""What can be known of a run before its source is read: whatever is wrong there is said at once."""

from __future__ import annotations

from augforge.engine.limits import check_asked
from augforge.errors import RecipeError
from augforge.models.devices import check_device
from augforge.optional import require
from augforge.recipe import Recipe, check_recipe


def check_before(recipe: Recipe, device: str, yes: bool = False) -> None:
    """Check the recipe, the device and the amounts; no model is loaded, and no source opened.

    Raises:
        RecipeError: as `check_recipe`, too many images for whatever source, or one GPU for several processes.
        ModelError: the device is not there.
    """
    check_recipe(recipe)
    check_asked(recipe.stages, yes)
    check_devices(recipe, device)


def check_devices(recipe: Recipe, device: str) -> None:
    """Check the device, and that it is enough for the processes of every stage.

    Raises:
        RecipeError, ModelError: as `check_before`.
    """
    check_device(device)
    for title, stage in zip(recipe.titles(), recipe.stages, strict=True):
        if ":" in device and getattr(stage, "processes", 1) > 1:
            raise RecipeError(
                f"{title}: {stage.processes} processes need a GPU each, and {device} is one",  # type: ignore[attr-defined]
                "give --device cuda; CUDA_VISIBLE_DEVICES says which ones",
            )


def require_packages(recipe: Recipe) -> None:
    """Ask for the optional packages of every stage; AugforgeError says what to install."""
    for title, stage in zip(recipe.titles(), recipe.stages, strict=True):
        require(*stage.packages(), who=title)
