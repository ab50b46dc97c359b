"""What holds for every layout with boxes: it is found by itself, and no evaluation image ever leads to another."""

from __future__ import annotations

from collections import Counter

import pyarrow.parquet as pq
import pytest

from augforge.engine.run import run
from augforge.errors import SourceError
from augforge.io import detect, open_source
from augforge.io.understood import understanding, understood
from augforge.publish.export import export
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.io.layouts import CAR, LAYOUTS, SPLITS, YOLO_LINE, boxes_of, cvat, cvat_image, picture, put

NAMED = {"train": "train", "val": "validation"}


@pytest.fixture(params=LAYOUTS)
def layout(request, tmp_path):
    kind, write = LAYOUTS[request.param]
    return kind, write(tmp_path / "cars")


def test_it_is_found_and_read(layout):
    kind, root = layout
    assert detect(str(root)) == (kind, str(root))
    source = open_source(kind, str(root))
    entries = list(source.entries())
    assert Counter(entry.split for entry in entries) == {NAMED[split]: count for split, count in SPLITS.items()}
    assert all(boxes_of(entry) == [("car", CAR)] and not entry.problem for entry in entries)
    assert {entry.label for entry in entries} == {"car"}, "no folder's name"
    assert source.classes()[0] == "car" and source.unused() == {}
    assert len({source.read(entry.locator) for entry in entries}) == len(entries)
    assert list(open_source(kind, str(root)).entries()) == entries


def test_one_split_alone(layout):
    kind, root = layout
    entries = list(open_source(kind, str(root), split="val").entries())
    assert len(entries) == SPLITS["val"] and {entry.split for entry in entries} == {"validation"}
    with pytest.raises(SourceError, match="there is no split 'dev2'"):
        list(open_source(kind, str(root), split="dev2").entries())


def test_the_fingerprint_changes_with_an_annotation(layout):
    kind, root = layout
    before = open_source(kind, str(root)).fingerprint()
    assert open_source(kind, str(root)).fingerprint() == before
    changed = next(path for path in sorted(root.rglob("*")) if path.suffix in (".txt", ".xml", ".json"))
    changed.write_text(changed.read_text() + " ")
    assert open_source(kind, str(root)).fingerprint() != before


def test_no_evaluation_image_is_a_parent(layout, tmp_path):
    kind, root = layout
    shifts = build_stage("generate", "shifts", {"fold": 2, "severity": 1})
    run(Recipe("leaks", 1, (SourceSpec(kind, str(root)),), (shifts,)), tmp_path / "out", device="cpu")
    rows = {row["id"]: row for row in pq.read_table(tmp_path / "out" / "samples.parquet").to_pylist()}
    made = [row for row in rows.values() if row["parents"]]
    parents = {rows[parent]["source"]: rows[parent]["split"] for row in made for parent in row["parents"]}
    assert len(parents) == SPLITS["train"] and set(parents.values()) == {"train"}
    real = [row for row in rows.values() if not row["parents"]]
    assert Counter(row["split"] for row in real) == {"train": SPLITS["train"], "validation": SPLITS["val"]}


def test_files_without_a_use_are_counted(layout):
    kind, root = layout
    put(root, {"notes/today.md": "x", "movie.MP4": "x", "LICENSE": "x", ".hidden": "x"})
    source = open_source(kind, str(root))
    told = understood(source)
    assert len(list(understanding(source, told))) == sum(SPLITS.values())
    assert told.unused == {".md": 1, ".mp4": 1, "LICENSE": 1}
    assert "3 files not used (1 .md, 1 .mp4, 1 LICENSE)" in told.sentence()


def test_a_plain_folder_stays_one(tmp_path):
    root = put(tmp_path / "plain", {"cat/a.png": picture(), "cat/a.txt": "1 cat on 2 mats\n", "cat/README.txt": "0 1"})
    assert detect(str(root)) == ("folder", str(root))
    put(root, {"settings.json": '{"shapes": 3}', "project.xml": "<project/>", "conf.yaml": "names: [a]\n"})
    assert detect(str(root)) == ("folder", str(root))


def test_the_first_line_says_what_was_understood(tmp_path):
    root = LAYOUTS["yolo, splits below images"][1](tmp_path / "cars")
    put(root, {"labels/train/gone.txt": YOLO_LINE, "labels/train/0.txt": f"1{YOLO_LINE[1:]}{YOLO_LINE}"})
    source = open_source(*detect(str(root)))
    told = understood(source)
    assert len(list(understanding(source, told))) == 5
    said = "YOLO, 5 images, 2 classes (car 5, bus 1), 0 unlabelled, splits train 3, validation 2, 6 boxes"
    assert (
        told.sentence()
        == f"{root}: {said}, 1 image with several labels; 1 label file is of no image: labels/train/gone.txt"
    )


def test_a_class_of_boxes_alone_stays_a_class(tmp_path):
    inside = '<tag label="street"/><box label="bus" xtl="1" ytl="1" xbr="9" ybr="9"/>'
    put(tmp_path / "set", {"a.png": picture(), "annotations.xml": cvat(cvat_image("a.png", inside=inside))})
    run(Recipe("c", 1, (SourceSpec("cvat", str(tmp_path / "set")),), ()), tmp_path / "out", device="cpu")
    export(tmp_path / "out", "yolo", tmp_path / "yolo")
    (entry,) = open_source("yolo", str(tmp_path / "yolo")).entries()
    assert entry.label == "street" and boxes_of(entry) == [("bus", [1, 1, 9, 9])]
