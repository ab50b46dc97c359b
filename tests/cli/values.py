"""The numeric and path options of every command, with the values that a test feeds them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from pydantic.fields import FieldInfo

from augforge.cli.commands import COMMANDS
from augforge.evaluate.settings import Settings
from augforge.stages.catalog import stage_class
from tests.cli.tree import leaves

HUGE = 10**9
ALWAYS = ("-1", "0", str(HUGE), str(10**20), "nan", "inf", "x")


@dataclass(frozen=True)
class Numeric:
    """A numeric option of a command: its name and what bounds it states, None for none."""

    words: tuple[str, ...]
    option: str
    whole: bool
    least: float | None
    most: float | None
    above: bool = False
    """Whether `least` itself is too little."""
    texts: tuple[str, ...] = ()
    """Words that it takes, too."""

    @property
    def name(self) -> str:
        """For the id of a test."""
        return " ".join((*self.words, self.option))

    def names(self, message: str) -> bool:
        """Whether a message is about this option."""
        return self.option in message or repr(self.option[2:]) in message or f"{self.option[2:]}: " in message

    def values(self) -> list[str]:
        """Its bounds, what lies just outside of them, and what is no number or too much for anything."""
        step: float = 1 if self.whole else 1e-6
        ends = [(self.least, -step), (self.most, step)]
        at = [value for bound, off in ends if bound is not None for value in (bound, bound + off)]
        return list(dict.fromkeys([*(f"{int(v)}" if self.whole else f"{v!r}" for v in at), *ALWAYS]))

    def within(self, text: str) -> bool:
        """Whether the option's own bounds allow a value."""
        if text in self.texts:
            return True
        try:
            value = int(text) if self.whole else float(text)
        except ValueError:
            return False
        if value != value or abs(value) == float("inf"):
            return False
        least = self.least is None or (value > self.least if self.above else value >= self.least)
        return least and (self.most is None or value <= self.most)


def base(command: Any) -> list[str]:
    """What is typed after `augforge` in the example of a command; nothing that it names is there."""
    return shlex.split(command.epilog)[1:]


@cache
def commands() -> dict[tuple[str, ...], Any]:
    """Every command that does something."""
    return {words: command for words, command, _ in leaves() if not hasattr(command, "list_commands")}


def numerics() -> list[Numeric]:
    """Every numeric option of every command."""
    return [one for words, command in commands().items() for one in _of_command(words, command)]


def _of_command(words: tuple[str, ...], command: Any) -> Iterator[Numeric]:
    fields = fields_of(words)
    for param in command.params:
        option = next((o for o in param.opts if o.startswith("--")), "")
        if not option:
            continue
        if param.name in fields:
            yield from _of_field(words, option, fields[param.name])
        elif numbers := _numbers(param):
            yield Numeric(words, option, int in numbers, getattr(param, "min", None), getattr(param, "max", None))


def _numbers(param: Any) -> set[type]:
    """The types of numbers that a parameter of a command takes; typer says it in one of two ways."""
    if hasattr(param, "type_descriptor"):
        return {int, float}.intersection(_parts(param.type_descriptor.annotation))
    return {"integer": {int}, "float": {float}}.get(param.type.name.partition(" ")[0], set())


def fields_of(words: tuple[str, ...]) -> dict[str, FieldInfo]:
    """The fields behind the options of a stage's command, or of `evaluate`."""
    if words[0] == "evaluate":
        return Settings.model_fields
    kind, _, rest = COMMANDS[words[0]].target.partition(" ")
    if kind not in ("stage", "stages"):
        return {}
    verb, *only = rest.split()
    return stage_class(verb, only[0] if only else words[1]).model_fields


def _of_field(words: tuple[str, ...], option: str, info: FieldInfo) -> Iterator[Numeric]:
    kinds = list(_parts(info.annotation))
    numbers = [part for part in kinds if part in (int, float)]
    if not numbers:
        return
    marks = [*info.metadata, *_marks(info.annotation)]
    bounds = {name: getattr(mark, name) for mark in marks for name in ("ge", "gt", "le", "lt") if hasattr(mark, name)}
    texts = tuple(str(part) for part in kinds if isinstance(part, str))
    least, above = (bounds["gt"], True) if "gt" in bounds else (bounds.get("ge"), False)
    yield Numeric(words, option, int in numbers, least, bounds.get("le"), above, texts)


def _parts(annotation: Any) -> Iterator[Any]:
    if get_args(annotation):
        inner = get_args(annotation)
        for part in inner[:1] if get_origin(annotation) is Annotated else inner:
            yield from _parts(part)
    else:
        yield annotation


def _marks(annotation: Any) -> Iterator[Any]:
    """What stands in an Annotated within a type; a Field there keeps its marks in `metadata`."""
    for part in get_args(annotation):
        if get_origin(part) is Annotated:
            for mark in get_args(part)[1:]:
                yield from getattr(mark, "metadata", [mark])
        yield from _marks(part)
