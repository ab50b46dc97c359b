"""The pictures of archives are found without their scans, each archive being looked through once."""

from __future__ import annotations

import random

from augforge.io import open_source
from augforge.io.member_index import MemberIndex
from augforge.io.members import Members, Place, Scan
from augforge.io.webdataset_reader import OPEN_FILES, Archived
from tests.io.test_webdataset import PNGS, write


def scan_of(samples):
    return Scan({stem: Members(Place(*image) if image else None, {}, pictures) for stem, image, pictures in samples})


def test_places_are_those_of_the_scan():
    samples = [(f"a/{n:x}", (n * 512, n + 1), {}) for n in range(500)]
    samples += [
        ("b", None, {"mask": Place(7, 8)}),
        ("b/mask", (9, 10), {}),
        ("ü" * 3, (11, 12), {"depth": Place(1, 2)}),
    ]
    index = MemberIndex({"x.tar": scan_of(samples), "empty.tar": Scan()}.__getitem__)
    for stem, image, pictures in samples:
        assert index.place("x.tar", stem) == image
        for name in ("mask", "depth"):
            assert index.place("x.tar", stem, name) == pictures.get(name)
    assert index.place("x.tar", "a/f4ff") is None and index.place("empty.tar", "b") is None


def test_what_is_held_is_bounded_and_the_oldest_goes():
    scanned = []

    def scan(name):
        scanned.append(name)
        return scan_of([(str(n), (n, 1), {}) for n in range(100)])

    index = MemberIndex(scan, most=3 * 100 * 32)
    for name in ("a", "b", "c", "a", "d", "a", "c", "d", "b", "a"):
        assert index.place(name, "99") == (99, 1)
    assert scanned == ["a", "b", "c", "d", "b", "a"]  # d put b out, and b put a out, which was not asked for longest
    alone = MemberIndex(scan, most=1)
    assert alone.place("a", "5") == alone.place("a", "5") == (5, 1)
    assert scanned[6:] == ["a"]


def test_images_are_read_in_any_order_without_looking_through_archives_again(tmp_path, monkeypatch):
    count = OPEN_FILES + 8
    for number in range(count):
        write(tmp_path / f"{number}.tar", [(f"{n}.png", PNGS[(number + n) % 4]) for n in range(4)])
    scanned = []
    scan = Archived._scan
    monkeypatch.setattr(Archived, "_scan", lambda self, name: scanned.append(name) or scan(self, name))
    source = open_source("webdataset", str(tmp_path))
    asked = [(number, n) for number in range(count) for n in range(4)] * 3
    random.Random(0).shuffle(asked)
    for number, n in asked:
        assert source.read(f"{number}.tar#{n}") == PNGS[(number + n) % 4]
    assert len(scanned) == count
    assert len(list(source.entries())) == 4 * count
    before = len(scanned)
    for number, n in asked:
        assert source.read(f"{number}.tar#{n}") == PNGS[(number + n) % 4]
    assert len(scanned) == before
