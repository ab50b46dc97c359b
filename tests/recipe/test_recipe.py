"""Recipes: what is right is read back equal, what is wrong is one message that says where and what was meant."""

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from augforge.errors import AugforgeError, RecipeError
from augforge.recipe import load_recipe, parse_recipe

GOOD = """
name: quickstart
seed: 7
source: {folder: data/digits}
stages:
  - generate: augmented-conditioning
    mode: embed-cutmix-dropout
    balance-to: max
  - filter: clip
    on: synthetic
    keep: 0.8
  - select: facility-location
    share: 0.7
"""


def test_a_recipe_reads_back_to_an_equal_one():
    recipe = parse_recipe(GOOD)
    assert parse_recipe(recipe.yaml()) == recipe
    assert [stage.name for stage in recipe.stages] == ["augmented-conditioning", "clip", "facility-location"]


def test_on_is_a_word_and_not_a_truth_value():
    assert yaml.safe_load("on: synthetic") == {True: "synthetic"}  # the trap
    assert parse_recipe(GOOD).stages[1].on == "synthetic"


def test_the_seed_can_be_overridden():
    assert parse_recipe(GOOD).seed == 7
    assert parse_recipe(GOOD, seed=0).seed == 0


WRONG = [
    ("stages:\n  - filter: clip\n    kep: 0.8", "stage 1 (filter: clip): unknown key 'kep'", "did you mean 'keep'?"),
    (
        "stages:\n  - filter: clp",
        "stage 1 (filter: clp): there is no filter stage called 'clp'",
        "did you mean 'clip'?",
    ),
    (
        "stages:\n  - fliter: clip",
        "stage 1: it needs exactly one of generate, filter, select",
        "did you mean 'filter'?",
    ),
    ("stages:\n  - filter: clip\n  - filter: clip\n    keep: 1.5", "stage 2 (filter: clip): key 'keep'", "share"),
    ("stages:\n  - filter: clip\n    keep: much", "stage 1 (filter: clip): key 'keep'", ""),
    ("stages:\n  - filter: clip\n    keep: .5\n    min: .2", "keep and min exclude each other", ""),
    (
        "stages:\n  - filter: clip\n    model: builtin-unclip",
        "is a model for autoencoder, conditioning, fine-tuning and variation, not for image-embedding",
        "builtin-clip",
    ),
    ("stages:\n  - filter: clip\n    model: builtin-clop", "there is no model called 'builtin-clop'", "'builtin-clip'"),
    ("stages:\n  - filter: clip\n    prompt: a {lable}", "{lable} cannot be filled in", ""),
    ("stages:\n  - filter: clip\n    mean_minus_std: 1", "unknown key 'mean_minus_std'", "'mean-minus-std'"),
    ("stages: 3", "key 'stages': it is a list", ""),
    ("stage: []", "top level: unknown key 'stage'", "did you mean 'stages'?"),
    ("seed: many", "key 'seed': 'many' is not a whole number", ""),
    ("name: a\nname: b", "the key 'name' comes twice", ""),
    ("stages: [}", "not valid YAML", ""),
]


@pytest.mark.parametrize(("text", "message", "hint"), WRONG)
def test_a_wrong_recipe_is_one_message(tmp_path, text, message, hint):
    path = tmp_path / "wrong.yaml"
    source = "" if "stages: [}" in text else "source: {folder: x}\n"
    path.write_text(source + text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert caught.value.message.startswith(str(path)) and "\n" not in caught.value.message
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{foldr: x}", "source 1: it needs exactly one of"),
        ("{folder: x, splt: train}", "unknown key 'splt'"),
        ("[]", "the list is empty"),
        ("3", "source 1: 3 is no mapping"),
    ],
)
def test_a_wrong_source_says_so(source, message):
    with pytest.raises(RecipeError, match=message.replace("(", r"\(")):
        parse_recipe(f"source: {source}")


@pytest.mark.parametrize(
    ("source", "meant"),
    [("my/photos", "{folder: my/photos}"), ("'sample:digits'", "{sample: digits}"), ("a:b", "{folder: a:b}")],
)
def test_a_source_that_is_a_text_is_told_how_to_write_it(source: str, meant: str) -> None:
    with pytest.raises(RecipeError) as error:
        parse_recipe(f"source: {source}")
    assert meant in error.value.hint


def test_a_missing_source_says_so():
    with pytest.raises(RecipeError, match="'source' is missing"):
        parse_recipe("name: x")


def test_python_objects_are_not_made():
    with pytest.raises(RecipeError, match="not valid YAML"):
        parse_recipe("source: !!python/object/apply:os.system ['true']")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["source", "stages", "filter", "generate", "keep", "on", "folder", "model", "name"])
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.sampled_from(["name", "seed", "source", "stages"]), ANYTHING) | ANYTHING)
def test_no_yaml_gives_a_traceback(plain):
    try:
        parse_recipe(yaml.safe_dump(plain))
    except AugforgeError as error:
        assert error.message


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_no_text_gives_a_traceback(text):
    try:
        parse_recipe(text)
    except AugforgeError as error:
        assert error.message


@pytest.mark.parametrize("source", ["{folder: {a: b}}", "{folder: [a]}", "&a {folder: *a}", "{folder: }"])
def test_a_source_is_a_text(source):
    with pytest.raises(RecipeError, match=r"the folder is a text|not valid YAML"):
        parse_recipe(f"source: {source}\n")
