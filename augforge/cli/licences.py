"""The licences that a command line allows, beside those of the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from augforge.stages.stage import Stage


def refuse_others(stages: Sequence[Stage], licence: str | None) -> None:
    """RecipeError where a model of `stages` has a licence that is not among `licence`, names with commas between.

    None allows all; whatever the recipe itself allows is another matter, and checked with the recipe.
    """
    if licence is None:
        return
    from augforge.recipe.policy import check_licences
    from augforge.recipe.recipe import parse_licences

    check_licences(stages, parse_licences(licence), "--licence")
