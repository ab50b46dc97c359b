"""Options of the command line, made from the fields of pydantic models: name, value, help and panel."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from augforge.cli.completion import Completion, among, models_for
from augforge.cli.panels import panel_of
from augforge.stages.stage import Column, Task, kebab

SHORT = 20
"""Columns in which the choices of an option may stand beside it; longer ones stand in its help."""


def parameter(verb: str, name: str, info: FieldInfo) -> inspect.Parameter:
    """The parameter of a command for a field; an option that was not given is None, and the field's default holds.

    A model that is required is asked for by the stage itself, which says what can be given.
    """
    keyword = inspect.Parameter.KEYWORD_ONLY
    kind: Any = str | None
    if info.annotation is bool:
        kind = bool | None
    elif get_origin(info.annotation) is tuple:
        kind = list[str] | None
    annotation = Annotated[kind, _option(verb, name, info)]
    if info.is_required() and not _is_model(info):
        return inspect.Parameter(name, keyword, annotation=annotation)
    return inspect.Parameter(name, keyword, default=None, annotation=annotation)


def _option(verb: str, name: str, info: FieldInfo) -> Any:
    flag, panel = f"--{kebab(name)}", panel_of(verb, kebab(name))
    if info.annotation is bool:
        return typer.Option(f"{flag}/--no-{kebab(name)}", help=_about(info), rich_help_panel=panel)
    return typer.Option(
        flag, metavar=_metavar(info), help=_about(info), rich_help_panel=panel, autocompletion=_completion(info)
    )


def _about(info: FieldInfo) -> str:
    """The field's description, the choices that do not fit beside the option, and the default."""
    words = [info.description or ""]
    choices = choices_of(info.annotation)
    if len("|".join(choices)) > SHORT:
        words.append(f"One of {', '.join(choices)}.")
    if info.is_required() and _is_model(info):
        words.append("[required]")
    if not info.is_required() and info.default is not False and info.default not in (None, "", ()):
        words.append(f"[default: {_shown(info.default)}]")
    return " ".join(words)


def _shown(value: Any) -> str:
    """A default as it is typed."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _metavar(info: FieldInfo) -> str:
    if _is_model(info):
        return "MODEL"
    if any(isinstance(mark, Column) for mark in info.metadata):
        return "COLUMN"
    kinds = "|".join(_kinds(info.annotation))
    return kinds if len(kinds) <= SHORT else "CHOICE"


def _is_model(info: FieldInfo) -> bool:
    return any(isinstance(mark, Task) for mark in info.metadata)


def _kinds(annotation: Any) -> list[str]:
    """What a value may be: the choices of a literal, or N, X and TEXT."""
    if get_origin(annotation) is Literal:
        return list(map(str, get_args(annotation)))
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) is tuple:
        return ["TEXT"]
    if get_args(annotation):
        parts = (kind for part in get_args(annotation) if part is not type(None) for kind in _kinds(part))
        return list(dict.fromkeys(parts))
    return [{int: "N", float: "X", str: "TEXT"}.get(annotation, "VALUE")]


def choices_of(annotation: Any) -> list[str]:
    """The words that an option knows, those of every literal in its type."""
    if get_origin(annotation) is Literal:
        return list(map(str, get_args(annotation)))
    return [choice for part in get_args(annotation) for choice in choices_of(part)]


def _completion(info: FieldInfo) -> Completion | None:
    """The models that can do the field's task, or its choices."""
    for mark in info.metadata:
        if isinstance(mark, Task):
            return models_for(mark.name)
    choices = choices_of(info.annotation)
    return among(*choices) if choices else None
