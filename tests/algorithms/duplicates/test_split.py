"""Splits by group: whole groups, sizes, order, and who moves when something is added."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.algorithms.duplicates import split_by_group
from augforge.algorithms.duplicates.split import Rule

Rows = list[tuple[str, int, str]]  # id, group, label
RULES: list[Rule] = ["quota", "gate"]


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    n = draw(st.integers(0, 60))
    groups = draw(st.lists(st.integers(0, 25), min_size=n, max_size=n))
    labels = draw(st.lists(st.sampled_from("abc"), min_size=n, max_size=n))
    return [(f"id{i}", g, label) for i, (g, label) in enumerate(zip(groups, labels, strict=True))]


def split(given_rows: Rows, shares: dict[str, float], rule: Rule = "quota") -> dict[str, str | None]:
    ids, groups, labels = ([row[k] for row in given_rows] for k in range(3))
    return dict(zip(ids, split_by_group(ids, groups, labels, shares, rule=rule), strict=True))


def collection(n: int, seed: int = 0) -> Rows:
    random = np.random.default_rng(seed)
    return [(f"{seed}-{i}", int(random.integers(0, n // 2)), "xyz"[int(random.integers(0, 3))]) for i in range(n)]


def lines(given_rows: Rows) -> dict[str, list[list[str]]]:
    """The groups of each class, from the definition."""
    members: dict[int, Rows] = {}
    for row in given_rows:
        members.setdefault(row[1], []).append(row)
    found: dict[str, list[list[str]]] = {}
    for group in members.values():
        counts = Counter(row[2] for row in group)
        label = sorted(counts, key=lambda name: (-counts[name], name))[0]
        found.setdefault(label, []).append([row[0] for row in group])
    return found


@settings(max_examples=60, deadline=None)
@given(rows(), st.sampled_from(RULES), st.randoms())
def test_groups_stay_whole_in_any_order(given_rows: Rows, rule: Rule, random) -> None:
    shares = {"test": 0.3, "val": 0.2}
    found = split(given_rows, shares, rule)
    for groups in lines(given_rows).values():
        assert all(len({found[identity] for identity in group}) == 1 for group in groups)
    shuffled = given_rows.copy()
    random.shuffle(shuffled)
    assert split([(i, -g, label) for i, g, label in shuffled], shares, rule) == found


@settings(max_examples=60, deadline=None)
@given(rows(), st.floats(0, 0.6), st.floats(0, 0.4))
def test_quotas_are_met_to_within_a_group(given_rows: Rows, test: float, val: float) -> None:
    found = split(given_rows, {"test": test, "val": val})
    for groups in lines(given_rows).values():
        total, largest = sum(map(len, groups)), max(map(len, groups))
        for name, share, edges in (("test", test, 1), ("val", val, 2)):
            got = sum(len(group) for group in groups if found[group[0]] == name)
            assert abs(got - share * total) <= edges * largest / 2 + 1e-6


@settings(max_examples=60, deadline=None)
@given(rows(), st.floats(0, 1), st.floats(0, 1), st.sampled_from(RULES))
def test_a_larger_share_only_adds(given_rows: Rows, a: float, b: float, rule: Rule) -> None:
    small, large = (split(given_rows, {"test": share}, rule) for share in sorted((a, b)))
    assert {i for i, s in small.items() if s} <= {i for i, s in large.items() if s}


def test_single_images_are_counted_exactly_and_drawn_by_chance() -> None:
    alone = [(f"id{i}", i, "ab"[i < 40]) for i in range(100)]
    found = split(alone, {"test": 0.2, "val": 0.1})
    counts = Counter((label, found[i]) for i, _, label in alone)
    assert counts == {("a", "test"): 12, ("a", "val"): 6, ("a", None): 42} | {
        ("b", "test"): 8,
        ("b", "val"): 4,
        ("b", None): 28,
    }
    rows_in_test = [n for n, (i, _, _) in enumerate(alone) if found[i] == "test"]
    assert rows_in_test != sorted(range(20)) and max(rows_in_test) > 80


def test_the_gate_is_right_on_average() -> None:
    alone = [(f"id{i}", i, "a") for i in range(4000)]
    counts = Counter(split(alone, {"test": 0.2, "val": 0.1}, "gate").values())
    assert abs(counts["test"] - 800) < 5 * np.sqrt(4000 * 0.16) and abs(counts["val"] - 400) < 5 * np.sqrt(360)


def test_an_unrelated_image_moves_nobody_by_the_gate_and_one_at_most_by_quota() -> None:
    for seed in range(10):
        alone = [(f"{seed}-{i}", i, "ab"[i % 2]) for i in range(101)]
        more = [*alone, (f"{seed}-new", -1, "a")]
        moved = {}
        for rule in RULES:
            before, after = split(alone, {"test": 0.2}, rule), split(more, {"test": 0.2}, rule)
            moved[rule] = [i for i in before if before[i] != after[i]]
        assert moved["gate"] == [] and len(moved["quota"]) <= 1


def test_what_goes_where_does_not_depend_on_the_other_classes() -> None:
    both = collection(90)
    only = [row for row in both if row[2] == "x"]
    groups = Counter(g for _, g, _ in only)
    kept = [row for row in both if row[1] not in groups or row[2] == "x"]
    shares = {"test": 0.25}
    whole = split(kept, shares)
    assert {i: s for i, s in whole.items() if i in dict.fromkeys(r[0] for r in only)} == split(only, shares)


def test_a_mixed_group_counts_for_its_majority() -> None:
    mixed = [("a", 0, "x"), ("b", 0, "y"), ("c", 0, "y")]
    assert set(split(mixed, {"test": 1.0}).values()) == {"test"}
    assert lines(mixed) == {"y": [["a", "b", "c"]]}
    assert split_by_group(["a", "b"], ["g", "g"], [None, None], {"test": 0.4}) == [None, None]
    assert split_by_group(["a", "b"], ["g", "g"], [None, None], {"test": 0.6}) == ["test", "test"]


@pytest.mark.parametrize("shares", [{"test": -0.1}, {"test": 1.2}, {"test": 0.7, "val": 0.4}])
def test_impossible_shares_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no more than 1 in all"):
        split(collection(5), shares)


def test_edges() -> None:
    assert split_by_group([], [], [], {"test": 0.2}) == []
    with pytest.raises(ValueError, match="an id comes twice"):
        split_by_group(["a", "a"], [0, 1], ["x", "x"], {"test": 0.2})
    with pytest.raises(ValueError, match="1 groups and 2 labels for 2 ids"):
        split_by_group(["a", "b"], [0], ["x", "x"], {"test": 0.2})
    with pytest.raises(ValueError, match="rule is 'other'"):
        split_by_group(["a"], [0], ["x"], {"test": 0.2}, rule="other")  # type: ignore[arg-type]
