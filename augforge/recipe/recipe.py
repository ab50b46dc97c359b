"""Recipes: YAML in, checked options out. Everything that can be wrong is found here, before a model is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from reprlib import repr as short
from typing import Any

import yaml
from pydantic import ValidationError

from augforge.errors import AugforgeError, ModelError, RecipeError, did_you_mean
from augforge.io import KINDS
from augforge.models import MODELS, find_model
from augforge.recipe.acceptance import check_acceptance
from augforge.recipe.plain_yaml import one_line, read_yaml
from augforge.stages.catalog import VERBS, stage_class
from augforge.stages.generator import Generator
from augforge.stages.splitter import Splitter
from augforge.stages.stage import Stage, kebab
from augforge.stages.trainer import Trainer

KEYS = ("name", "seed", "source", "stages")


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One source of a recipe, such as `{folder: data/digits}`; `options` are the format's own."""

    kind: str
    value: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As in YAML."""
        return {self.kind: self.value, **self.options}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to do: sources, then stages in order, all draws hanging on `seed`."""

    name: str
    seed: int
    sources: tuple[SourceSpec, ...]
    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        if not -(2**63) <= self.seed < 2**63:
            raise RecipeError(f"seed: {short(self.seed)} is no whole number of 64 bits", "a small number does as well")

    def plain(self) -> dict[str, Any]:
        """As in YAML, with every default written out."""
        sources = [source.plain() for source in self.sources]
        return {
            "name": self.name,
            "seed": self.seed,
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
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read: {error}", "give the path of a recipe in YAML") from error
    try:
        return parse_recipe(text, seed)
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
    return Recipe(
        name=_typed(plain, "name", str, "recipe"),
        seed=_typed(plain, "seed", int, 0) if seed is None else seed,
        sources=_sources(plain.get("source")),
        stages=_stages(stages),
    )


def build_stage(verb: str, name: str, options: Mapping[str, Any], trained: Mapping[str, str] | None = None) -> Stage:
    """The stage `verb: name` with `options`, keys as in YAML; RecipeError says which option is wrong.

    `trained` has the task of every model that an earlier stage trains, by its name.
    """
    cls = stage_class(verb, name)
    try:
        stage = cls.model_validate(dict(options), by_alias=True, by_name=False)
    except ValidationError as error:
        raise _option_error(cls, error) from error
    for option, task in cls.tasks().items():
        _check_model(getattr(stage, option), task, trained or {})
    stage.check()
    return stage


def _check_model(name: str | None, task: str, trained: Mapping[str, str]) -> None:
    if name is None:
        return
    if name not in trained:
        find_model(name, task)
    elif trained[name] != task:
        raise ModelError(f"{name!r} is trained for {trained[name]}, not for {task}", "name another model here")


def _option_error(cls: type[Stage], error: ValidationError) -> RecipeError:
    first = error.errors()[0]
    key = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        return RecipeError(f"unknown key {short(key)}", did_you_mean(key, [kebab(name) for name in cls.model_fields]))
    message = first["msg"].removeprefix("Value error, ")
    if not key:
        return RecipeError(message)
    about = cls.model_fields.get(key.replace("-", "_"))
    return RecipeError(f"key {key!r}: {message}", (about.description or "") if about else "")


def _stages(entries: list[Any]) -> tuple[Stage, ...]:
    stages: list[Stage] = []
    trained: dict[str, str] = {}
    for number, entry in enumerate(entries, start=1):
        stage = _stage(number, entry, trained)
        _check_place(f"stage {number} ({stage.verb}: {stage.name})", stage, stages)
        stages.append(stage)
        if isinstance(stage, Trainer):
            if stage.called in trained or stage.called in MODELS:
                where = f"stage {number} ({stage.verb}: {stage.name})"
                raise RecipeError(
                    f"{where}: there is a model called {stage.called!r} already", "give `as` another name"
                )
            trained[stage.called] = stage.task
    check_acceptance(stages)
    return tuple(stages)


def _check_place(where: str, stage: Stage, before: list[Stage]) -> None:
    """Refuse what would leak: a split after something was learnt or made, and shots of a model that saw more."""
    made = next((earlier for earlier in before if isinstance(earlier, (Trainer, Generator))), None)
    if isinstance(stage, Splitter) and made is not None:
        raise RecipeError(f"{where}: it comes after `{made.verb}: {made.name}`", "split before anything is made")
    if not isinstance(stage, Generator) or stage.shots is None:
        return
    names = {getattr(stage, option) for option in stage.tasks()}
    for trainer in (earlier for earlier in before if isinstance(earlier, Trainer)):
        if trainer.called in names and (trainer.shots is None or trainer.shots > stage.shots):
            raise RecipeError(
                f"{where}: its model {trainer.called!r} learns from more than {stage.shots} shots",
                f"give `train: {trainer.name}` shots: {stage.shots}, too",
            )


def _stage(number: int, entry: Any, trained: Mapping[str, str]) -> Stage:
    where = f"stage {number}"
    if not isinstance(entry, dict):
        raise RecipeError(f"{where}: a stage is a mapping such as '- filter: clip'")
    verbs = [key for key in entry if key in VERBS]
    if len(verbs) == 2:
        verbs = [verb for verb in verbs if verb != "split"]  # which is an option of generators, too
    if len(verbs) != 1:
        first = str(next(iter(entry), ""))
        raise RecipeError(f"{where}: it needs exactly one of {', '.join(VERBS)}", did_you_mean(first, list(VERBS)))
    (verb,) = verbs
    name = _name(entry[verb], f"{where}: the stage of {verb!r}")
    options = {key: value for key, value in entry.items() if key != verb}
    for key in options:
        if not isinstance(key, str):
            raise RecipeError(f"{where} ({verb}: {name}): key {short(key)} is not a word", "put it in quotes")
    try:
        return build_stage(verb, name, options, trained)
    except AugforgeError as error:
        raise RecipeError(f"{where} ({verb}: {name}): {error.message}", error.hint) from error


def _sources(plain: Any) -> tuple[SourceSpec, ...]:
    if plain is None:
        raise RecipeError("key 'source' is missing", "for example  source: {folder: data/digits}")
    entries = plain if isinstance(plain, list) else [plain]
    if not entries:
        raise RecipeError("key 'source': the list is empty")
    return tuple(_source(number, entry) for number, entry in enumerate(entries, start=1))


def _source(number: int, entry: Any) -> SourceSpec:
    where = f"source {number}"
    if not isinstance(entry, dict):
        raise RecipeError(f"{where}: it is a mapping such as {{folder: data/digits}}")
    kinds = [key for key in entry if key in KINDS]
    if len(kinds) != 1:
        first = str(next(iter(entry), ""))
        raise RecipeError(f"{where}: it needs exactly one of {', '.join(KINDS)}", did_you_mean(first, list(KINDS)))
    (kind,) = kinds
    options = {str(key): value for key, value in entry.items() if key != kind}
    for key, value in options.items():
        if key not in SOURCE_OPTIONS:
            raise RecipeError(f"{where} ({kind}): unknown key {short(key)}", did_you_mean(key, list(SOURCE_OPTIONS)))
        if not isinstance(value, str):
            raise RecipeError(f"{where} ({kind}): key {key!r}: it is a text")
    return SourceSpec(kind, _name(entry[kind], f"{where}: the {kind}"), options)


SOURCE_OPTIONS = ("split", "image", "label", "masks", "class")


def _typed(plain: Mapping[str, Any], key: str, kind: type, default: Any) -> Any:
    value = plain.get(key, default)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise RecipeError(f"key {key!r}: {short(value)} is not {'a whole number' if kind is int else 'a text'}")
    return value


def _name(value: Any, what: str) -> str:
    """A text or a number where a text is meant, such as the folder 2024."""
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return str(value)
    raise RecipeError(f"{what} is a text, not {short(value)}")
