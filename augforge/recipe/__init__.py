"""Recipes: what to do, in YAML or built in Python, checked before anything is loaded."""

from augforge.recipe.build import build_stage
from augforge.recipe.recipe import Recipe, load_recipe, parse_recipe
from augforge.recipe.rules import check_recipe
from augforge.recipe.source import SourceSpec

__all__ = ["Recipe", "SourceSpec", "build_stage", "check_recipe", "load_recipe", "parse_recipe"]
