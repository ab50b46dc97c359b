"""Names that differ only in the split that they name."""

from __future__ import annotations

import pytest

from augforge.io.columns import file_split
from augforge.io.splits import folder_split, own_split, paired_splits, path_split


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


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("val", "validation"),
        ("split=Test", "test"),
        ("val_set", "validation"),
        ("validation-images", "validation"),
        ("images_val", "validation"),
        ("Test Set", "test"),
        ("testset", "test"),
        ("train-data", "train"),
        ("Training Set", "train"),
        ("val2017", "validation"),
        ("test_2021", "test"),
        ("test tube", None),
        ("test1", None),
        ("train wagon", None),
        ("contest", None),
        ("images", None),
        ("set", None),
        ("train_val", None),
        ("images_2017", None),
    ],
)
def test_a_folder_is_named_as_a_split_with_a_word_that_says_no_more(name, split):
    assert folder_split(name) == split
    assert path_split(f"cat/{name}/1.png") == split


def test_an_evaluation_word_anywhere_in_a_path_goes_before_train():
    assert file_split("train/x-val-0.parquet") == "validation"
    assert file_split("train-00000-of-00010.parquet") == "train"
    assert file_split("annotations/instances_train2017.json") == "train"
    assert file_split("images/0.png") is None


def test_the_source_may_be_named_as_a_split_of_a_year(tmp_path):
    for name, split in (("val2017", "validation"), ("val_set", "validation"), ("train2017", None), ("birds", None)):
        (tmp_path / name).mkdir()
        assert own_split(str(tmp_path / name)) == split
