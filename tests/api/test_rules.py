"""Every rule of a recipe holds for one built in Python: YAML, `check` and `run` refuse it with the same words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

import augforge
from augforge import recipe as recipes
from augforge.engine import run as engine
from augforge.recipe import Recipe, SourceSpec, parse_recipe
from augforge.recipe.acceptance import check_acceptance
from augforge.stages.catalog import VERBS, stage_class
from augforge.stages.stage import Stage

DIGITS = (SourceSpec("sample", "digits"),)
Entry = Mapping[str, Any]

BROKEN: dict[str, tuple[list[Entry], str]] = {
    "a split after images were made": (
        [{"generate": "shifts", "fold": 1}, {"split": "near-duplicates"}],
        "stage 2 (split: near-duplicates): it comes after `generate: shifts`",
    ),
    "a split after something was learnt": (
        [{"train": "classifier", "as": "mine"}, {"split": "near-duplicates"}],
        "stage 2 (split: near-duplicates): it comes after `train: classifier`",
    ),
    "shots of a model that saw everything": (
        [{"train": "night", "as": "mine"}, {"generate": "night", "model": "mine", "shots": 2}],
        "stage 2 (generate: night): its model 'mine' learns from more than 2 shots",
    ),
    "shots of a model that saw more": (
        [{"train": "night", "as": "mine", "shots": 3}, {"generate": "night", "model": "mine", "shots": 2}],
        "stage 2 (generate: night): its model 'mine' learns from more than 2 shots",
    ),
    "two models of one name": (
        [{"train": "night", "as": "mine"}, {"train": "paired", "as": "mine"}],
        "stage 2 (train: paired): there is a model called 'mine' already",
    ),
    "a model with the name of another": (
        [{"train": "night", "as": "builtin-clip"}],
        "stage 1 (train: night): there is a model called 'builtin-clip' already",
    ),
    "a model before it is trained": (
        [{"generate": "night", "model": "mine"}, {"train": "night", "as": "mine"}],
        "stage 1 (generate: night): there is no model called 'mine'",
    ),
    "a model trained for another task": (
        [{"train": "night", "as": "mine"}, {"generate": "paired", "model": "mine"}],
        "stage 2 (generate: paired): 'mine' is trained for night, not for paired",
    ),
    "a model that is not there": (
        [{"filter": "clip", "model": "builtin-clop"}],
        "stage 1 (filter: clip): there is no model called 'builtin-clop'",
    ),
    "a model for another task": (
        [{"filter": "clip", "model": "builtin-unclip"}],
        "stage 1 (filter: clip): 'builtin-unclip' is a model for autoencoder, conditioning, fine-tuning "
        "and variation, not for image-embedding",
    ),
    "accepted by nothing": (
        [{"generate": "shifts", "fold": 1, "until-accepted": 2}],
        "stage 1 (generate: shifts): until-accepted needs a filter right after it",
    ),
    "accepted by a bar that moves": (
        [{"generate": "shifts", "fold": 1, "until-accepted": 2}, {"filter": "clip", "keep": 0.5}],
        "stage 1 (generate: shifts): until-accepted cannot count what `filter: clip` accepts",
    ),
    "a value out of its range": (
        [{"filter": "clip", "keep": 1.5}],
        "stage 1 (filter: clip): key 'keep': it is at most 1",
    ),
    "a value of another kind": (
        [{"filter": "clip", "keep": "much"}],
        "stage 1 (filter: clip): key 'keep': it is a number, not 'much'",
    ),
    "two rules": ([{"filter": "clip", "keep": 0.5, "min": 0.2}], "stage 1 (filter: clip): keep and min exclude each"),
    "two amounts": (
        [{"generate": "shifts", "fold": 1, "per-class": 2, "balance-to": 5}],
        "stage 1 (generate: shifts): per-class and balance-to exclude each other",
    ),
    "options that do not go together": (
        [{"train": "paired", "condition": "files", "instances": True}],
        "stage 1 (train: paired): a condition of `files` has no regions",
    ),
    "a strength that leaves no step": (
        [{"generate": "img2img", "model": "sd15", "steps": 2, "strength": 0.1}],
        "stage 1 (generate: img2img): strength 0.1 of 2 steps leaves no step to run",
    ),
}


def unvalidated(entry: Entry) -> Stage:
    """The stage of an entry, built past its validators, as a copy with other options is."""
    (verb,) = [key for key in entry if key in VERBS][:1]
    cls = stage_class(verb, entry[verb])
    names = {info.alias or name: name for name, info in cls.model_fields.items()}
    names |= {name.replace("_", "-"): name for name in cls.model_fields} | {"as": "called"}
    return cls.model_construct(**{names[key]: value for key, value in entry.items() if key != verb})


def message_of(wrong: Any, *arguments: Any) -> tuple[str, str]:
    """The message and hint with which a call is refused."""
    with pytest.raises(augforge.AugforgeError) as caught:
        wrong(*arguments)
    return caught.value.message, caught.value.hint


@pytest.mark.parametrize(("entries", "said"), BROKEN.values(), ids=BROKEN)
def test_a_rule_holds_wherever_a_recipe_comes_from(tmp_path: Path, entries: Sequence[Entry], said: str) -> None:
    text = yaml.safe_dump({"source": {"sample": "digits"}, "stages": list(entries)}, sort_keys=False)
    message, hint = message_of(parse_recipe, text)
    assert message.startswith(said)
    built = [unvalidated(entry) for entry in entries]
    assert message_of(augforge.Recipe("sample:digits", built).check) == (message, hint)
    assert message_of(augforge.Recipe("sample:digits", built).run, tmp_path / "out") == (message, hint)
    assert message_of(augforge.Recipe("sample:digits", built).plan) == (message, hint)
    assert message_of(engine.run, Recipe("x", 0, DIGITS, tuple(built)), tmp_path / "out") == (message, hint)
    assert message_of(lambda: augforge.Recipe("sample:digits", entries).check()) == (message, hint)
    assert not (tmp_path / "out").exists()


SOURCES: dict[str, tuple[Any, tuple[SourceSpec, ...], str]] = {
    "no source": ([], (), "key 'source': the list is empty"),
    "an unknown kind": ({"foldr": "x"}, (SourceSpec("foldr", "x"),), "source 1: it needs exactly one of folder"),
    "an unknown option": (
        {"folder": "x", "splt": "train"},
        (SourceSpec("folder", "x", {"splt": "train"}),),
        "source 1 (folder): unknown key 'splt'",
    ),
    "an option of another kind": (
        {"folder": "x", "split": 3},
        (SourceSpec("folder", "x", {"split": 3}),),
        "source 1 (folder): key 'split': it is a text",
    ),
}


@pytest.mark.parametrize(("plain", "specs", "said"), SOURCES.values(), ids=SOURCES)
def test_a_rule_of_sources_holds_everywhere(
    tmp_path: Path, plain: Any, specs: tuple[SourceSpec, ...], said: str
) -> None:
    message, hint = message_of(parse_recipe, yaml.safe_dump({"source": plain}))
    assert message.startswith(said)
    assert message_of(augforge.Recipe, plain) == (message, hint)
    assert message_of(engine.run, Recipe("x", 0, specs, ()), tmp_path / "out") == (message, hint)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("seed", "many", "key 'seed': 'many' is not a whole number"),
        ("seed", 2**63, "seed: 9223372036854775808 is no whole number of 64 bits"),
        ("seed", True, "key 'seed': True is not a whole number"),
        ("name", 3, "key 'name': 3 is not a text"),
    ],
)
def test_a_name_is_a_text_and_a_seed_a_number(key: str, value: Any, said: str) -> None:
    found = message_of(parse_recipe, yaml.safe_dump({"source": {"sample": "digits"}, key: value}))
    assert found[0] == said
    assert message_of(lambda: augforge.Recipe("sample:digits", **{key: value})) == found


def test_what_run_checked_before_let_leaks_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The known wrong variant: only `until-accepted` was looked at where a recipe was built in Python."""

    class Reached(Exception):
        """The run has begun."""

    def begin(*_: Any, **__: Any) -> None:
        raise Reached

    entries, _ = BROKEN["a split after images were made"]
    leaking = Recipe("x", 0, DIGITS, tuple(map(unvalidated, entries)))
    monkeypatch.setattr(engine, "open_sources", begin)
    with pytest.raises(augforge.AugforgeError, match=re.escape("it comes after `generate: shifts`")):
        engine.run(leaking, tmp_path / "out")
    monkeypatch.setattr(engine, "check_recipe", lambda recipe: check_acceptance(recipe.stages))
    with pytest.raises(Reached):
        engine.run(leaking, tmp_path / "out")


def test_a_right_recipe_passes_everywhere() -> None:
    text = "source: {sample: digits}\nstages:\n  - {train: classifier, as: mine}\n"
    text += "  - {pseudo-label: confidence, classifier: mine}\n"
    parsed = parse_recipe(text)
    recipes.check_recipe(parsed)
    stages = [{"train": "classifier", "as": "mine"}, {"pseudo-label": "confidence", "classifier": "mine"}]
    assert augforge.Recipe("sample:digits", stages).check().stages == parsed.stages
