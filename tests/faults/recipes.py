"""Recipes that are nearly right: every stage's example, with values, keys and whole branches replaced by anything."""

from __future__ import annotations

import copy
import datetime
import math
from typing import Any

import yaml
from hypothesis import strategies as st

from augforge.data.ids import key
from augforge.errors import AugforgeError
from augforge.recipe import parse_recipe
from augforge.stages.catalog import STAGES, stage_class
from augforge.stages.stage import kebab

ODD = [
    None, True, False, 0, -1, 1, 10**30, -(10**30), 2**63, 0.5, 1.5, -0.0, 1e400, -math.inf, math.nan, "", " ", "\x00",
    "\x1b[31m", "a" * 5000, "/", "/etc/passwd", "..", "hub:", "hub:x/y", "no/such", "{label}", "{", "{label!r}", "1:3",
    "auto", "max", "yes", "~", [], [[]], {}, {"a": 1}, [1, "a"], datetime.date(2020, 1, 1), b"bytes", {1: 2},
]  # fmt: skip
ANYTHING = st.recursive(
    st.sampled_from(ODD) | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def right_ones() -> list[dict[str, Any]]:
    """A recipe for every stage of the catalog, with all its options that have a value."""
    recipes = []
    for verb, name in STAGES:
        cls = stage_class(verb, name)
        options = {kebab(option): info.default for option, info in cls.model_fields.items() if info.default is not None}
        plain = {option: value for option, value in options.items() if isinstance(value, (str, int, float, bool))}
        stage = {verb: name, **plain, **cls.example}
        recipes.append({"name": "x", "seed": 1, "source": {"folder": "data/x"}, "stages": [stage]})
    return recipes


RIGHT = right_ones()


@st.composite
def nearly_right(draw: Any) -> Any:
    """One of them with one to three of its values or keys replaced, added or removed."""
    recipe: Any = copy.deepcopy(draw(st.sampled_from(RIGHT)))
    for _ in range(draw(st.integers(1, 3))):
        holder = draw(st.sampled_from([recipe, recipe, *_holders(recipe)]))
        if not holder:
            continue
        place = draw(st.sampled_from(sorted(holder, key=str) if isinstance(holder, dict) else range(len(holder))))
        what = draw(st.sampled_from(["value", "value", "value", "key", "gone"]))
        if what == "value":
            holder[place] = copy.deepcopy(draw(ANYTHING))
        elif what == "gone":
            del holder[place]
        elif isinstance(holder, dict):
            holder[draw(st.text(max_size=6) | st.sampled_from(["filter", "generate", "on", "model"]))] = copy.deepcopy(
                draw(ANYTHING)
            )
    return recipe


def _holders(value: Any) -> list[Any]:
    """All mappings and lists in a value."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return ([value] if isinstance(value, (dict, list)) else []) + [found for item in inner for found in _holders(item)]


def as_yaml(value: Any) -> str:
    """The value as YAML; what refers to one thing twice becomes an anchor and an alias."""
    return yaml.dump(value, Dumper=yaml.SafeDumper, allow_unicode=True)


def outcome(text: str) -> str:
    """ "right" or "refused"; anything else is raised. A right recipe has a key, and reads back as it is written."""
    try:
        recipe = parse_recipe(text)
        key(recipe.plain())
        assert parse_recipe(recipe.yaml()) == recipe
    except AugforgeError as error:
        assert error.message and len(error.message) < 2000 and "\n" not in error.message
        return "refused"
    return "right"


def bomb(levels: int) -> str:
    """Ten aliases of ten aliases of … : 10 ** levels values in a few lines."""
    lines = ["- &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "name:\n" + "\n".join(f"  {line}" for line in lines) + "\nsource: {folder: x}\n"


WICKED = {
    "an object": "source: !!python/object/apply:os.system ['true']",
    "a module": "name: !!python/module:os\nsource: {folder: x}",
    "an own tag": "name: !evil x\nsource: {folder: x}",
    "a bomb of aliases": bomb(12),
    "a bomb of merges": "a: &a {b: 1}\n" + "\n".join(f"m{n}: &m{n} {{<<: *a}}" for n in range(50)),
    "a value in itself": "seed: &a [*a]\nsource: {folder: x}",
    "a recipe in itself": "&a\nname: x\nsource: *a",
    "5,000 lists deep": "source: " + "[" * 5000 + "]" * 5000,
    "200 maps deep": "source: " + "{a: " * 200 + "1" + "}" * 200,
    "a number of 5,000 digits": "seed: " + "9" * 5000 + "\nsource: {folder: x}",
    "a seed of 100 digits": "seed: " + "9" * 100 + "\nsource: {folder: x}",
    "half a surrogate pair": 'name: "\\ud800"\nsource: {folder: x}',
    "a date that is none": "name: !!timestamp 2020-13-45\nsource: {folder: x}",
    "two documents": "name: x\n---\nname: y",
    "a rule of NaN": "stages: [{filter: clip, min: .nan}]\nsource: {folder: x}",
    "an endless rule": "stages: [{filter: clip, max: .inf}]\nsource: {folder: x}",
    "a model with a NUL": 'stages: [{filter: clip, model: "a\\0b"}]\nsource: {folder: x}',
    "a model of 5,000 letters": f"stages: [{{filter: clip, model: {'x' * 5000}}}]\nsource: {{folder: x}}",
}
"""Texts that must be refused, quickly."""
