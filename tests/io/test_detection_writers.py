"""YOLO and Pascal VOC are written as they are read, to the last bit, and as others read them."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from augforge.data.annotations import check_annotations
from augforge.data.uniform import Uniform
from augforge.engine.run import run
from augforge.errors import StoreError
from augforge.io import detect, open_source
from augforge.io.voc_objects import box_of
from augforge.io.voc_writer import annotation
from augforge.io.writing import Row
from augforge.io.xml import parsed
from augforge.io.yolo_data import YoloData
from augforge.io.yolo_lines import read_lines, written
from augforge.publish.export import export
from augforge.recipe import Recipe, SourceSpec
from tests.bad_inputs import colours, encoded
from tests.io.layouts import CAR, SIZE, VOC_CORNERS, YOLO_LINE, picture, put, voc_xml

SIDES = st.integers(2, 9000)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1)
LINES = {0: "car", 7: "bus"}


def coordinates(side: int):
    return st.just(0.0) | st.integers(0, side).map(float) | st.floats(1e-20, side)


@st.composite
def boxed(draw):
    """A size, and a box with an area on an image of that size."""
    height, width = draw(SIDES), draw(SIDES)
    x0, x1 = sorted(draw(st.lists(coordinates(width), min_size=2, max_size=2, unique=True)))
    y0, y1 = sorted(draw(st.lists(coordinates(height), min_size=2, max_size=2, unique=True)))
    return (height, width), [x0, y0, x1, y1]


@st.composite
def outlined(draw):
    """A size, and a box around a polygon on an image of that size."""
    height, width = draw(SIDES), draw(SIDES)
    points = draw(st.lists(st.tuples(coordinates(width), coordinates(height)), min_size=3, max_size=9))
    outline = [value for point in points for value in point]
    box = [min(outline[::2]), min(outline[1::2]), max(outline[::2]), max(outline[1::2])]
    return (height, width), {"box": box, "segmentation": [outline]}


def row(box, size=SIZE):
    return Row("i", None, None, "real", 1.0, None, {}, "{}", b"", None, size[1], size[0], "", "a",
               annotations={"boxes": [box]})  # fmt: skip


def from_yolo(line, size):
    boxes, _ = read_lines(line, YoloData(LINES))
    good, wrong = check_annotations({"boxes": boxes}, size)
    assert not wrong
    return good["boxes"]


def from_voc(xml, size):
    boxes = [box_of(thing, 1) for thing in parsed(xml).iterfind("object")]
    good, wrong = check_annotations({"boxes": boxes}, size)
    assert not wrong
    return good["boxes"]


@given(boxed())
@example(((32, 48), [1 / 3, 0.1, 47.9, 31.999999999999996]))
@example(((7, 3), [1e-20, 0.0, 3.0, 5e-20]))
def test_boxes_of_yolo_come_back_to_the_last_bit(case):
    size, corners = case
    box = {"box": corners, "label": "bus"}
    assert from_yolo(written(box, 7, size), size) == [box]


def test_the_wrong_variant_of_yolo_loses_bits():
    """Shares as floats, and corners of floats, as most tools reckon."""
    lost = 0
    for x0, width in [(x, side) for side in (48, 640, 1333) for x in range(side - 9)]:
        x1 = x0 + 9
        middle, extent = (x0 + x1) / 2 / width, (x1 - x0) / width
        lost += ((middle - extent / 2) * width, (middle + extent / 2) * width) != (x0, x1)
    assert lost > 100


@given(outlined())
def test_polygons_of_yolo_come_back_to_the_last_bit(case):
    size, box = case
    if box["box"][0] < box["box"][2] and box["box"][1] < box["box"][3]:
        box = {**box, "label": "car"}
        assert from_yolo(written(box, 0, size), size) == [box]


def test_lines_are_short_where_they_can_be():
    assert written({"box": CAR, "label": "car"}, 0, SIZE) == YOLO_LINE
    several = {"box": CAR, "segmentation": [[18, 8, 30, 8, 30, 24], [18, 8, 18, 24, 30, 24]]}
    assert written(several, 0, SIZE) == YOLO_LINE, "two polygons are no line: the box is"


@given(boxed(), TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3), st.booleans())
@example(((7, 3), [1e-20, 0.0, 3.0, 5e-20]), "a<b> &", {"a b": " x"}, True)
def test_boxes_of_voc_come_back_to_the_last_bit(case, label, said, difficult):
    size, corners = case
    said = {name.strip(): value for name, value in said.items() if name.strip() and value.strip()}
    attributes = {name: value for name, value in said.items() if name not in ("pose", "truncated", "occluded")}
    box = {"box": corners, "label": label, "attributes": {**attributes, "difficult": difficult, "pose": "Left"}}
    assert from_voc(annotation(row(box, size)), size) == [box]


@given(outlined())
def test_polygons_of_voc_come_back_to_the_last_bit(case):
    size, box = case
    if box["box"][0] < box["box"][2] and box["box"][1] < box["box"][3]:
        box = {**box, "label": "car"}
        assert from_voc(annotation(row(box, size)), size) == [box]


def test_corners_of_voc_are_written_as_the_devkit_counts():
    xml = annotation(row({"box": [1.0, 2.0, 20.0, 30.0], "label": "bus"}))
    corners = {corner.tag: corner.text for corner in parsed(xml).find("object/bndbox")}
    assert corners == {"xmin": "2", "ymin": "3", "xmax": "20", "ymax": "30"}


def test_what_xml_cannot_hold_is_said():
    with pytest.raises(StoreError, match="cannot hold the character") as raised:
        annotation(row({"box": CAR, "label": "a\x01"}))
    assert raised.value.hint


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of images with boxes in two splits, one without boxes, and one that is not annotated."""
    root = tmp_path_factory.mktemp("boxes")
    files = {f"{split}/images/{n}.png": picture(7 * len(split) + n) for split in ("train", "val") for n in range(3)}
    labels = {f"{split}/labels/{n}.txt": f"{n} 0.4 0.6 0.3 0.21\n1 0.1 0.1 0.3 0.1 0.2 0.3\n" for split in
              ("train", "val") for n in range(2)}  # fmt: skip
    put(root / "a", {**files, **labels, "data.yaml": "names: ['no', 'a: b']\ntrain: train/images\nval: val/images\n"})
    put(root / "b", {"x.png": picture(99)})
    specs = (SourceSpec("yolo", str(root / "a")), SourceSpec("folder", str(root / "b")))
    run(Recipe("boxes", 1, specs, ()), root / "run", device="cpu")
    return root / "run"


def annotated(folder):
    """Label, split and annotations of each sample of a run."""
    rows = pq.read_table(folder / "samples.parquet").to_pylist()
    return {row["id"]: (row["label"], row["split"], json.loads(row["annotations"] or "{}")) for row in rows}


@pytest.mark.parametrize("to", ["yolo", "voc"])
def test_an_export_is_a_source_that_says_the_same(finished, tmp_path, to):
    done = export(finished, to, tmp_path / "out")
    kind, value = detect(str(tmp_path / "out"))
    assert kind == to and done.rows == 7
    run(Recipe("again", 1, (SourceSpec(kind, value),), ()), tmp_path / "again", device="cpu")
    before, after = annotated(finished), annotated(tmp_path / "again")
    assert {"boxes": []} in [said for *_, said in before.values()] and {} in [said for *_, said in before.values()]
    for said in (said for *_, said in before.values() if "labels" in said):
        assert said["labels"] == list(dict.fromkeys(box["label"] for box in said["boxes"]))
    assert {i: (split, said) for i, (_, split, said) in after.items()} == {
        i: (split, said) for i, (_, split, said) in before.items()
    }
    assert {i: label for i, (label, *_) in after.items()} == {i: label for i, (label, *_) in before.items()}
    assert open_source(kind, value).classes() == ["no", "a: b"]
    assert export(finished, to, tmp_path / "out").written == 0, "a second export computes nothing"


@pytest.mark.parametrize("to", ["yolo", "voc"])
def test_an_export_does_not_warn_of_its_own_masks_and_depths(tmp_path, to):
    lines = []
    for split, n in (("train", 0), ("train", 1), ("test", 2)):
        files = {"file_name": f"{n}.png", "mask_file_name": f"m/{n}.png", "depth_file_name": f"d/{n}.png"}
        objects = {"bbox": [[18, 8, 12, 16]], "categories": ["car"]}
        lines.append(json.dumps({**files, "split": split, "objects": objects}) + "\n")
        grey = encoded(colours(64, n).resize(SIZE[::-1]).convert("L"), "PNG")
        put(tmp_path / "a", {f"{n}.png": picture(n), f"m/{n}.png": grey, f"d/{n}.png": grey})
    put(tmp_path / "a", {"metadata.jsonl": "".join(lines)})
    spec = SourceSpec("imagefolder", str(tmp_path / "a"))
    run(Recipe("masks", 1, (spec,), ()), tmp_path / "run", device="cpu")
    export(tmp_path / "run", to, tmp_path / "out")
    source = open_source(*detect(str(tmp_path / "out")))
    entries = list(source.entries())
    assert len(entries) == 3 and all(entry.pictures.keys() == {"mask", "depth"} for entry in entries)
    assert source.remarks == [] and source.unused() == {}


@pytest.mark.parametrize("to", ["yolo", "voc"])
def test_supervision_reads_an_export(finished, tmp_path, to):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import supervision

    export(finished, to, tmp_path)
    if to == "yolo":
        assert yaml.safe_load((tmp_path / "data.yaml").read_text())["names"] == {0: "no", 1: "a: b"}
        read = supervision.DetectionDataset.from_yolo
        found = read(*(str(tmp_path / part) for part in ("images/train", "labels/train", "data.yaml")))
    else:
        found = supervision.DetectionDataset.from_pascal_voc(
            str(tmp_path / "JPEGImages"), str(tmp_path / "Annotations")
        )
    records = map(json.loads, (tmp_path / "metadata.jsonl").read_text().splitlines())
    ids = {record["file_name"]: record["id"] for record in records}
    for path, theirs in found.annotations.items():
        _, _, said = annotated(finished)[ids[path.removeprefix(f"{tmp_path}/")]]
        ours = [box["box"] for box in said.get("boxes", ())]
        assert np.allclose(theirs.xyxy, np.array(ours).reshape(-1, 4), atol=1e-4)
        assert [found.classes[n] for n in theirs.class_id] == [box["label"] for box in said.get("boxes", ())]


@pytest.mark.parametrize("to", ["yolo", "voc"])
def test_a_run_without_boxes_is_refused(tmp_path, to):
    put(tmp_path / "a", {"cat/x.png": picture()})
    run(Recipe("none", 1, (SourceSpec("folder", str(tmp_path / "a")),), ()), tmp_path / "run", device="cpu")
    with pytest.raises(StoreError, match="no image of the run has boxes") as raised:
        export(tmp_path / "run", to, tmp_path / "out")
    assert raised.value.hint


@pytest.mark.parametrize("to", ["yolo", "voc"])
def test_a_box_without_a_class_is_said(tmp_path, to):
    xml = voc_xml(**VOC_CORNERS).replace("<name>car</name>", "")
    put(tmp_path / "a", {"x.png": picture(), "x.xml": xml})
    run(Recipe("none", 1, (SourceSpec("voc", str(tmp_path / "a")),), ()), tmp_path / "run", device="cpu")
    with pytest.raises(StoreError, match=r"box 0 of sample .* has no class"):
        export(tmp_path / "run", to, tmp_path / "out")


@pytest.mark.parametrize("to", ["yolo", "voc"])
def test_boxes_follow_when_all_images_are_made_one_size(finished, tmp_path, to):
    export(finished, to, tmp_path / "out", uniform=Uniform("RGB", 64))
    entries = [entry for entry in open_source(to, str(tmp_path / "out")).entries() if entry.annotations.get("boxes")]
    before = annotated(finished)
    for entry in entries:
        for box, was in zip(
            check_annotations(entry.annotations, (64, 64))[0]["boxes"],
            before[entry.carried["id"]][2]["boxes"],
            strict=True,
        ):
            x0, y0, x1, y1 = was["box"]
            square = [max(0, x0 - 8) * 2, y0 * 2, min(32, x1 - 8) * 2, y1 * 2]  # the middle 32 of 48 columns, twofold
            assert np.allclose(box["box"], square), "the wrong variant keeps the old px"
            assert ("segmentation" in box) == ("segmentation" in was)
    assert len(entries) == 4
