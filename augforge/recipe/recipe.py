"""Recipes: from YAML to checked options. Whatever is wrong with a recipe is found here, before a model is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from reprlib import repr as short
from typing import Any

import yaml

from augforge.errors import RecipeError, did_you_mean
from augforge.recipe.build import parse_stages
from augforge.recipe.plain_yaml import one_line, read_yaml
from augforge.recipe.rules import check_recipe
from augforge.recipe.source import SourceSpec, parse_sources
from augforge.stages.stage import Stage

KEYS = ("name", "seed", "licences", "source", "stages")
UNNAMED = "recipe"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to do: sources, then stages in order; everything random follows from `seed`.

    `licences` are those that its models may have; () allows all. `folder` is where its file lies, which options that
    name a file beside it refer to; the present folder for one that is in no file.
    """

    name: str
    seed: int
    sources: tuple[SourceSpec, ...]
    stages: tuple[Stage, ...]
    licences: tuple[str, ...] = ()
    folder: Path = field(default=Path(), compare=False)

    def __post_init__(self) -> None:
        _check_type("name", self.name, str)
        _check_type("seed", self.seed, int)
        if not -(2**63) <= self.seed < 2**63:
            raise RecipeError(f"seed: {short(self.seed)} is no whole number of 64 bits", "a small number does as well")

    def plain(self) -> dict[str, Any]:
        """As in YAML, with every default written out."""
        sources = [source.plain() for source in self.sources]
        return {
            "name": self.name,
            "seed": self.seed,
            **({"licences": list(self.licences)} if self.licences else {}),
            "source": sources[0] if len(sources) == 1 else sources,
            "stages": [{stage.verb: stage.name, **stage.options()} for stage in self.stages],
        }

    def titles(self) -> list[str]:
        """What each stage is called in the ledger: number, verb and name."""
        return [f"{number}-{stage.verb}-{stage.name}" for number, stage in enumerate(self.stages, start=1)]

    def yaml(self) -> str:
        """The resolved recipe as YAML text, which `load_recipe` reads back to an equal recipe."""
        return yaml.safe_dump(self.plain(), sort_keys=False, allow_unicode=True)


def load_recipe(path: Path, seed: int | None = None) -> Recipe:
    """Read and check a recipe file; `seed` overrides its own.

    Raises:
        RecipeError: with file, stage number, key and the likely intended key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except IsADirectoryError as error:
        hint = f"name it in a recipe as its source, {{folder: {path}}}; augforge filter and others take a folder itself"
        raise RecipeError(f"{path} is a folder, and no recipe", hint) from error
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8"
        raise RecipeError(f"{path} cannot be read: {why}", "give the path of a recipe in YAML") from error
    try:
        return replace(parse_recipe(text, seed), folder=path.parent)
    except RecipeError as error:
        raise RecipeError(f"{path}, {error.message}", error.hint) from error


def parse_recipe(text: str, seed: int | None = None) -> Recipe:
    """The recipe in a YAML text; RecipeError says where it is wrong."""
    try:
        plain = read_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RecipeError(f"not valid YAML: {one_line(error)}") from error
    if not isinstance(plain, dict):
        raise RecipeError("top level: a recipe is a mapping with " + ", ".join(KEYS), "see recipes/quickstart.yaml")
    for key in plain:
        if key not in KEYS:
            raise RecipeError(f"top level: unknown key {short(key)}", did_you_mean(str(key), list(KEYS)))
    stages = plain.get("stages") or []
    if not isinstance(stages, list):
        raise RecipeError("key 'stages': it is a list, each stage beginning with '- generate:', '- filter:' …")
    recipe = Recipe(
        name=plain.get("name", UNNAMED),
        seed=plain.get("seed", 0) if seed is None else seed,
        sources=parse_sources(plain.get("source")),
        stages=parse_stages(stages),
        licences=parse_licences(plain.get("licences")),
    )
    check_recipe(recipe)
    return recipe


def parse_licences(given: Any) -> tuple[str, ...]:
    """The licences that a recipe allows: a list of names, or one text with commas between; RecipeError for others."""
    names = given.split(",") if isinstance(given, str) else [] if given is None else given
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        raise RecipeError(f"key 'licences': {short(given)} is no list of names", "for example apache-2.0,openrail")
    return tuple(name.strip() for name in names)


def _check_type(key: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise RecipeError(f"key {key!r}: {short(value)} is not {'a whole number' if kind is int else 'a text'}")
