"""Stages from what a recipe says of them: the mapping of an entry in, typed and checked options out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from reprlib import repr as short
from typing import Any

from pydantic import ValidationError

from augforge.errors import AugforgeError, ModelError, RecipeError, did_you_mean
from augforge.models import find_model
from augforge.models.find import ways_to_name
from augforge.models.tasks import TASKS
from augforge.recipe.source import name_in
from augforge.stages.catalog import VERBS, stage_class
from augforge.stages.stage import Stage, kebab
from augforge.stages.trainer import Trainer


def build_stage(verb: str, name: str, options: Mapping[str, Any], trained: Mapping[str, str] | None = None) -> Stage:
    """The stage `verb: name` with `options`, keys as in YAML; RecipeError says which option is wrong.

    `trained` has the task of every model that an earlier stage trains, by its name.
    """
    stage = _validated(stage_class(verb, name), options)
    _check_together(stage, trained or {})
    return stage


def check_stage(stage: Stage, trained: Mapping[str, str]) -> None:
    """What `build_stage` checks, of a stage that is there: a copy or a subclass may have gone round its validators."""
    _validated(type(stage), stage.model_dump(by_alias=True, warnings=False))
    _check_together(stage, trained)


def parse_stages(entries: Sequence[Any]) -> tuple[Stage, ...]:
    """The stages that the entries of `stages` describe; RecipeError says which entry is wrong."""
    stages: list[Stage] = []
    trained: dict[str, str] = {}
    for number, entry in enumerate(entries, start=1):
        stages.append(entry if isinstance(entry, Stage) else _stage(number, entry, trained))
        if isinstance(stages[-1], Trainer):
            trained.setdefault(stages[-1].called, stages[-1].task)
    return tuple(stages)


def _stage(number: int, entry: Any, trained: Mapping[str, str]) -> Stage:
    where = f"stage {number}"
    if not isinstance(entry, dict):
        raise RecipeError(f"{where}: a stage is a mapping such as '- filter: clip'")
    verb = _verb_of(entry, where)
    name = name_in(entry[verb], f"{where}: the stage of {verb!r}")
    options = {key: value for key, value in entry.items() if key != verb}
    for key in options:
        if not isinstance(key, str):
            raise RecipeError(f"{where} ({verb}: {name}): key {short(key)} is not a word", "put it in quotes")
    try:
        return build_stage(verb, name, options, trained)
    except AugforgeError as error:
        raise RecipeError(f"{where} ({verb}: {name}): {error.message}", error.hint) from error


def _verb_of(entry: Mapping[Any, Any], where: str) -> str:
    """The one key that says what kind of stage an entry is; RecipeError if there is none, or more than one."""
    verbs = [key for key in entry if key in VERBS]
    if len(verbs) == 2:
        verbs = [verb for verb in verbs if verb != "split"]  # which is an option of generators, too
    if len(verbs) != 1:
        first = str(next(iter(entry), ""))
        raise RecipeError(f"{where}: it needs exactly one of {', '.join(VERBS)}", did_you_mean(first, list(VERBS)))
    return str(verbs[0])


def _validated(cls: type[Stage], options: Mapping[str, Any]) -> Stage:
    try:
        return cls.model_validate(dict(options), by_alias=True, by_name=False)
    except ValidationError as error:
        raise _option_error(cls, error) from error


def _check_together(stage: Stage, trained: Mapping[str, str]) -> None:
    """Whether the models that a stage names can do their task, and its options go together."""
    for name, task in stage.models():
        _check_model(name, task, trained)
    stage.check()


def _check_model(name: str, task: str, trained: Mapping[str, str]) -> None:
    if name not in trained:
        find_model(name, task)
    elif trained[name] not in TASKS[task]:  # what trains a model for a task is also the back-end that loads it
        raise ModelError(f"{name!r} is trained for {trained[name]}, not for {task}", "name another model here")


def _option_error(cls: type[Stage], error: ValidationError) -> RecipeError:
    first = error.errors()[0]
    key = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        return RecipeError(f"unknown key {short(key)}", did_you_mean(key, [kebab(name) for name in cls.model_fields]))
    if first["type"] == "missing":
        return RecipeError(f"key {key!r} is missing", _about(cls, key))
    message = _said(error, key)
    if not key:
        named = [task for option, task in cls.tasks().items() if f" {kebab(option)} or " in message]
        usual = f"augforge {cls.verb} {cls.name} --help says what each option does"
        return RecipeError(message, ways_to_name(named[0]) if named else usual)
    return RecipeError(f"key {key!r}: {message}", _with_share(first, _about(cls, key)))


def _with_share(error: Any, about: str) -> str:
    """What an option may be, and before it what to write for the percentage that was given."""
    if (share := _as_share(error)) is None:
        return about
    return f"write {share:g} for {100 * share:g}%" + (f": {about[0].lower()}{about[1:]}" if about else "")


SAID = {
    "less_than_equal": "it is at most {le:g}",
    "less_than": "it is less than {lt:g}",
    "greater_than_equal": "it is at least {ge:g}",
    "greater_than": "it is more than {gt:g}",
    "float_parsing": "it is a number",
    "float_type": "it is a number",
    "int_parsing": "it is a whole number",
    "int_type": "it is a whole number",
    "int_from_float": "it is a whole number",
    "bool_parsing": "it is true or false",
    "bool_type": "it is true or false",
    "string_type": "it is a text",
    "literal_error": "it is {expected}",
}
"""What an option is, by the type of pydantic's error; others are said in pydantic's words."""


def _said(error: ValidationError, key: str) -> str:
    """What is wrong with the value of an option; all that it may be, where that is one of several."""
    of_key = [each for each in error.errors() if str((*each["loc"], "")[0]) == key]
    first = of_key[0]
    if not all(key and each["type"] in SAID and len(each["loc"]) <= 2 for each in of_key):
        return str(first["msg"]).removeprefix("Value error, ")
    said = dict.fromkeys(SAID[each["type"]].format(**each.get("ctx", {})) for each in of_key)
    ways = [way.removeprefix("it is ") for way in said]
    return f"it is {' or '.join(ways)}, not {short(first['input'])}"


def _as_share(error: Any) -> float | None:
    """The share in [0, 1] that is meant where a percentage is given for it; None if none is."""
    value, of_share = error["input"], error.get("ctx", {}).get("le") == 1
    if isinstance(value, str) and error["type"] == "float_parsing" and value.strip().endswith("%"):
        value, of_share = _number(value.strip().removesuffix("%")), True
    if not of_share or not isinstance(value, (int, float)) or not 1 < value <= 100:
        return None
    return float(value) / 100


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _about(cls: type[Stage], key: str) -> str:
    """What an option may be: every way to name a model, or the option's description."""
    option = key.replace("-", "_")
    if task := cls.tasks().get(option):
        return ways_to_name(task)
    about = cls.model_fields.get(option)
    return (about.description or "") if about else ""
