"""The JSON Schema of recipes: it takes what is right, refuses what the parser refuses, and is the one committed."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

from augforge.errors import AugforgeError
from augforge.io import KINDS
from augforge.recipe import parse_recipe
from augforge.recipe.plain_yaml import read_yaml
from augforge.stages.catalog import STAGES, stage_class
from scripts.recipe_schema import as_text, recipe_schema
from scripts.reference import SCHEMA
from tests.faults.recipes import as_yaml, nearly_right

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
VALIDATOR = Draft202012Validator(recipe_schema())
QUICKSTART = read_yaml((ROOT / "recipes" / "quickstart.yaml").read_text(encoding="utf-8"))


def refused(recipe: Any) -> bool:
    return not VALIDATOR.is_valid(recipe)


def test_it_is_a_schema_and_the_committed_one_is_up_to_date():
    Draft202012Validator.check_schema(recipe_schema())
    assert SCHEMA.read_text(encoding="utf-8") == as_text(), "run `python -m scripts.reference`"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_of_the_repository_is_valid(path):
    VALIDATOR.validate(read_yaml(path.read_text(encoding="utf-8")))
    if any(line.startswith("# yaml-language-server:") for line in path.read_text(encoding="utf-8").splitlines()):
        assert "$schema=../docs/reference/recipe.schema.json" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("verb", "name"), STAGES, ids="-".join)
def test_every_stage_with_its_example_is_valid(verb, name):
    branch = recipe_schema()["$defs"][f"{verb}.{name}"]
    needed = dict.fromkeys(branch["required"], "x")
    VALIDATOR.validate(
        {"source": {"folder": "x"}, "stages": [{**needed, verb: name, **stage_class(verb, name).example}]}
    )


def test_every_stage_and_source_has_its_branch_with_every_option():
    definitions = recipe_schema()["$defs"]
    assert set(definitions) == {f"{verb}.{name}" for verb, name in STAGES} | {f"source.{kind}" for kind in KINDS}
    for verb, name in STAGES:
        branch = definitions[f"{verb}.{name}"]
        assert branch["properties"][verb]["const"] == name and branch["additionalProperties"] is False
        assert len(branch["properties"]) == len(stage_class(verb, name).model_fields) + 1
        assert all(option["description"] for option in branch["properties"].values())


WRONG = {
    "an unknown key at the top": lambda recipe: recipe.update(sources=recipe.pop("source")),
    "an unknown key of a stage": lambda recipe: recipe["stages"][1].update(keeep=0.5),
    "a key of another stage": lambda recipe: recipe["stages"][2].update(keep=0.5),
    "an unknown stage": lambda recipe: recipe["stages"][1].update(filter="klip"),
    "two verbs": lambda recipe: recipe["stages"][1].update(select="random"),
    "no verb": lambda recipe: recipe["stages"][1].pop("filter"),
    "a text for a number": lambda recipe: recipe["stages"][1].update(keep="most"),
    "a share over 1": lambda recipe: recipe["stages"][1].update(keep=1.5),
    "a word that is no choice": lambda recipe: recipe["stages"][1].update(on="fake"),
    "a list for a text": lambda recipe: recipe["stages"][1].update(model=["a"]),
    "a name that is a number": lambda recipe: recipe.update(name=1),
    "a seed that is a text": lambda recipe: recipe.update(seed="one"),
    "no source": lambda recipe: recipe.pop("source"),
    "an empty list of sources": lambda recipe: recipe.update(source=[]),
    "a source of two kinds": lambda recipe: recipe["source"].update(folder="x"),
    "an unknown option of a source": lambda recipe: recipe["source"].update(splitt="train"),
    "a stage that is a text": lambda recipe: recipe["stages"].append("filter"),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_by_the_schema_and_by_the_parser(change):
    recipe = deepcopy(QUICKSTART)
    assert not refused(recipe)
    change(recipe)
    assert refused(recipe)
    with pytest.raises(AugforgeError):
        parse_recipe(as_yaml(recipe))


def test_split_is_an_option_of_generators_and_a_verb():
    stages = [{"split": "near-duplicates", "test": 0.2}, {"generate": "shifts", "split": "train", "fold": 1}]
    assert not refused({"source": {"folder": "x"}, "stages": stages})


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(nearly_right())
def test_what_the_parser_takes_is_valid_as_it_is_written_out(recipe):
    """And so what the schema refuses is refused by the parser, or was only read kindly: "1" as 1, yes as true."""
    text = as_yaml(recipe)
    try:
        parsed = parse_recipe(text)
    except AugforgeError:
        return
    plain = json.loads(json.dumps(parsed.plain()))
    VALIDATOR.validate(plain)
    if refused(read_yaml(text)):
        assert plain != read_yaml(text)
