"""What can be measured of images while they are read, so that each is opened and decoded once."""

from __future__ import annotations

from augforge.data.parts import Parts
from augforge.data.store import Store
from augforge.engine.rows import Ahead, Look
from augforge.engine.runners.candidates import Hashing, look_parts
from augforge.engine.runners.measuring import measuring
from augforge.recipe import Recipe
from augforge.stages.filter import PixelFilter
from augforge.stages.filters.duplicates import Duplicates
from augforge.stages.stage import Stage


def looks_ahead(recipe: Recipe, store: Store) -> Ahead:
    """What the filters that begin a recipe, and need no model, measure of real images, and where it is stored.

    A later stage might never look at what the first ones drop, or needs a model.
    """
    found: list[tuple[Look, Parts]] = []
    for stage in recipe.stages:
        if (look := _look_of(stage, store)) is None:
            break
        if getattr(stage, "on", "all") != "synthetic":
            found.append(look)
    return Ahead(found)


def _look_of(stage: Stage, store: Store) -> tuple[Look, Parts] | None:
    if isinstance(stage, PixelFilter) and stage.looks_at_pixels:
        return measuring(stage, store)
    if isinstance(stage, Duplicates) and stage.by == "hash":
        return Hashing(), look_parts(store)
    return None
