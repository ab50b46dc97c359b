"""Recipes: what to do, in YAML or built in Python, checked before anything is loaded."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from augforge.recipe.recipe import Recipe, SourceSpec, build_stage, load_recipe, parse_recipe

__all__ = ["Recipe", "SourceSpec", "build_stage", "load_recipe", "parse_recipe"]


def __getattr__(name: str) -> Any:
    """What is in `__all__`, loaded when it is asked for: lists of stages and recipes need none of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from augforge.recipe import recipe

    return getattr(recipe, name)
