"""The recipe that a run was made from: the file that people edit, not the one in the run folder."""

from __future__ import annotations

from pathlib import Path

from augforge.engine.beside import recipe_of
from augforge.errors import AugforgeError
from augforge.recipe import Recipe, load_recipe


def recipe_file_of(folder: Path, recipe: Recipe | None) -> Path | None:
    """The file of the command that made the run in `folder`; None if it is gone, or has other stages by now.

    `recipe` is that of the run folder. A file whose stages are others would be changed in the wrong place.
    """
    path = recipe_of(folder)
    if path is None or recipe is None:
        return None
    try:
        return path if load_recipe(path).titles() == recipe.titles() else None
    except AugforgeError:
        return None
