"""Change one option of one stage in the text of a recipe; every other byte stays as somebody wrote it.

The text is not written anew from what it says: the marks of the parser say where the option stands, and only that is
replaced.
"""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from augforge.data.files import write_atomically
from augforge.errors import RecipeError
from augforge.recipe.plain_yaml import read_yaml
from augforge.recipe.recipe import parse_recipe
from augforge.stages.filter import Filter
from augforge.stages.stage import Stage

BY_HAND = "change it in an editor"
RULES = (("outliers",), ("keep",), ("min", "max"), ("mean-minus-std",))
"""The rules of a filter, of which it has one: another one takes the place of that which stands there."""
Span = tuple[int, int]
Pair = tuple[yaml.ScalarNode, yaml.Node]


def read_version(path: Path) -> tuple[str, str]:
    """The text of a recipe, and what tells this version of it from all others.

    Raises:
        RecipeError: it cannot be read.
    """
    try:
        data = path.read_bytes()
        return data.decode("utf-8"), hashlib.sha256(data).hexdigest()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read: {error}", "give the path of a recipe in YAML") from error


def save_option(path: Path, title: str, option: str, value: Any, *, version: str) -> str:
    """Write an option of a stage into the file of a recipe, and return what changed, as a unified diff.

    Args:
        path: the recipe.
        title: the stage, as in the ledger: `2-filter-clip`.
        option: as in the recipe, such as `min`. A rule of a filter takes the place of its other rule.
        value: a number, text, truth value or list of these; None takes the option away.
        version: what `read_version` said of the text that was shown.

    Raises:
        RecipeError: the file has changed since, the stage is another one, or the recipe would not be valid.
        StoreError: it cannot be written.
    """
    before, now = read_version(path)
    if now != version:
        raise RecipeError(f"{path} has changed since it was read", "look at it again, then save")
    after = edited(before, title, option, value)
    write_atomically(path.resolve(), after.encode())
    return diff_of(before, after, path.name)


def diff_of(before: str, after: str, name: str) -> str:
    """A unified diff of two texts of a file called `name`; "" where they are the same."""
    return "\n".join(difflib.unified_diff(before.split("\n"), after.split("\n"), name, name, lineterm=""))


def edited(text: str, title: str, option: str, value: Any) -> str:
    """The text of a recipe with another value of an option; arguments and errors as those of `save_option`."""
    recipe = parse_recipe(text)
    if title not in recipe.titles():
        raise RecipeError(f"the recipe has no stage {title}", f"it has {', '.join(recipe.titles()) or 'none'}")
    number = recipe.titles().index(title)
    stage = recipe.stages[number]
    _check_option(stage, title, option)
    others = _other_rules(stage, option) if value is not None else []
    place = _Place(text, number, stage)
    after = place.without(option) if value is None else place.with_value(option, value, others)
    for other in others:
        after = _Place(after, number, stage).without(other)
    _check(text, after, number, {option: value, **dict.fromkeys(others)})
    return after


class _Place:
    """Where a stage stands in a text."""

    def __init__(self, text: str, number: int, stage: Stage) -> None:
        self.text = text
        root = yaml.compose(text, Loader=yaml.SafeLoader) or yaml.MappingNode("", [])
        stages = next(value for key, value in root.value if key.value == "stages")
        self.node: yaml.MappingNode = stages.value[number]
        self.pairs: list[Pair] = self.node.value
        self.verb = next(pair for pair in self.pairs if pair[0].value == stage.verb)
        met = Counter(id(node) for node in _nodes(root))
        self._shared = {identity for identity, count in met.items() if count > 1}
        if id(self.node) in self._shared:
            raise RecipeError("the stage is an alias of another one, or has one", BY_HAND)

    def with_value(self, option: str, value: Any, others: Sequence[str] = ()) -> str:
        """The text with the option, in its place or that of one of the `others`, or as a new line."""
        written = f"{option}: {_written(value)}"
        for name in (option, *others):
            if pair := self._pair(name):
                return self._replaced(pair, option, _written(value))
        if self.node.flow_style:
            return self._put(self.verb[1].end_mark.index, f", {written}")
        end = self._line_end(self.verb[1].end_mark.index)
        line_end = "\r\n" if self.text[:end].endswith("\r") else "\n"
        column = " " * self.verb[0].start_mark.column
        return self._put(end - len(line_end) + 1, f"{line_end}{column}{written}")

    def without(self, option: str) -> str:
        """The text without the option, and with it of its line."""
        pair = self._pair(option)
        if pair is None:
            return self.text
        start, end = pair[0].start_mark.index, self._value_span(pair)[1]
        if self.node.flow_style:
            place = self.pairs.index(pair)
            if place:
                return self._cut(self.pairs[place - 1][1].end_mark.index, end)
            return self._cut(start, self.pairs[1][0].start_mark.index)
        first = self.text.rfind("\n", 0, start) + 1
        if self.text[first:start].strip():
            raise RecipeError(f"{option} stands beside the dash of its stage", BY_HAND)
        last = self._line_end(end)
        if last == len(self.text):  # the line before it is the last one then, and had no end, either
            return self.text[:first].removesuffix("\n").removesuffix("\r")
        return self._cut(first, last + 1)

    def _pair(self, option: str) -> Pair | None:
        return next((pair for pair in self.pairs if pair[0].value == option), None)

    def _replaced(self, pair: Pair, option: str, written: str) -> str:
        start, end = self._value_span(pair)
        text = self.text[:start] + written + self.text[end:]
        if pair[0].value == option:
            return text
        key = pair[0]
        return text[: key.start_mark.index] + option + text[key.end_mark.index :]

    def _value_span(self, pair: Pair) -> Span:
        """Where the value of an option stands: within one line, and nowhere else.

        Raises:
            RecipeError: it is on several lines, has a name, or is that of another value.
        """
        start, end = pair[1].start_mark.index, pair[1].end_mark.index
        if id(pair[1]) in self._shared or self.text[start : start + 1] in ("&", "!"):
            raise RecipeError(f"the value of {pair[0].value} has a name or a tag (&, * or !)", BY_HAND)
        if start < pair[0].end_mark.index or "\n" in self.text[pair[0].start_mark.index : end].rstrip():
            raise RecipeError(f"the value of {pair[0].value} goes over several lines", BY_HAND)
        if start == end:
            raise RecipeError(f"{pair[0].value} has no value", BY_HAND)
        return start, end

    def _line_end(self, index: int) -> int:
        """Where the line ends that holds a place: at its line feed, or at the end of the text."""
        found = self.text.find("\n", index)
        return len(self.text) if found < 0 else found

    def _put(self, index: int, what: str) -> str:
        return self.text[:index] + what + self.text[index:]

    def _cut(self, start: int, end: int) -> str:
        return self.text[:start] + self.text[end:]


def _nodes(node: yaml.Node) -> Iterator[yaml.Node]:
    """A node and all below it; what an alias stands for comes again."""
    yield node
    for item in node.value if isinstance(node, yaml.CollectionNode) else ():
        for inner in item if isinstance(item, tuple) else (item,):
            yield from _nodes(inner)


def _written(value: Any) -> str:
    """A value in YAML, within a line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**9, allow_unicode=True).removesuffix("...\n").strip()


def _check_option(stage: Stage, title: str, option: str) -> None:
    names = [field.alias or name for name, field in type(stage).model_fields.items()]
    if option not in names:
        raise RecipeError(f"{title} has no option {option!r}", f"it has {', '.join(sorted(names))}")


def _other_rules(stage: Stage, option: str) -> list[str]:
    """The options of a filter that a rule excludes."""
    mine = next((rule for rule in RULES if option in rule), None)
    if mine is None or not isinstance(stage, Filter):
        return []
    return [name for rule in RULES if rule != mine for name in rule]


def _check(before: str, after: str, number: int, changed: Mapping[str, Any]) -> None:
    """RecipeError where the new text is no valid recipe, or says anything else than what was to be changed."""
    parse_recipe(after)
    wanted = read_yaml(before)
    options = {**wanted["stages"][number], **changed}
    wanted["stages"][number] = {name: value for name, value in options.items() if value is not None}
    found = read_yaml(after)
    found["stages"][number] = {name: value for name, value in found["stages"][number].items() if value is not None}
    if found != wanted:
        raise RecipeError(f"{', '.join(changed)} cannot be changed without changing more", BY_HAND)
