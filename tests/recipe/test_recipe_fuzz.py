"""Whatever a recipe says, it is right or refused in one message: never a traceback, never a hang."""

from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from augforge.recipe import plain_yaml
from augforge.recipe.plain_yaml import DEEPEST, read_yaml
from tests.faults.recipes import RIGHT, WICKED, as_yaml, nearly_right, outcome


@pytest.mark.parametrize("text", WICKED.values(), ids=WICKED)
def test_wicked_texts_are_refused_quickly(text):
    started = time.process_time()
    assert outcome(text) == "refused"
    assert time.process_time() - started < 20


def test_more_than_half_of_the_examples_are_right():
    assert sum(outcome(as_yaml(recipe)) == "right" for recipe in RIGHT) > len(RIGHT) / 2


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(nearly_right())
def test_nearly_right_recipes_never_give_a_traceback(recipe):
    outcome(as_yaml(recipe))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
def test_bytes_never_give_a_traceback(content):
    outcome(content.decode("utf-8", errors="surrogateescape"))


def test_aliases_within_reason_are_read(monkeypatch):
    monkeypatch.setattr(plain_yaml, "MOST_NODES", 1000)
    assert read_yaml("a: &x [1, 2]\nb: *x\nc: {<<: {d: 1}, e: 2}") == {"a": [1, 2], "b": [1, 2], "c": {"d": 1, "e": 2}}
    assert read_yaml("[" * DEEPEST + "]" * DEEPEST) is not None
    with pytest.raises(yaml.YAMLError, match="nested"):
        read_yaml("[" * (DEEPEST + 2) + "]" * (DEEPEST + 2))
    assert len(read_yaml("[" + "1," * 999 + "]")) == 999
    with pytest.raises(yaml.YAMLError, match="written out"):
        read_yaml("[" + "1," * 1000 + "]")
    assert read_yaml("") is None
