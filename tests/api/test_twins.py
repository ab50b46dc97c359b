"""Every command has a twin in Python, with a parameter for each of its options; docs/python.md has the one table."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import augforge
from augforge.cli.app import app
from augforge.evaluate.settings import Settings
from augforge.stages.catalog import STAGES, VERBS, stage_class

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
ROW = re.compile(r"^\| (`[^|]*) \| (`[^|]*) \|$", re.MULTILINE)
IN_TICKS = re.compile(r"`([^`]+)`")
ELSEWHERE = {
    "json", "help",  # how a result is printed; a method returns it
    "folder", "recipe", "sources",  # what a method belongs to
    "format", "form", "exit_code",  # diff: Diff.markdown, Diff.plain, Diff.changes
    "what",  # list: a function for each
    "quiet", "verbose",  # how much a command says; methods have `progress`
    "again",  # select: select_again, which is that option
    "dry_run",  # what a command would do; Recipe.plan
    "licence",  # of run and check: `licences` of the recipe
    "pictures", "withheld",  # review: how a terminal shows images; Run.images has them
    "accept",  # generate: filters after the generator in `stages`; rebuild has it
}  # fmt: skip
CALLED = {
    "locked": "accept", "before": "self", "after": "other", "measure": "measures", "minimum": "minimums",
    ("regen", "out"): "self",  # Regenerated.data
    ("regen", "replace"): "self",  # likewise
    ("lock", "recipe"): "self",
}  # fmt: skip
"""What an option of a command, or of one command, is called in its twin."""


def table(page: str) -> dict[str, list[str]]:
    """The dotted twins of every command that the table of a page names."""
    _, _, last = page.partition("## Command and twin")
    rows = [(IN_TICKS.findall(left), IN_TICKS.findall(right)) for left, right in ROW.findall(last)]
    return {command: twins for commands, twins in rows for command in commands if command != "augforge …"}


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of a click tree that does something, with its path."""
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    context = typer.Context(command)
    for name in command.list_commands(context):
        yield from commands(command.get_command(context, name), (*path, name))


def resolve(dotted: str) -> Callable[..., Any]:
    """What a dotted name of the package means; AttributeError if nothing."""
    found: Any = augforge
    for name in dotted.split("."):
        found = getattr(found, name)
    assert callable(found)
    return found


TWINS = table(PAGE.read_text())
COMMANDS = dict(commands(typer.main.get_command(app)))


def accepted(path: tuple[str, ...], twins: list[str]) -> set[str]:
    """The parameters that the twins of a command take, and what takes the place of options in them."""
    names: set[str] = set()
    for twin in twins:
        names |= set(inspect.signature(resolve(twin)).parameters)
        if twin.startswith("Recipe."):
            names |= set(inspect.signature(augforge.Recipe).parameters)
        if twin in ("Recipe.lock", "Recipe.rebuild"):  # `options` are those of run
            names |= set(inspect.signature(augforge.Recipe.run).parameters)
    if path[0] == "evaluate":
        names |= set(Settings.model_fields)
    return names | stage_options(path)


def stage_options(path: tuple[str, ...]) -> set[str]:
    """The options of the stage behind a command, which are keys of its mapping, or options of `train`."""
    verb = "select" if path[0].startswith("select") else path[0]
    if verb not in VERBS:
        return set()
    name = path[1] if len(path) > 1 else next(name for of, name in STAGES if of == verb)
    cls: Any = stage_class(verb, name)
    return set(cls.model_fields) | set(getattr(cls, "arguments", ()))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_command_has_a_twin_that_takes_its_options(path: tuple[str, ...]) -> None:
    twins = TWINS.get(path[0])
    assert twins, f"augforge {path[0]} has no line in the table of docs/python.md"
    taken = accepted(path, twins)
    options = {p.name for p in COMMANDS[path].params if (path[0], p.name) != ("train", "store")}  # it is ignored there
    called = {CALLED.get((path[0], name), CALLED.get(name, name)) for name in options - ELSEWHERE}
    assert called - taken == set()


@pytest.mark.parametrize("twin", sorted({twin for twins in TWINS.values() for twin in twins}))
def test_a_twin_is_there_and_documented(twin: str) -> None:
    assert (resolve(twin).__doc__ or "").strip()
    assert twin.partition(".")[0] in augforge.__all__


def test_the_table_has_no_command_that_is_not_there() -> None:
    known = {path[0] for path in COMMANDS}
    assert set(TWINS) - known - {"select"} == set()  # the commands of `select` have two names
    assert len(known) >= 20


@pytest.mark.parametrize("name", ["Recipe", "Run"])
def test_every_method_says_what_it_does_and_what_its_parameters_are(name: str) -> None:
    for method, function in inspect.getmembers(getattr(augforge, name), inspect.isfunction):
        if method.startswith("_"):
            continue
        document = inspect.getdoc(function) or ""
        many = [p for p in inspect.signature(function).parameters if p not in ("self", "out", "device", "progress")]
        assert document, method
        assert len(many) <= 2 or all(f"{p}:" in document or f"`{p}`" in document for p in many), method


def test_a_missing_command_and_a_missing_twin_are_found() -> None:
    planted = table("## Command and twin\n| `augforge …` | in Python |\n|---|---|\n| `run` | `Recipe.walk` |\n")
    assert planted == {"run": ["Recipe.walk"]} and "check" not in planted
    with pytest.raises(AttributeError):
        resolve(planted["run"][0])
