"""Whatever the annotation files hold, a reader says what is wrong and goes on."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.data.annotations import check_annotations, dump_annotations
from augforge.engine.run import run
from augforge.errors import SourceError
from augforge.io import detect, open_source
from augforge.recipe import Recipe, SourceSpec
from tests.io.layouts import SIZE, YOLO_LINE, cvat, cvat_image, labelme, picture, put, voc_xml

NUMBERS = st.integers() | st.floats() | st.text(max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
KINDS = st.sampled_from(["polygon", "rectangle", "circle", "point", "mask", None, 3])
SHAPES = JSON | st.fixed_dictionaries(
    {"points": JSON | st.lists(st.lists(NUMBERS, max_size=3), max_size=4)},
    optional={"label": JSON, "shape_type": KINDS, "group_id": JSON, "flags": JSON, "description": JSON},
)
WORDS = st.sampled_from(["box", "polygon", "points", "mask", "ellipse", "skeleton", "tag", "x"])
VALUES = st.sampled_from(["1", "2.5", "-3", "nan", "", "1,2;3,4;5,6", "1,", "x", "1e999"])
SIDES = ["label", "xtl", "ytl", "xbr", "ybr", "points", "rle", "left", "top", "width", "height", "cx", "cy", "rx", "ry"]


def told(kind: str, files: dict[str, str]) -> None:
    """Read a data set of one image, and check what is said of it as a run does."""
    with TemporaryDirectory() as place:
        root = put(Path(place), {"images/a.png": picture(), **files})
        source = open_source(kind, str(root))
        for entry in source.entries():
            assert isinstance(entry.label, str | None) and isinstance(dump_annotations(entry.annotations), str)
            good, wrong = check_annotations(entry.annotations, SIZE)
            assert all(isinstance(each, str) for each in wrong)
            assert json.loads(dump_annotations(good) or "{}") == good
        assert all(isinstance(each, str) for each in (*source.classes(), *source.remarks))


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=60) | st.lists(st.lists(NUMBERS, max_size=9), max_size=3).map(
    lambda lines: "\n".join(" ".join(map(str, line)) for line in lines)))  # fmt: skip
def test_any_label_file(text):
    told("yolo", {"labels/a.txt": text.encode(errors="replace").decode(), "classes.txt": "car\nbus\n"})


@settings(deadline=None, max_examples=60)
@given(st.lists(SHAPES, max_size=4), JSON)
def test_any_shapes_of_labelme(shapes, flags):
    told("labelme", {"images/a.json": json.dumps({"shapes": shapes, "flags": flags, "imagePath": "a.png"})})


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(WORDS, st.dictionaries(st.sampled_from(SIDES), VALUES, max_size=6)), max_size=4))
def test_any_shapes_of_cvat(shapes):
    inside = ""
    for name, said in shapes:
        words = " ".join(f"{key}='{value}'" for key, value in said.items())
        inside += f"<{name} {words}/>"
    told("cvat", {"annotations.xml": cvat(cvat_image("a.png", inside=inside or "<x/>"))})


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["xmin", "ymin", "xmax", "ymax", "x"]), VALUES), max_size=6),
       st.sampled_from(["difficult", "pose", "part", "polygon", "attributes", "name"]), VALUES)  # fmt: skip
def test_any_corners_of_voc(corners, name, value):
    sides = "".join(f"<{side}>{each}</{side}>" for side, each in corners)
    thing = f"<object><{name}>{value}<y>{value}</y></{name}><bndbox>{sides}</bndbox></object>"
    told("voc", {"annotations/a.xml": f"<annotation>{thing}{thing}</annotation>"})


@pytest.mark.parametrize("kind", ["yolo", "voc", "labelme", "cvat"])
def test_a_run_ends_well_with_one_bad_row(kind, tmp_path):
    """A damaged image, annotations with numbers that JSON has not, and a sound image."""
    nan = {
        "label": "car",
        "shape_type": "rectangle",
        "points": [[1, float("nan")], [9, 9]],
        "flags": {"a": float("nan")},
    }
    named = [
        cvat_image(name, inside='<box label="car" xtl="nan" ytl="1" xbr="9" ybr="9"/>') for name in ("a.png", "b.png")
    ]
    files = {
        "yolo": {"labels/a.txt": YOLO_LINE, "labels/b.txt": "0 nan 0.5 1 1\n"},
        "voc": {"annotations/a.xml": voc_xml(), "annotations/b.xml": voc_xml(xmin="nan", ymin=1, xmax=9, ymax=9)},
        "labelme": {"images/a.json": labelme("a.png"), "images/b.json": labelme("b.png", nan)},
        "cvat": {"annotations.xml": cvat(*named)},
    }[kind]
    put(tmp_path / "set", {"images/a.png": b"not a picture", "images/b.png": picture(), **files})
    assert detect(str(tmp_path / "set"))[0] == kind
    recipe = Recipe("bad", 1, (SourceSpec(kind, str(tmp_path / "set")),), ())
    done = run(recipe, tmp_path / "out", device="cpu", max_bad=0.5)
    assert (done.kept, done.dropped) == (1, 1)


def test_a_bomb_of_yaml_ends_quickly(tmp_path):
    bomb = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghij", "bcdefghijk", strict=True)
    )
    put(tmp_path, {"images/a.png": picture(), "data.yaml": f"{bomb}names: *k\ntrain: images\n"})
    with pytest.raises(SourceError, match="a name is no text"):
        open_source("yolo", str(tmp_path))
