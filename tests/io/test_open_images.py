"""Open Images: boxes, labels of whole images, lists of images, and classes by their names."""

from __future__ import annotations

import tracemalloc

import pytest

from augforge.errors import SourceError
from augforge.io import detect, open_source
from augforge.io.open_images_files import read_notes
from augforge.io.understood import understanding, understood
from tests.bad_inputs import colours, encoded
from tests.io.layouts import picture, put

HEAD = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
ONE = HEAD + "a,x,/m/0k4j,1,0,1,0,1,0,0,0,0,0\n"
NAMES = '/m/0k4j,Car\n/m/01bjv,Bus\n/m/01yrx,"Cat, tame"\n'
PICTURE = encoded(colours(8, 0), "PNG")


def write(root, files, pictures):
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    for number, path in enumerate(pictures):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(encoded(colours(16, number), "PNG"))
    return root


def opened(root, **options):
    kind, value = detect(str(root))
    assert kind == "openimages"
    source = open_source(kind, value, **options)
    told = understood(source)
    return source, list(understanding(source, told)), told


def data(root):
    train = HEAD + "a1,xclick,/m/0k4j,1,0.25,0.75,0.125,0.5,1,0,0,0,-1\na1,xclick,/m/01bjv,1,0,1,0,1,0,0,1,0,0\n"
    train += "b2,xclick,/m/0k4j,1,0.1,0.2,0.3,0.4,0,0,0,0,0\nz9,xclick,/m/0k4j,1,0.1,0.2,0.3,0.4,0,0,0,0,0\n"
    labels = "ImageID,Source,LabelName,Confidence\nc3,verification,/m/01yrx,1\nc3,verification,/m/0k4j,0\n"
    files = {
        "oidv6-train-annotations-bbox.csv": train,
        "validation-annotations-human-imagelabels.csv": labels,
        "train-annotations-machine-imagelabels.csv": labels,
        "class-descriptions-boxable.csv": NAMES,
    }
    return write(root, files, ["train/a1.jpg", "train/b2.jpg", "validation/c3.jpg", "train/d4.jpg"])


def test_boxes_labels_classes_and_splits(tmp_path):
    source, entries, told = opened(data(tmp_path))
    by = {e.locator: e for e in entries}
    assert source.classes() == ["Bus", "Car", "Cat, tame"]
    first = by["train/a1.jpg"]
    assert (first.label, first.split, first.annotations) == (
        None,
        "train",
        {
            "labels": ["Car", "Bus"],
            "boxes": [
                {"box": ["0.25", "0.125", "0.75", "0.5"], "label": "Car", "relative": True,
                 "attributes": {"IsOccluded": True}},
                {"box": ["0", "0", "1", "1"], "label": "Bus", "relative": True, "iscrowd": True},
            ],
        },
    )  # fmt: skip
    assert (by["train/b2.jpg"].label, by["validation/c3.jpg"].label) == ("Car", "Cat, tame")
    assert by["validation/c3.jpg"].split == "validation" and not by["train/d4.jpg"].annotations
    assert list(told.notes) == ["1 annotated image is not there: z9", "1 image is not annotated: train/d4.jpg"]
    assert dict(told.unused) == {".csv": 1}


def test_other_files_are_counted_beside_the_tables(tmp_path):
    rows = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\na,x,/m/1,1,0.1,0.5,0.1,0.5\n"
    put(tmp_path, {"boxes.csv": rows, "other.csv": "a,b\n1,2\n", "a.jpg": picture(kind="JPEG"), "notes.txt": "x"})
    assert open_source("openimages", str(tmp_path)).unused() == {".csv": 1, ".txt": 1}


def test_a_box_is_in_pixels_in_the_ledger(tmp_path):
    import json

    from augforge.engine.run import run
    from augforge.recipe import Recipe, SourceSpec, build_stage
    from tests.test_laws import rows

    spec = SourceSpec("openimages", str(data(tmp_path / "in")))
    run(Recipe("r", 1, (spec,), (build_stage("filter", "sharpness", {"keep": 1.0}),)), tmp_path / "out")
    row = next(row for row in rows(tmp_path / "out").values() if row["source"].endswith("a1.jpg"))
    boxes = json.loads(row["annotations"])["boxes"]
    assert [box["box"] for box in boxes] == [[4.0, 2.0, 12.0, 8.0], [0.0, 0.0, 16.0, 16.0]]


@pytest.mark.parametrize(
    ("files", "picture"),
    [
        ({"boxes.csv": ONE, "images.csv": "ImageID,Subset\na,validation\n"}, "images/a.jpg"),
        ({"train-annotations-bbox.csv": ONE}, "val/a.jpg"),
        ({"csv/val-annotations-bbox.csv": ONE}, "images/a.jpg"),
    ],
)
def test_an_evaluation_split_is_one_wherever_it_is_named(tmp_path, files, picture):
    _, (entry,), told = opened(write(tmp_path, files, [picture]))
    assert (entry.split, entry.label) == ("validation", "/m/0k4j")
    assert "called by their ids" in told.notes[-1]


def test_one_file_as_the_source(tmp_path):
    root = data(tmp_path)
    _, entries, _ = opened(root / "oidv6-train-annotations-bbox.csv")
    assert {e.locator: e.label for e in entries}["train/b2.jpg"] == "Car"


def test_rows_in_any_order_and_damaged_ones(tmp_path):
    rows = ["a,x,/m/1,1,0,1,0,1", "b,x,/m/2,1,0,1,0,1", "a,x,/m/3,1,0,1,0,1", "a", "", "b,x,/m/4,1,NaN,x,0,1"]
    write(tmp_path, {"x-annotations-bbox.csv": "\ufeff" + HEAD + "\n".join(rows)}, ["a.png", "b.png"])
    _, entries, _ = opened(tmp_path)
    labels = [[box["label"] for box in e.annotations["boxes"]] for e in entries]
    assert labels == [["/m/1", "/m/3", ""], ["/m/2", "/m/4"]]
    assert all(e.annotations["boxes"] for e in entries)


def test_what_is_kept_of_a_row_is_where_it_lies(tmp_path):
    path = tmp_path / "train-annotations-bbox.csv"
    with path.open("w") as file:
        file.write(HEAD)
        for image in range(1000):
            file.write(f"{image:016x},xclick,/m/0k4j,1,0.123456,0.234567,0.345678,0.456789,0,0,0,0,0\n" * 100)
    tracemalloc.start()
    notes = read_notes(path, "x")
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(list(notes.rows(f"{7:016x}"))) == 100 and size < path.stat().st_size / 10


def test_no_file_of_it_is_an_error_with_a_way_out(tmp_path):
    write(tmp_path, {"other.csv": "a,b\n"}, ["a.png"])
    with pytest.raises(SourceError) as raised:
        open_source("openimages", str(tmp_path))
    assert raised.value.hint
