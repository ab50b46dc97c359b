"""Hints: the likely name, and lists that say how much they leave out."""

from __future__ import annotations

import difflib

import pytest

from augforge.cli.commands import COMMANDS
from augforge.errors import LISTED, did_you_mean, likely_of, shortened

MANY = [f"class-{number:02}" for number in range(30)]


def test_what_a_word_begins_comes_before_what_is_spelt_like_it():
    assert difflib.get_close_matches("gen", list(COMMANDS), n=1, cutoff=0.5) == ["regen"]  # the known wrong answer
    assert did_you_mean("gen", list(COMMANDS)) == "did you mean 'generate'?"
    assert likely_of("select", ["select-subset", "select"]) == "select"


@pytest.mark.parametrize(("word", "likely"), [("kep", "keep"), ("generat", "generate"), ("c", None), ("", None)])
def test_a_typing_error_is_still_found_and_a_single_letter_says_nothing(word, likely):
    assert likely_of(word, ["keep", "generate", "colour", "count"]) == likely


def test_a_long_list_ends_with_how_many_more_there_are():
    told = did_you_mean("zzz", MANY)
    assert told == "known: " + ", ".join(MANY[:LISTED]) + ", … 18 more"
    assert shortened(MANY[:LISTED]) == ", ".join(MANY[:LISTED])
    assert shortened(MANY[: LISTED + 1]).endswith(", … 1 more")
    assert shortened([]) == "" and did_you_mean("zzz", []) == ""
