"""Counts of splits and classes, and of groups that were kept together, from hand-counted examples."""

from __future__ import annotations

from augforge.data.splits import in_order, kept_together, split_counts, told


def test_counts_are_by_split_and_class_with_empty_ones():
    splits = ["test", "train", "train", None, "train"]
    labels = ["cat", "cat", "dog", "dog", None]
    assert split_counts(splits, labels, ["cat", "dog", "emu"]) == {
        "train": {"cat": 1, "dog": 1, "emu": 0, "": 1},
        "test": {"cat": 1, "dog": 0, "emu": 0, "": 0},
        "": {"cat": 0, "dog": 1, "emu": 0, "": 0},
    }
    assert list(split_counts(splits, labels, [])) == ["train", "test", ""]
    assert split_counts([None, None], labels[:2], ["cat"]) == split_counts([], [], []) == {}


def test_an_empty_label_is_a_class_of_its_own():
    assert split_counts(["test"], [""], ["", "cat"]) == {"test": {"": 1, "cat": 0}}


def test_splits_come_in_the_usual_order():
    assert in_order(["z", "test", "", "a", "train", "z"]) == ["train", "test", "a", "z", ""]


def test_groups_count_where_they_are_whole():
    groups = ["a", "a", "b", "c", "c", "c", "d", "d"]
    splits = ["train", "train", "test", "test", "test", "test", "train", "test"]
    assert kept_together(groups, splits) == {"groups": 2, "grouped": 5, "divided": 1}
    assert told(kept_together(groups, splits)).startswith(
        "2 groups of near-duplicates (5 images) were kept together; 1"
    )
    assert told(kept_together(["a", "b"], ["x", "x"])).startswith("There are no near-duplicates") and told({}) == ""
