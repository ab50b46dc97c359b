"""budgets(): sums, caps, growth, and the rules that look right and are not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.selection import Allocation, budgets, random_subset

ALLOCATIONS: tuple[Allocation, ...] = ("proportional", "equal")

sizes = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=2), st.integers(0, 40), min_size=1, max_size=9)
rules = st.sampled_from(ALLOCATIONS)


@given(sizes, st.integers(0, 300), rules)
def test_sums_to_the_total_and_never_exceeds_a_class(counts: dict[str, int], total: int, rule: Allocation) -> None:
    given_ = budgets(counts, total, rule)
    assert sum(given_.values()) == min(total, sum(counts.values()))
    assert all(0 <= given_[label] <= counts[label] for label in counts)
    assert list(given_) == sorted(counts)


@given(sizes, st.integers(0, 300), rules)
def test_every_class_gets_one_when_there_are_enough(counts: dict[str, int], total: int, rule: Allocation) -> None:
    filled = [label for label, count in counts.items() if count]
    given_ = budgets(counts, max(total, len(filled)), rule)
    assert all(given_[label] >= 1 for label in filled)


@given(sizes, st.integers(0, 300), rules)
def test_a_larger_total_takes_no_place_away(counts: dict[str, int], total: int, rule: Allocation) -> None:
    less, more = budgets(counts, total, rule), budgets(counts, total + 1, rule)
    assert all(less[label] <= more[label] for label in counts)


@given(sizes, st.integers(0, 300), rules)
def test_a_larger_class_never_gets_less(counts: dict[str, int], total: int, rule: Allocation) -> None:
    given_ = budgets(counts, total, rule)
    slack = 1 if rule == "equal" else 0  # the last, incomplete round goes by label
    for a in counts:
        assert all(given_[a] + slack >= given_[b] for b in counts if counts[a] > counts[b])


@given(sizes, st.integers(0, 300), rules, st.randoms())
def test_the_order_of_the_mapping_does_not_matter(
    counts: dict[str, int], total: int, rule: Allocation, random: object
) -> None:
    labels = list(counts)
    random.shuffle(labels)  # type: ignore[attr-defined]
    assert budgets({label: counts[label] for label in labels}, total, rule) == budgets(counts, total, rule)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 5))
def test_exact_proportions_are_exact(shares: list[int], factor: int) -> None:
    counts = {i: factor * share for i, share in enumerate(shares)}
    assert budgets(counts, sum(shares), "proportional") == dict(enumerate(shares))


@given(sizes, st.integers(0, 300))
def test_equal_is_the_water_level(counts: dict[str, int], total: int) -> None:
    given_ = budgets(counts, total, "equal")
    level = max(given_.values())
    assert all(given_[label] in {min(counts[label], level), min(counts[label], level - 1)} for label in counts)


def test_known_answers() -> None:
    assert budgets({"b": 30, "a": 60, "c": 10}, 10, "proportional") == {"a": 6, "b": 3, "c": 1}
    assert budgets({"a": 98, "b": 1, "c": 1}, 10, "proportional") == {"a": 8, "b": 1, "c": 1}
    assert budgets({"a": 5, "b": 5, "c": 5}, 4, "proportional") == {"a": 2, "b": 1, "c": 1}
    assert budgets({"a": 1, "b": 9, "c": 5}, 2, "proportional") == {"a": 0, "b": 1, "c": 1}
    assert budgets({"a": 2, "b": 50, "c": 50}, 30, "equal") == {"a": 2, "b": 14, "c": 14}
    assert budgets({"a": 0, "b": 3}, 5, "equal") == {"a": 0, "b": 3}
    assert budgets({("cat", "real"): 4, ("cat", "new"): 2}, 3, "proportional") == {
        ("cat", "new"): 1,
        ("cat", "real"): 2,
    }
    assert budgets({}, 3, "equal") == {}


def largest_remainder(counts: Mapping[str, int], total: int) -> dict[str, int]:
    n = sum(counts.values())
    given_ = {label: total * count // n for label, count in counts.items()}
    by_remainder = sorted(counts, key=lambda label: (-(total * counts[label] % n), label))
    for label in by_remainder[: total - sum(given_.values())]:
        given_[label] += 1
    return given_


def test_largest_remainder_would_take_a_place_away() -> None:
    counts = {"a": 6, "b": 6, "c": 2}  # the Alabama paradox
    assert largest_remainder(counts, 10)["c"] == 2
    assert largest_remainder(counts, 11)["c"] == 1
    assert budgets(counts, 10, "proportional")["c"] <= budgets(counts, 11, "proportional")["c"]


def published_equal(counts: Mapping[str, int], total: int) -> dict[str, int]:
    """Shares what small classes leave among all classes, not among those that have room."""
    share = total // len(counts)
    left = sum(max(0, share - count) for count in counts.values())
    return {label: min(count, share + left // len(counts)) for label, count in counts.items()}


def test_published_redistribution_loses_places() -> None:
    counts = {"a": 2, "b": 50, "c": 50}
    assert sum(published_equal(counts, 30).values()) == 26
    assert sum(budgets(counts, 30, "equal").values()) == 30


def test_what_a_class_cannot_use_is_told() -> None:
    labels = ["a"] * 10 + ["b"] * 20
    chosen = random_subset(30, 24, labels=labels, allocation="equal", keys=np.arange(30, dtype=np.uint64))
    assert chosen.notes == ["class a: budget 12 over 10 members: all taken, 2 moved to other classes"]
    assert (np.bincount(chosen.indices // 10, minlength=3) == [10, 10, 4]).all()


def test_refusals() -> None:
    with pytest.raises(ValueError, match="the budget is -1"):
        budgets({"a": 1}, -1, "equal")
    with pytest.raises(ValueError, match="class 'b' has a negative count"):
        budgets({"a": 1, "b": -2}, 1, "equal")
    with pytest.raises(ValueError, match="give one of proportional, equal"):
        budgets({"a": 1}, 1, "fair")  # type: ignore[arg-type]
