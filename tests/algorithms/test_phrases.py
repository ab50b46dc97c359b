"""Lists in the answers of language models."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from augforge.algorithms.phrases import phrases


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a river\na lake", ["a river", "a lake"]),
        ("Here are two:\n1. A river.\n2) **a lake**\n3: a river, at dawn", ["A river", "a lake", "a river, at dawn"]),
        ("- a river\n* a lake\n\u2022 'a pond'\n", ["a river", "a lake", "a pond"]),
        ("a river, a lake, a river", ["a river", "a lake"]),
        ("- a river, at dawn", ["a river, at dawn"]),
        ("a\x08 river\t bank\n\n \n{label}", ["a river bank", "label"]),
        ("", []),
        ("\n.\n", []),
    ],
)
def test_entries_without_what_makes_them_a_list(text, found):
    assert phrases(text, 10) == found


def test_no_more_than_were_asked_for():
    assert phrases("a\nb\na\nc", 2) == ["a", "b"]


@example(":\x1b", 1)
@example("':'", 1)
@given(st.text(), st.integers(1, 5))
def test_a_list_that_is_written_again_is_the_same(text, count):
    found = phrases(text, count)
    assert phrases("\n".join(f"- {entry}" for entry in found), count) == found
