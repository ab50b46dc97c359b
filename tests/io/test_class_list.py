"""Files that name the classes in their order, and pictures of every suffix and of none."""

from __future__ import annotations

import json

import pytest

from augforge.io import detect, open_source
from augforge.io.class_list import class_list, in_listed_order
from augforge.io.understood import understanding, understood
from tests.bad_inputs import colours, encoded
from tests.data.test_formats import FILES

LISTS = {
    "classes.txt": ("zebra\nant\nbee\n", ["zebra", "ant", "bee"]),
    "classnames.txt": ("\ufeff0 zebra\n1 ant\n2 bee\n", ["zebra", "ant", "bee"]),
    "labels.txt": ("1: zebra\n2: ant\n3: bee\n", ["zebra", "ant", "bee"]),
    "names.txt": ("7 zebra\n2 ant\n3 bee\n", ["7 zebra", "2 ant", "3 bee"]),
    "class_names.txt": ("0 a\n0 b\n", ["0 a", "0 b"]),
    "classes.json": ('["zebra", "ant", "bee"]', ["zebra", "ant", "bee"]),
    "class_to_idx.json": ('{"ant": 1, "bee": 2, "zebra": 0}', ["zebra", "ant", "bee"]),
    "class_map.json": ('{"10": "bee", "0": "zebra", "2": "ant"}', ["zebra", "ant", "bee"]),
}


@pytest.mark.parametrize("name", LISTS)
def test_the_classes_that_a_file_lists(tmp_path, name):
    text, expected = LISTS[name]
    (tmp_path / name).write_text(text)
    assert class_list(tmp_path) == (name, expected)


@pytest.mark.parametrize("text", ["{", "5", '{"a": "b"}', "[" * 100_000, ""])
def test_a_file_that_lists_nothing_is_none(tmp_path, text):
    (tmp_path / "classes.json").write_text(text)
    assert class_list(tmp_path) == ("", [])


def test_lines_of_more_words_stand_for_the_class_that_is_called_like_the_first():
    assert in_listed_order(["n02 tench, Tinca", "n01 goldfish"], ["n01", "n02", "n03"]) == ["n02", "n01", "n03"]
    assert in_listed_order(["ice cream", "ice"], ["ice", "ice cream"]) == ["ice cream", "ice"]
    assert in_listed_order(["nothing", "of this"], ["a", "b"]) == []


def tree(root, files):
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    kind, value = detect(str(root))
    assert kind == "folder"
    source = open_source(kind, value)
    told = understood(source)
    return source, list(understanding(source, told)), told


PNG = encoded(colours(8, 0), "PNG")


def test_class_folders_have_the_order_of_the_list(tmp_path):
    files = {"train/ant/0.png": PNG, "train/zebra/0.png": PNG, "val/ant/1.png": PNG}
    source, _, told = tree(tmp_path, files | {"classes.txt": b"zebra\nyak\nant\n"})
    assert source.classes() == ["zebra", "yak", "ant"] and told.empty == ("yak",)
    assert not told.unused


def test_a_list_of_other_classes_is_a_file_that_is_not_used(tmp_path):
    files = {"ant/0.png": PNG, "zebra/0.png": PNG, "labels.txt": b"read me\n"}
    source, _, told = tree(tmp_path, files)
    assert source.classes() == ["ant", "zebra"] and dict(told.unused) == {".txt": 1}


def test_pictures_of_any_suffix_and_of_none(tmp_path):
    files = {"x/a.png": PNG, "x/b.tga": FILES["TGA"], "x/c": PNG, "x/d.png": b"hello", "x/e.img": FILES["JPEG"]}
    more = {"x/f.img": b"a disk", "x/README": b"read me", "x/g.qoi": FILES["QOI"], "x/h.rgb": FILES["SGI"]}
    _, entries, told = tree(tmp_path, files | more | {"x/i.rgb": bytes(3000), "x/j.mp4": b"x", "x/k.jxl": b"x"})
    assert [e.locator for e in entries] == [
        f"x/{name}" for name in ("a.png", "b.tga", "c", "d.png", "e.img", "g.qoi", "h.rgb", "k.jxl")
    ]
    assert dict(told.unused) == {".img": 1, "README": 1, ".rgb": 1, ".mp4": 1}
    assert len(entries) + sum(told.unused.values()) == len(files) + len(more) + 3


def test_they_go_through_a_run(tmp_path):
    from augforge.engine.run import run
    from augforge.recipe import Recipe, SourceSpec, build_stage
    from tests.test_laws import rows

    files = {f"x/{name.lower()}": data for name, data in FILES.items() if name != "DIB"}
    tree(tmp_path / "in", {**files, "x/d.png": b"hello"})
    stage = build_stage("filter", "sharpness", {"keep": 1.0})
    spec = SourceSpec("folder", str(tmp_path / "in"))
    run(Recipe("r", 1, (spec,), (stage,)), tmp_path / "out", max_bad=1)
    ledger = rows(tmp_path / "out").values()
    dropped = {row["source"].rpartition("/")[2]: row["dropped"] for row in ledger if row["dropped"]}
    assert len(ledger) == len(files) + 1
    assert dropped.pop("d.png") == "not an image" and not json.dumps(dropped).strip("{}")
