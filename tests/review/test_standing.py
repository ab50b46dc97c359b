"""What counts of some lines: against a plain replay, one person at a time."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.errors import StoreError
from augforge.review.lines import Line
from augforge.review.log import append, read_review
from augforge.review.merge import merge, merged
from augforge.review.standing import latest_of, standing
from tests.review.made import line


def test_the_last_verdict_of_a_person_counts():
    found = standing([line(second=2, verdict="keep"), line(second=1), line(second=1, sample="b2")])
    assert found.decision("a1").verdict == "keep" and found.decision("b2").verdict == "drop"
    assert found.decision("c3") is None and found.conflicts() == []


def test_undo_takes_back_the_last_line_of_the_same_person_about_the_same_image():
    lines = [line(second=1), line(second=2, verdict="mark"), line(who="bob", second=3, verdict="keep")]
    undo = line(second=4, verdict="undo")
    assert standing([*lines, undo]).marks() == {} and standing(lines).marks().keys() == {"a1"}
    assert [each.verdict for each in standing([*lines, undo]).verdicts("a1")] == ["drop", "keep"]
    twice = standing([*lines, undo, line(second=5, verdict="undo")])
    assert twice.decision("a1").verdict == "keep"
    more = standing([*lines, *(line(second=4 + n, verdict="undo") for n in range(5))])
    assert more.decision("a1").verdict == "keep"  # it takes back nothing of another person
    assert standing([*lines, line(sample="b2", second=9, verdict="undo")]).marks().keys() == {"a1"}


def test_people_who_disagree_decide_nothing_and_are_listed():
    lines = [line(second=1), line(who="bob", second=2, verdict="keep"), line(who="cy", second=3)]
    found = standing(lines)
    assert found.decision("a1") is None
    (conflict,) = found.conflicts()
    assert [(each.who, each.verdict) for each in conflict.lines] == [("ann", "drop"), ("bob", "keep"), ("cy", "drop")]
    assert standing([*lines, line(who="bob", second=4)]).decision("a1").verdict == "drop"


def test_two_labels_are_two_opinions_and_reasons_are_none():
    cat, dog = (line(who=who, verdict="relabel", label=who) for who in ("cat", "dog"))
    assert standing([cat, dog]).conflicts() and not standing([cat, cat]).conflicts()
    assert standing([line(text="blurred"), line(who="bob", text="dark")]).decision("a1") is not None


def replay(lines: list[Line]) -> dict[tuple[str, str], list[str]]:
    """What each person still says of each image: a stack, as the words say it."""
    stacks: dict[tuple[str, str], list[str]] = {}
    for each in sorted(set(lines), key=lambda one: (one.when, lines.index(one))):
        stack = stacks.setdefault((each.who, each.sample), [])
        if each.verdict != "undo":
            stack.append(each.verdict)
        elif stack:
            stack.pop()
    return stacks


ONE = st.builds(
    line,
    who=st.sampled_from(["ann", "bob"]),
    second=st.integers(0, 200),
    sample=st.sampled_from(["a1", "b2"]),
    verdict=st.sampled_from(["keep", "drop", "relabel", "mark", "note", "undo"]),
)


@given(st.lists(ONE, max_size=12))
def test_as_a_plain_replay_says(lines):
    found = standing(lines)
    for (who, sample), stack in replay(lines).items():
        mine = [each.verdict for each in found.by_sample.get(sample, ()) if each.who == who]
        assert mine == stack
        last = next((verdict for verdict in reversed(stack) if verdict in ("keep", "drop", "relabel")), None)
        assert last == next((each.verdict for each in found.verdicts(sample) if each.who == who), None)


@settings(max_examples=30)
@given(st.lists(ONE, max_size=10), st.lists(ONE, max_size=10))
def test_a_merge_is_the_union_in_whatever_order(tmp_path_factory, mine, theirs):
    folder = tmp_path_factory.mktemp("merge")
    a, b, c = (folder / name for name in "abc")
    for path, lines in ((a, mine), (b, theirs)):
        path.touch()
        append(path, lines)
    found = merge([a, b], c)
    assert set(read_review(c)) == set(mine) | set(theirs) and len(read_review(c)) == len(set(mine) | set(theirs))
    assert [each.when for each in found.lines] == sorted(each.when for each in found.lines)
    assert merged([b, a]).lines == found.lines and found.each == (len(mine), len(theirs))
    assert merged([c, a]).lines == found.lines  # again changes nothing
    assert merge([a, b], a).lines == found.lines and read_review(a) == list(found.lines)


def test_a_merge_of_what_is_not_there_is_refused(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(StoreError, match="there is no"):
        merged([tmp_path / "a", tmp_path / "b"])


def test_a_merge_writes_over_no_other_file(tmp_path):
    for name in "abc":
        append(tmp_path / name, [line(who=name)])
    with pytest.raises(StoreError, match="is there already"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert [each.who for each in read_review(tmp_path / "c")] == ["c"]


def test_the_order_of_the_lines_of_one_file_does_not_matter():
    lines = [
        line(second=1),
        line(second=2, verdict="undo"),
        line(second=3, verdict="keep"),
        line(second=4, verdict="mark"),
    ]
    whole = standing(lines).by_sample
    assert all(standing(order).by_sample == whole for order in itertools.permutations(lines))


def test_the_latest_line_of_a_person():
    lines = [line(second=1), line(second=3, sample="b2"), line(who="bob", second=5)]
    assert latest_of(lines, "ann").sample == "b2"
    assert latest_of([*lines, line(second=6, sample="b2", verdict="undo")], "ann").sample == "a1"
    assert latest_of(lines, "cy") is None
