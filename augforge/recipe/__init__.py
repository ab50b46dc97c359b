"""Recipes: what to do, in YAML or built in Python, checked before anything is loaded."""

from typing import TYPE_CHECKING, Any

__all__ = ["Recipe", "SourceSpec", "build_stage", "check_recipe", "load_recipe", "parse_recipe"]

if TYPE_CHECKING:
    from augforge.recipe.build import build_stage
    from augforge.recipe.recipe import Recipe, load_recipe, parse_recipe
    from augforge.recipe.rules import check_recipe
    from augforge.recipe.source import SourceSpec
else:

    def __getattr__(name: str) -> Any:
        """What is in `__all__`, loaded when it is asked for: lists of stages and recipes need none of it."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from augforge.recipe import build, recipe, rules, source

        homes = {"SourceSpec": source, "build_stage": build, "check_recipe": rules}
        return getattr(homes.get(name, recipe), name)
