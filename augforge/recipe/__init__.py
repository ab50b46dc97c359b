"""Recipes: what to do, in YAML or built in Python, checked before anything is loaded."""

from augforge.recipe.recipe import Recipe, SourceSpec, build_stage, load_recipe, parse_recipe

__all__ = ["Recipe", "SourceSpec", "build_stage", "load_recipe", "parse_recipe"]
