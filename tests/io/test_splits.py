"""Names that differ only in the split that they name."""

from __future__ import annotations

import pytest

from augforge.io.splits import paired_splits


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["cat_train", "cat_val"], ("cat_train", "cat_val")),
        (["dog", "train2017", "val2017"], ("train2017", "val2017")),
        (["Train Set", "Test Set"], ("Train Set", "Test Set")),
        (["train=1", "valid=1"], ("train=1", "valid=1")),
        (["test-set", "dev-set"], ("test-set", "dev-set")),
        (["cat", "cat_val"], None),
        (["test tube", "tube"], None),
        (["train", "training"], None),
        (["test1", "test2"], None),
        (["train_a", "val_b"], None),
        (["steam train", "bullet train"], None),
        (["valtrain", "testing ground"], None),
        ([], None),
    ],
)
def test_pairs(names, found):
    assert paired_splits(names) == found
