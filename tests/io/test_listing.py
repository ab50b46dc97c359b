"""One listing for all who want to find out what a folder is: complete where it is small, bounded where it is not."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from augforge.io import detect
from augforge.io import listing as module
from augforge.io.listing import Listing


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_the_nearest_folders_come_first_and_those_of_different_folders_in_turn(tmp_path):
    touch(tmp_path, "a/1/x.txt", "a/2/x.txt", "a/10/x.txt", "b/1/y.TXT", "c.txt", ".hidden/z.txt", "b/1/d/e/z.txt")
    found = [below.above for below in Listing(tmp_path).folders()]
    assert found == ["", "a/", "b/", "a/1/", "b/1/", "a/2/", "a/10/", "b/1/d/", "b/1/d/e/"]
    files = [path.relative_to(tmp_path).as_posix() for path in Listing(tmp_path).files(".txt", 2)]
    assert files == ["c.txt", "a/1/x.txt", "b/1/y.TXT", "a/2/x.txt", "a/10/x.txt"]
    assert [below.above for below in Listing(tmp_path).folders(1)] == ["", "a/", "b/"]


def test_links_are_followed_inside_once_and_never_out_or_up(tmp_path):
    outside = touch(tmp_path / "outside", "secret.txt")
    root = touch(tmp_path / "root", "a/x.txt")
    (root / "b").symlink_to(root / "a")
    (root / "c").symlink_to(outside)
    (root / "a" / "up").symlink_to(root)
    (root / "self").symlink_to("self")
    found = {below.above: below.linked for below in Listing(root).folders()}
    assert found == {"": False, "a/": False, "b/": True}


def test_every_folder_is_read_once_whoever_asks(tmp_path, monkeypatch):
    for place in range(5):
        touch(tmp_path, f"class{place}/deep/{place}.png", f"class{place}/{place}.png")
    count: Counter[str] = Counter()
    scan = os.scandir

    def counted(path="."):
        count[os.fspath(path).rstrip("/")] += 1
        return scan(path)

    monkeypatch.setattr(os, "scandir", counted)
    assert detect(str(tmp_path))[0] == "folder"
    assert len(count) >= 11 and max(count.values()) == 1


def test_a_folder_that_cannot_be_read_is_empty(tmp_path, monkeypatch):
    touch(tmp_path, "a/x.txt", "locked/y.txt")
    scan = os.scandir

    def refuse(path):
        if "locked" in os.fspath(path):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert [path.name for path in Listing(tmp_path).files(".txt")] == ["x.txt"]


@pytest.mark.parametrize("most", [3, 10])
def test_only_so_many_folders_are_looked_into(tmp_path, monkeypatch, most):
    monkeypatch.setattr(module, "MOST_FOLDERS", most)
    for place in range(20):
        touch(tmp_path, f"images/{place}/{place}.jpg", f"masks/{place}/{place}.png")
    found = [below.above for below in Listing(tmp_path).folders()]
    assert len(found) == most
    if most == 10:  # of both kinds as many, and the same
        assert found[3:9] == ["images/0/", "masks/0/", "images/1/", "masks/1/", "images/2/", "masks/2/"]


def test_what_is_a_list_of_many_folders_is_still_found(tmp_path, monkeypatch):
    """Masks of many films: their folders lie beside those of the images, and fewer than all are looked into."""
    monkeypatch.setattr(module, "MOST_FOLDERS", 20)
    for place in range(50):
        touch(tmp_path, f"JPEGImages/{place:03}/0.jpg", f"Annotations/{place:03}/0.png")
    assert detect(str(tmp_path))[0] == "segmentation"
