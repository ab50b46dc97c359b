"""A session: what is left, what is written, and what an undo takes back."""

from __future__ import annotations

import pytest

from augforge.errors import RecipeError
from augforge.review.doubt import Doubt
from augforge.review.log import append, read_review
from augforge.review.session import Session
from augforge.review.standing import standing
from tests.review.made import line

SAMPLE = [Doubt(name, "d" * 64, "cat", True, None, "clip", 0.5, 0.4, 0.1) for name in ("a1", "b2", "c3", "d4")]


def test_it_goes_through_the_sample_and_on_where_it_stopped(tmp_path):
    file = tmp_path / "review.jsonl"
    first = Session(file, "ann", SAMPLE)
    first.decide("mark")
    assert first.current.sample == "a1"  # a mark is no verdict
    first.decide("keep")
    first.skip()
    first.decide("relabel", label="dog")
    assert (first.current.sample, first.done, first.total, first.written) == ("d4", 3, 4, 3)
    again = Session(file, "ann", SAMPLE)
    assert (again.current.sample, again.done) == ("b2", 2)
    assert Session(file, "bob", SAMPLE).done == 0
    again.decide("drop", text="dark")
    again.decide("note", text="odd")
    again.decide("drop")
    assert again.current is None and again.said() == []
    assert [each.verdict for each in read_review(file)] == ["mark", "keep", "relabel", "drop", "note", "drop"]
    assert all(each.digest == "d" * 64 and each.who == "ann" for each in read_review(file))


def test_undo_goes_back_to_the_image_and_never_before_the_session(tmp_path):
    file = tmp_path / "review.jsonl"
    append(file, [line(sample="a1")])
    session = Session(file, "ann", SAMPLE)
    assert session.undo() is None and session.current.sample == "b2"
    session.decide("keep")
    session.skip()
    session.decide("mark")
    assert session.undo().verdict == "mark" and session.current.sample == "d4"
    assert session.undo().verdict == "keep" and session.current.sample == "b2"
    assert session.undo() is None and session.written == 0
    assert standing(read_review(file)).decisions().keys() == {"a1"}
    session.decide("drop")
    assert session.current.sample == "d4" and standing(read_review(file)).decision("b2").verdict == "drop"


def test_what_others_said_is_shown_and_what_cannot_be_said_is_not_written(tmp_path):
    file = tmp_path / "review.jsonl"
    append(file, [line(who="bob", sample="a1", verdict="note", text="nice")])
    session = Session(file, "ann", SAMPLE)
    assert [each.text for each in session.said()] == ["nice"]
    with pytest.raises(RecipeError, match="needs a text"):
        session.decide("note")
    assert len(read_review(file)) == 1 and session.current.sample == "a1"


def test_an_image_with_other_bytes_than_were_looked_at_comes_again(tmp_path):
    file = tmp_path / "review.jsonl"
    append(file, [line(sample="a1", digest="e" * 64), line(sample="b2", digest="d" * 64)])
    session = Session(file, "ann", SAMPLE)
    assert [each.sample for each in session.left] == ["a1", "c3", "d4"] and session.said() == []
