"""The choice of a finished run made again, as `augforge select … --again` does it."""

from __future__ import annotations

from typing import Any

from augforge.api.given import StrPath, folder_of
from augforge.api.recipe import Recipe
from augforge.api.run import Run
from augforge.api.shown import progress_of
from augforge.errors import RecipeError
from augforge.stages.selector import Selector
from augforge.stages.stage import Stage


def select_again(run: Run, selector: Stage, out: StrPath, **options: Any) -> Run:
    """Make the last choice of a finished run again with another selector; all before it is copied, not made again.

    Args:
        run: the run, which is only read.
        selector: what chooses, such as `stage("select", "random", share=0.3)`.
        out: the folder of the new run.
        options: those of `Recipe.run`; `limit` has to be what it was in the run.

    Raises:
        AugforgeError: as `Recipe.run`; or the run has no result, or made no choice.
    """
    from augforge.engine.again import bring_work, chosen_again

    if not isinstance(selector, Selector):
        raise RecipeError(f"selector: {selector!r} chooses nothing", 'give one, such as stage("select", "random")')
    folder = folder_of(out)
    recipe = Recipe.of(chosen_again(run.folder, selector))
    bring_work(run.folder, folder, progress_of(options.get("progress", False)))
    return recipe.run(folder, **options)
