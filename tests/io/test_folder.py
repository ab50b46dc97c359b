"""Folders: names, splits and links as they come, and every image file an entry."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.data import images
from augforge.errors import BadImage, SourceError
from augforge.io import open_source
from augforge.io.base import split_name
from augforge.io.folder import Folder
from augforge.io.understood import understanding, understood
from tests.bad_inputs import EMPTY_CLASS, colours, encoded, write_bad_inputs


def write(root: Path, *paths: str, data: bytes = b"bytes") -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def listed(folder: Folder) -> list[tuple[str, str | None, str | None]]:
    return [(entry.locator, entry.label, entry.split) for entry in folder.entries()]


def test_a_class_per_folder_in_natural_order(tmp_path):
    folder = Folder(str(write(tmp_path, "10/b.png", "2/a.JPG", "2/deep/er/c.webp", "1/z.png", "1/notes.txt")))
    (tmp_path / "empty").mkdir()
    assert folder.classes() == ["1", "2", "10", "empty"]
    assert [found[:2] for found in listed(folder)] == [
        ("1/z.png", "1"), ("2/a.JPG", "2"), ("2/deep/er/c.webp", "2"), ("10/b.png", "10"),
    ]  # fmt: skip
    assert folder.ignored == 1
    assert folder.where == f"folder {tmp_path}"


def test_loose_images_have_no_label(tmp_path):
    folder = Folder(str(write(tmp_path, "b.png", "a.png")))
    assert folder.classes() == []
    assert listed(folder) == [("a.png", None, None), ("b.png", None, None)]
    write(tmp_path, "cat/c.png")
    assert listed(folder) == [("a.png", None, None), ("b.png", None, None), ("cat/c.png", "cat", None)]


def test_folders_named_as_splits_are_splits(tmp_path):
    write(tmp_path, "train/cat/a.png", "Val/cat/a.png", "Val/dog/b.png", "test/c.png", "loose.png")
    folder = Folder(str(tmp_path))
    assert folder.classes() == ["cat", "dog"]
    assert listed(folder) == [
        ("loose.png", None, None),
        ("test/c.png", None, "test"),
        ("train/cat/a.png", "cat", "train"),
        ("Val/cat/a.png", "cat", "validation"),
        ("Val/dog/b.png", "dog", "validation"),
    ]
    for name in ("validation", "val"):
        assert [found[0] for found in listed(Folder(str(tmp_path), split=name))] == ["Val/cat/a.png", "Val/dog/b.png"]
    with pytest.raises(SourceError, match="no split 'dev2'") as caught:
        Folder(str(tmp_path), split="dev2")
    assert caught.value.hint == "it has test, train, validation"


def test_a_folder_called_test_beside_classes_is_asked_about(tmp_path):
    write(tmp_path, "test/a.png", "cat/a.png")
    with pytest.raises(SourceError, match="the folder test is named as a split, but lies beside cat") as caught:
        Folder(str(tmp_path))
    assert "splits: false" in caught.value.hint
    folder = Folder(str(tmp_path), splits=False)
    assert listed(folder) == [("cat/a.png", "cat", None), ("test/a.png", "test", None)]
    with pytest.raises(SourceError, match="no split"):
        Folder(str(tmp_path), split="test", splits=False)


EVALUATION = [
    ("cat/val/1.png", "cat", "validation"),
    ("cat/deep/er/Test/1.png", "cat", "test"),
    ("cat/val_0001.png", "cat", "validation"),
    ("cat/cat-test.png", "cat", "test"),
    ("cat/img-test-3.png", "cat", "test"),
    ("cat/ILSVRC2012_val_00000293.png", "cat", "validation"),
    ("cat/valley.png", "cat", None),
    ("cat/contest_1.png", "cat", None),
    ("cat/train_1.png", "cat", None),
    ("split=val/cat/1.png", "cat", "validation"),
    ("val/cat/train_1.png", "cat", "validation"),
    ("eval.1.png", None, "test"),
]


@pytest.mark.parametrize(("path", "label", "split"), EVALUATION)
def test_an_evaluation_split_at_any_depth_is_one(tmp_path, path, label, split):
    assert listed(Folder(str(write(tmp_path, path)))) == [(path, label, split)]
    if label is not None and not path.startswith(("val", "split")):
        assert listed(Folder(str(tmp_path), splits=False)) == [(path, label, None)]


@pytest.mark.parametrize("name", ["images", "Images", "JPEGImages", "data", "labels", "train/images", "val/data"])
def test_a_class_is_never_invented_from_a_layout(tmp_path, name):
    write(tmp_path, f"{name}/a.png", f"{name}/deeper/b.png")
    with pytest.raises(SourceError, match="is named as a folder of a layout, not as a class") as caught:
        Folder(str(tmp_path))
    assert f"give {tmp_path}/{name}" in caught.value.hint
    assert {label for _, label, _ in listed(Folder(str(tmp_path), classes=False))} == {None}
    one = open_source("folder", str(tmp_path), **{"class": "cat"})
    assert {entry.label for entry in one.entries()} == {"cat"}


def test_a_folder_that_only_holds_splits_is_no_class(tmp_path):
    write(tmp_path, "birds/train/cat/a.png", "birds/train/dog/a.png", "birds/val_set/cat/b.png", "birds/val_set/c.png")
    write(tmp_path, "loose.png", "birds/notes.txt")
    folder = Folder(str(tmp_path))
    assert folder.classes() == ["cat", "dog"]
    assert listed(folder) == [
        ("loose.png", None, None),
        ("birds/train/cat/a.png", "cat", "train"),
        ("birds/train/dog/a.png", "dog", "train"),
        ("birds/val_set/c.png", None, "validation"),
        ("birds/val_set/cat/b.png", "cat", "validation"),
    ]
    told = understood(folder)
    assert len(list(understanding(folder, told))) == 5
    assert "birds holds the splits, and is no class" in told.sentence() and "(1 .txt)" in told.sentence()
    assert [found[0] for found in listed(Folder(str(tmp_path), split="val"))] == [
        "birds/val_set/c.png", "birds/val_set/cat/b.png",
    ]  # fmt: skip
    assert Folder(str(tmp_path), splits=False).classes() == ["birds"]


def test_a_class_may_hold_splits_of_its_images(tmp_path):
    write(tmp_path, "cat/train/a.png", "cat/val/b.png")
    assert listed(Folder(str(tmp_path))) == [
        ("cat/train/a.png", "cat", "train"),
        ("cat/val/b.png", "cat", "validation"),
    ]


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        (["birds/train/cat/a.png", "birds/val/cat/b.png", "cars/train/suv/a.png"], "birds and cars hold"),
        (["birds/train/cat/a.png", "cow/a.png"], "birds holds"),
        (["birds/train/cat/a.png", "birds/a.png"], "birds holds"),
        (["birds/train/good/a.png", "birds/test/bad/b.png", "birds/ground_truth/bad/b.png"], "birds holds"),
    ],
)
def test_where_either_may_be_the_classes_the_user_is_asked(tmp_path, paths, named):
    write(tmp_path, *paths)
    with pytest.raises(SourceError, match=f"{named} splits with folders in them") as caught:
        Folder(str(tmp_path))
    assert f"{tmp_path}/birds" in caught.value.hint and "class: birds" in caught.value.hint
    for name in {path.split("/")[0] for path in paths if path.startswith("c")}:
        assert list(Folder(str(tmp_path / name)).entries())


@pytest.mark.parametrize("name", ["val_set", "validation-images", "Test data", "testset"])
def test_a_lone_folder_named_as_a_split_with_a_word_more_is_one(tmp_path, name):
    write(tmp_path, f"{name}/cat/a.png", f"{name}/b.png")
    assert Folder(str(tmp_path)).classes() == ["cat"]
    assert {split for *_, split in listed(Folder(str(tmp_path)))} == {split_name(re.split(r"[-_ ]|set$", name)[0])}


@pytest.mark.parametrize("name", ["val2017", "test1", "dev_2"])
def test_a_split_with_a_number_is_asked_about(tmp_path, name):
    write(tmp_path, f"{name}/a.png", "cat/b.png")
    with pytest.raises(SourceError, match=f"the folder {name} is named as a split, but lies beside cat"):
        Folder(str(tmp_path))
    assert Folder(str(tmp_path), splits=False).classes() == ["cat", name]


def test_hidden_files_are_passed_over(tmp_path):
    write(tmp_path, ".hidden/a.png", "cat/.b.png", "cat/c.png", "__MACOSX/cat/._c.png", ".d.png")
    assert Folder(str(tmp_path)).classes() == ["cat"]
    assert [found[0] for found in listed(Folder(str(tmp_path)))] == ["cat/c.png"]


def test_links_may_not_lead_out_or_round_in_circles(tmp_path):
    outside = write(tmp_path / "outside", "secret.png", "more/x.png")
    root = write(tmp_path / "root", "cat/a.png")
    (root / "cat" / "b.png").symlink_to(outside / "secret.png")
    (root / "cat" / "c.png").symlink_to("a.png")
    (root / "cat" / "d.png").symlink_to("nowhere.png")
    (root / "cat" / "e.png").symlink_to("e.png")
    (root / "cat" / "up").symlink_to("..")
    (root / "dog").symlink_to(outside)
    (root / "same").symlink_to("cat")
    found = {entry.locator: entry.problem for entry in Folder(str(root)).entries()}
    assert found["cat/b.png"] == found["dog"] == "symlink leads out of the source"
    assert found["cat/c.png"] == found["cat/a.png"] == found["same/a.png"] == ""
    assert found["cat/d.png"] == "missing file"
    assert "cannot be read" in found["cat/e.png"]
    assert found["cat/up"] == "symlink leads back to a folder above"
    assert "dog/secret.png" not in found
    for locator in ("cat/b.png", "../outside/secret.png"):
        with pytest.raises(BadImage, match="leads out"):
            Folder(str(root)).read(locator)


def test_the_source_itself_may_be_a_link(tmp_path):
    write(tmp_path / "real", "cat/a.png")
    (tmp_path / "link").symlink_to("real")
    assert Folder(str(tmp_path / "link")).read("cat/a.png") == b"bytes"


def test_what_is_no_regular_file_is_not_opened(tmp_path):
    (tmp_path / "cat").mkdir()
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (entry,) = Folder(str(tmp_path)).entries()
    assert entry.problem == "not a regular file"


def test_names_that_are_not_utf8_are_said_and_not_lost(tmp_path):
    (tmp_path / "cat").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/cat/caf\xe9.png")).write_bytes(b"x")
    (entry,) = Folder(str(tmp_path)).entries()
    assert (entry.locator, entry.label) == (r"cat/caf\xe9.png", "cat")
    assert entry.problem == "its name is not valid UTF-8"


def test_a_folder_that_cannot_be_looked_into_is_an_entry(tmp_path, monkeypatch):
    write(tmp_path, "cat/a.png", "cat/locked/b.png", "dog/c.png")
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = {entry.locator: entry.problem for entry in Folder(str(tmp_path)).entries()}
    assert found == {"cat/a.png": "", "cat/locked": "folder cannot be read: Permission denied", "dog/c.png": ""}


def test_an_unreadable_file_is_a_bad_image(tmp_path, monkeypatch):
    folder = Folder(str(write(tmp_path, "cat/a.png")))

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(BadImage, match="cannot be read: Permission denied"):
        folder.read("cat/a.png")


def test_a_file_that_went_away_is_missing(tmp_path):
    folder = Folder(str(write(tmp_path, "cat/a.png")))
    (tmp_path / "cat" / "a.png").unlink()
    with pytest.raises(BadImage, match="missing file"):
        folder.read("cat/a.png")


def test_the_stamp_changes_with_the_file(tmp_path):
    folder = Folder(str(write(tmp_path, "cat/a.png")))
    (before,) = folder.entries()
    os.utime(tmp_path / "cat" / "a.png", ns=(1, 1))
    (after,) = folder.entries()
    assert before.stamp and before.stamp != after.stamp


def test_bad_inputs_are_all_listed_with_what_is_known(tmp_path):
    expected = write_bad_inputs(tmp_path)
    folder = Folder(str(tmp_path))
    found = {entry.locator: entry for entry in folder.entries()}
    assert found.keys() == expected.keys()
    assert EMPTY_CLASS in folder.classes()
    assert found["bad/broken-link.png"].problem == "missing file"
    for locator, what in expected.items():
        assert found[locator].label == locator.split("/")[0]
        if what.kept:
            images.inspect(folder.read(locator))


def test_one_empty_file_among_a_thousand_costs_one_row(tmp_path):
    good = encoded(colours(16), "JPEG")
    write(tmp_path, *(f"cat/{number}.jpg" for number in range(1000)), data=good)
    write(tmp_path, "cat/zero.jpg", data=b"")
    folder, bad = Folder(str(tmp_path)), []
    entries = list(folder.entries())
    for entry in entries:
        try:
            images.inspect(folder.read(entry.locator))
        except BadImage as error:
            bad.append(error.message)
    assert len(entries) == 1001
    assert bad == ["empty file (0 bytes)"]


def test_listing_is_quick_and_lazy(tmp_path):
    write(tmp_path, *(f"{number % 5}/{number:05d}.png" for number in range(5000)), data=b"")
    start = time.perf_counter()
    assert sum(1 for _ in Folder(str(tmp_path)).entries()) == 5000
    assert time.perf_counter() - start < 2


NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda name: not name.startswith(".") and len(name.encode()) < 200 and name != "__MACOSX"
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.tuples(NAMES, NAMES), st.binary(max_size=8), min_size=1, max_size=6))
def test_any_names_go_there_and_back(tmp_path_factory, files):
    root = tmp_path_factory.mktemp("names")
    for (label, name), data in files.items():
        write(root, f"c {label}/{name}.png", data=data)
    folder = Folder(str(root))
    found = {entry.locator: entry for entry in folder.entries()}
    assert found.keys() == {f"c {label}/{name}.png" for label, name in files}
    assert set(folder.classes()) == {f"c {label}" for label, _ in files}
    for (label, name), data in files.items():
        entry = found[f"c {label}/{name}.png"]
        assert (entry.label, entry.problem) == (f"c {label}", "")
        assert folder.read(entry.locator) == data
    assert list(folder.entries()) == list(found.values())


def test_a_file_is_no_folder_and_options_are_checked(tmp_path):
    write(tmp_path, "a.png")
    with pytest.raises(SourceError, match="is a file, not a folder"):
        open_source("folder", str(tmp_path / "a.png"))
    with pytest.raises(SourceError, match="it has no option 'splt'") as caught:
        open_source("folder", str(tmp_path), splt="train")
    assert caught.value.hint == "did you mean 'split'?"
