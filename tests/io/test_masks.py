"""Masks in every format: which file or row belongs to which image, with its bytes as they are."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, Image, Value
from hypothesis import given
from hypothesis import strategies as st

from augforge.data.images import encode_mask
from augforge.errors import BadImage, SourceError
from augforge.io import open_source
from augforge.io.masks import are_masks, tails
from augforge.io.table_files import ParquetData
from tests.bad_inputs import colours, encoded

PICTURE = encoded(colours(8), "PNG")


def mask(label: int) -> bytes:
    return encode_mask(np.full((8, 8), label, dtype=np.uint8))


def write(root: Path, *paths: str, data: bytes = PICTURE) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def masks_of(source) -> dict[str, bytes | None]:
    """The mask of every entry, by its locator."""
    return {e.locator: source.read_picture(e.locator, "mask") if e.pictures else None for e in source.entries()}


def test_images_beside_masks_are_no_classes(tmp_path):
    """As CamVid: train/images and train/masks, and a test split without masks."""
    write(tmp_path, "train/images/a.png", "train/images/city/b.jpg", "train/images/city/c.png", "test/images/a.png")
    write(tmp_path, "train/masks/a.png", data=mask(1))
    write(tmp_path, "train/masks/city/b.png", data=mask(2))
    source = open_source("folder", str(tmp_path))
    assert source.classes() == []
    assert masks_of(source) == {
        "test/images/a.png": None,
        "train/images/a.png": mask(1),
        "train/images/city/b.jpg": mask(2),
        "train/images/city/c.png": None,
    }
    assert {(e.label, e.split) for e in source.entries()} == {(None, "train"), (None, "test")}
    with pytest.raises(BadImage, match="no mask"):
        source.read_picture("test/images/a.png", "mask")


def test_images_beside_masks_without_splits_in_any_case(tmp_path):
    write(tmp_path, "Images/a.jpg", "cat/a.png")
    write(tmp_path, "Masks/a.PNG", data=mask(3))
    source = open_source("folder", str(tmp_path))
    assert source.classes() == ["cat"]
    assert masks_of(source) == {"Images/a.jpg": mask(3), "cat/a.png": None}


@pytest.mark.parametrize("base", ["", "train/"])
def test_masks_beside_class_folders_are_no_class(tmp_path, base):
    """As the streets: day and night, and one folder of masks whose names say which is whose."""
    write(tmp_path, f"{base}day/day-0.png", f"{base}day/day-1.png", f"{base}night/night-0.png")
    write(tmp_path, f"{base}masks/day-0.png", data=mask(1))
    write(tmp_path, f"{base}masks/night/night-0.png", data=mask(2))
    source = open_source("folder", str(tmp_path))
    assert source.classes() == ["day", "night"]
    assert masks_of(source) == {
        f"{base}day/day-0.png": mask(1),
        f"{base}day/day-1.png": None,
        f"{base}night/night-0.png": mask(2),
    }
    assert [e.label for e in source.entries()] == ["day", "day", "night"]


@pytest.mark.parametrize(
    ("files", "data"),
    [
        (["masks/a.png"], PICTURE),  # of three channels
        (["masks/a.png", "masks/other.png"], mask(1)),  # one fits no image
        (["masks/a.png", "masks/0.png"], mask(1)),  # one fits two: numbered by class
        ([], b""),
    ],
)
def test_a_class_called_masks_stays_a_class(tmp_path, files, data):
    """A data set of faces with and without masks."""
    write(tmp_path, "bare/a.png", "bare/0.png", "hats/0.png")
    write(tmp_path, *files, data=data)
    (tmp_path / "masks").mkdir(exist_ok=True)
    source = open_source("folder", str(tmp_path))
    assert source.classes() == ["bare", "hats", "masks"]
    assert sum(e.label == "masks" for e in source.entries()) == len(files)
    assert not any(e.pictures for e in source.entries())


@given(st.lists(st.sampled_from("abcd"), max_size=4, unique=True), st.lists(st.sampled_from("abcd"), max_size=4))
def test_masks_are_told_by_their_names(tmp_path_factory, files, siblings):
    """Against the definition: a folder of masks is not empty, and each file is named as exactly one image."""
    folder = write(tmp_path_factory.mktemp("m"), *(f"{name}.png" for name in files), data=mask(1))
    images = [f"c{number}/{name}.jpg" for number, name in enumerate(siblings)]
    expected = bool(files) and all(siblings.count(name) == 1 for name in files)
    assert are_masks([f"{name}.png" for name in files], images, str(folder)) == expected


def test_the_tails_of_a_path():
    assert list(tails("a/b/c.tar.png")) == ["a/b/c.tar", "b/c.tar", "c.tar"]
    assert list(tails("c.png")) == ["c"]


def test_a_folder_of_masks_can_be_named(tmp_path):
    write(tmp_path / "set", "train/cat/a.jpg", "train/dog/b.png", "test/cat/c.png")
    write(tmp_path / "else", "cat/a.png", data=mask(1))
    write(tmp_path / "else", "b.png", data=mask(2))
    write(tmp_path / "else", "test/cat/c.png", data=mask(3))
    write(tmp_path / "else", "cat/c.jpg", "b.jpg")
    source = open_source("folder", str(tmp_path / "set"), masks=str(tmp_path / "else"))
    assert masks_of(source) == {
        "train/cat/a.jpg": mask(1),
        "train/dog/b.png": mask(2),
        "test/cat/c.png": mask(3),
    }
    again = open_source("folder", str(tmp_path / "set"), masks=str(tmp_path / "else"))
    assert again.read_picture("train/dog/b.png", "mask") == mask(
        2
    )  # without having listed anything, as another process does


def test_a_named_folder_of_masks_within_is_no_class(tmp_path):
    write(tmp_path, "cat/a.png", "cat/b.png")
    write(tmp_path, "labels/a.png", data=mask(1))
    source = open_source("folder", str(tmp_path), masks=str(tmp_path / "labels"))
    assert source.classes() == ["cat"] and masks_of(source) == {"cat/a.png": mask(1), "cat/b.png": None}
    with pytest.raises(SourceError, match="labels is named as a folder of a layout"):
        open_source("folder", str(tmp_path))


def test_a_named_folder_of_masks_beside_splits_leaves_them_splits(tmp_path):
    write(tmp_path, "train/cat/a.png", "test/cat/b.png")
    write(tmp_path, "labels/a.png", data=mask(1))
    source = open_source("folder", str(tmp_path), masks=str(tmp_path / "labels"))
    assert {e.split for e in source.entries()} == {"train", "test"} and source.classes() == ["cat"]
    assert masks_of(source) == {"test/cat/b.png": None, "train/cat/a.png": mask(1)}


def test_a_mask_that_fits_two_images_is_given_to_none(tmp_path):
    write(tmp_path / "set", "cat/0.png", "dog/0.png", "dog/1.png")
    write(tmp_path / "masks", "0.png", "1.png", data=mask(1))
    source = open_source("folder", str(tmp_path / "set"), masks=str(tmp_path / "masks"))
    found = {e.locator: (e.problem, bool(e.pictures)) for e in source.entries()}
    shared = ("its mask 0.png fits 2 images", False)
    assert found == {"cat/0.png": shared, "dog/0.png": shared, "dog/1.png": ("", True)}


def test_a_named_folder_must_be_there_and_fit(tmp_path):
    write(tmp_path / "set", "cat/a.png")
    write(tmp_path / "masks", "a_mask.png")
    with pytest.raises(SourceError, match="is named as one of its images") as caught:
        list(open_source("folder", str(tmp_path / "set"), masks=str(tmp_path / "masks")).entries())
    assert "cat/a.png or a.png" in caught.value.hint
    with pytest.raises(SourceError, match="there is no"):
        open_source("folder", str(tmp_path / "set"), masks=str(tmp_path / "mask"))


def test_the_stamp_of_a_mask_changes_with_it(tmp_path):
    write(tmp_path, "images/a.png")
    write(tmp_path, "masks/a.png", data=mask(1))
    source = open_source("folder", str(tmp_path))
    (before,) = source.entries()
    os.utime(tmp_path / "masks" / "a.png", ns=(1, 1))
    (after,) = source.entries()
    assert before.pictures != after.pictures and before.stamp == after.stamp
    write(tmp_path, "images/b.png")
    write(tmp_path, "masks/b.png", data=mask(2))
    assert masks_of(source) == {"images/a.png": mask(1), "images/b.png": mask(2)}  # listed anew every time


def test_masks_may_not_lead_out_or_block(tmp_path):
    outside = write(tmp_path / "outside", "secret.png")
    root = write(tmp_path / "root", "images/a.png", "images/b.png", "images/c.png")
    (root / "masks").mkdir()
    (root / "masks" / "a.png").symlink_to(outside / "secret.png")
    (root / "masks" / "b.png").symlink_to("nowhere.png")
    os.mkfifo(root / "masks" / "c.png")
    source = open_source("folder", str(root))
    assert all(e.pictures for e in source.entries())
    for name, reason in (("a", "leads out"), ("b", "No such file"), ("c", "not a regular file")):
        with pytest.raises(BadImage, match=reason):
            source.read_picture(f"images/{name}.png", "mask")


def test_one_class_for_all_images(tmp_path):
    write(tmp_path, "images/a.png", "images/b.png", "loose.png")
    write(tmp_path, "masks/a.png", data=mask(1))
    source = open_source("folder", str(tmp_path), **{"class": "day"})
    assert source.classes() == ["day"] and {e.label for e in source.entries()} == {"day"}
    assert source.where == f"folder {tmp_path}" and source.read("loose.png") == PICTURE
    assert masks_of(source) == {"loose.png": None, "images/a.png": mask(1), "images/b.png": None}
    sample = open_source("sample", "digits", split="test", **{"class": "digit"})
    assert {e.label for e in sample.entries()} == {"digit"} and {e.split for e in sample.entries()} == {"test"}
    nameless = open_source("folder", str(tmp_path), **{"class": ""})
    assert nameless.classes() == [] and {e.label for e in nameless.entries()} == {None}
    with pytest.raises(SourceError, match="no option 'clas'") as caught:
        open_source("folder", str(tmp_path), clas="x")
    assert caught.value.hint == "did you mean 'class'?"


CELLS = [{"bytes": mask(1), "path": None}, None, {"bytes": mask(2), "path": "m.png"}]


def test_the_column_mask_of_a_dataset(tmp_path):
    columns = {"photo": [{"bytes": PICTURE, "path": None}] * 3, "mask": CELLS}
    data = Dataset.from_dict(columns, features=Features({"photo": Image(), "mask": Image()}))
    data.save_to_disk(str(tmp_path / "d"))
    source = open_source("dataset", str(tmp_path / "d"))
    assert list(masks_of(source).values()) == [mask(1), None, mask(2)]
    first, second, _ = source.entries()
    assert source.read(first.locator) == PICTURE
    with pytest.raises(BadImage, match="no image in this row"):
        source.read_picture(second.locator, "mask")


STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (pa.array(CELLS, STRUCT), [mask(1), None, mask(2)]),
        (pa.array([CELLS[0], CELLS[2], CELLS[0]], STRUCT), [mask(1), mask(2), mask(1)]),
        (pa.array([CELLS[0], {"bytes": None, "path": None}, None], STRUCT), [mask(1), None, None]),
        (pa.array([mask(1), None, mask(2)], pa.large_binary()), [mask(1), None, mask(2)]),
        (pa.array([mask(1), mask(2), mask(3)], pa.binary()), [mask(1), mask(2), mask(3)]),
        (pa.array([None, None, None], pa.binary()), [None] * 3),
        (pa.array(["text", "is", "none"]), [None] * 3),
    ],
)
@pytest.mark.parametrize("statistics", [True, False])
def test_the_column_mask_of_parquet(tmp_path, cells, expected, statistics):
    table = pa.table({"image": pa.array([PICTURE] * 3), "mask": cells, "label": ["a", "b", "a"]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2, write_statistics=statistics)
    source = open_source("parquet", str(tmp_path / "a.parquet"))
    assert list(masks_of(source).values()) == expected
    assert [source.read(e.locator) for e in source.entries()] == [PICTURE] * 3
    assert [e.label for e in source.entries()] == ["a", "b", "a"]


def test_where_all_rows_have_a_mask_listing_reads_none(tmp_path, monkeypatch):
    table = pa.table({"image": pa.array([PICTURE] * 3), "mask": pa.array([CELLS[0]] * 3, STRUCT)})
    pq.write_table(table, tmp_path / "a.parquet")
    source = open_source("parquet", str(tmp_path / "a.parquet"))
    monkeypatch.setattr(ParquetData, "batches", None)
    assert all(e.pictures for e in source.entries())


def test_a_column_mask_alone_is_not_taken_for_the_image(tmp_path):
    pq.write_table(pa.table({"mask": pa.array([PICTURE])}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="no column holds images"):
        open_source("parquet", str(tmp_path / "a.parquet"))
    chosen = open_source("parquet", str(tmp_path / "a.parquet"), image="mask")
    (entry,) = chosen.entries()
    assert chosen.read(entry.locator) == PICTURE and not entry.pictures
    data = Dataset.from_dict(
        {"image": [CELLS[0]], "mask": ["x"]}, features=Features({"image": Image(), "mask": Value("string")})
    )
    data.save_to_disk(str(tmp_path / "d"))
    assert not any(e.pictures for e in open_source("dataset", str(tmp_path / "d")).entries())


def test_the_masks_of_a_sample_data_set(monkeypatch):
    class Masked:
        path, label, data, mask = "day/0.png", "day", PICTURE, globals()["mask"](1)

    class Plain:
        path, label, data, mask = "a.png", None, PICTURE, None

    monkeypatch.setattr("augforge.io.sample_sets.sample_images", lambda name, split: [Masked, Plain])
    source = open_source("sample", "digits")
    assert source.classes() == ["day"]
    assert masks_of(source) == {"day/0.png": mask(1), "a.png": None}
    with pytest.raises(BadImage):
        source.read_picture("a.png", "mask")
