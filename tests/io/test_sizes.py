"""What size annotations are for: a picture that was made larger or smaller since gives no wrong boxes."""

from __future__ import annotations

import json

import pytest

from augforge.data.images import Facts
from augforge.data.store import Store
from augforge.engine.ingest import read_sources, say_what_is_bad
from augforge.errors import SourceError
from augforge.io import detect, open_source
from augforge.io.sizes import fitting, said_size
from augforge.recipe.source import parse_source
from augforge.report.inspection import inspected
from tests.engine.test_guards import Heard
from tests.io.layouts import HEIGHT, WIDTH, cvat, cvat_image, labelme, picture, put, voc_xml

REAL = (WIDTH, HEIGHT)
TURNED = "EXIF orientation, read as upright"


def coco(root, size, name="a.png", **more):
    width, height = size
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [18, 8, 12, 16], "area": 192, "iscrowd": 0}
    image = {"id": 1, "file_name": name, "width": width, "height": height}
    said = {"images": [image], "annotations": [{**box, **more}], "categories": [{"id": 1, "name": "car"}]}
    return put(root, {"instances.json": json.dumps(said)})


def voc(root, size, name="a.png"):
    said = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size></annotation>"
    return put(root, {f"{name[:-4]}.xml": voc_xml(name).replace("</annotation>", said)})


def of_labelme(root, size, name="a.png"):
    return put(root, {f"{name[:-4]}.json": labelme(name, imageWidth=size[0], imageHeight=size[1])})


def of_cvat(root, size, name="a.png"):
    text = cvat(cvat_image(name))
    for side, known, value in (("width", WIDTH, size[0]), ("height", HEIGHT, size[1])):
        text = text.replace(f'{side}="{known}"', f'{side}="{value}"')
    return put(root, {"annotations.xml": text})


FORMATS = {"coco": coco, "voc": voc, "labelme": of_labelme, "cvat": of_cvat}


def read(root, out, **options):
    """The one sample of a source, and what was said while it was read."""
    heard = Heard()
    ledger, _ = read_sources([open_source(*detect(str(root)), **options)], Store(out), heard)
    say_what_is_bad(ledger, heard)
    (sample,) = ledger.samples(ledger.visible())
    return sample, heard.lines


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("size", "kept"),
    [
        (REAL, True),
        ((0, 0), True),
        (("", "x"), True),
        ((f"{WIDTH}.0", f" {HEIGHT} "), True),
        ((2 * WIDTH, 2 * HEIGHT), False),
        ((WIDTH, HEIGHT + 1), False),
        ((HEIGHT, WIDTH), False),
    ],
)
def test_annotations_for_another_size_are_left_out(tmp_path, kind, size, kept):
    root = put(FORMATS[kind](tmp_path / "set", size), {"a.png": picture()})
    sample, lines = read(root, tmp_path / "out")
    assert sample.kept and sample.label == "car"
    assert [box["box"] for box in sample.annotations.get("boxes", ())] == ([[18.0, 8.0, 30.0, 24.0]] if kept else [])
    if kept:
        assert sample.note == "" and len(lines) == 1
        return
    width, height = size
    assert sample.note == f"the annotations are for {width}x{height} px, the picture has 48x32: boxes left out"
    assert lines[1].startswith("1 image is not of the size that its annotations are for")
    assert "sizes: false" in lines[1] and "a.png" in lines[1]


@pytest.mark.parametrize("kind", FORMATS)
def test_all_are_read_as_they_are_if_the_user_says_so(tmp_path, kind):
    root = put(FORMATS[kind](tmp_path / "set", (96, 64)), {"a.png": picture()})
    sample, lines = read(root, tmp_path / "out", sizes=False)
    assert sample.note == "" and len(sample.annotations["boxes"]) == 1 and len(lines) == 1
    spec = parse_source(1, {kind: str(root), "sizes": False})
    one, other = (open_source(kind, str(root), **options) for options in (spec.options, {}))
    assert one.fingerprint() != other.fingerprint() and one.notes is not None
    with pytest.raises(SourceError, match="it has no option 'sizes'"):
        open_source("folder", str(root), sizes=False)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(("orientation", "size"), [(6, (WIDTH, HEIGHT)), (6, (HEIGHT, WIDTH)), (3, (WIDTH, HEIGHT))])
def test_the_size_of_a_picture_before_it_was_turned_is_one_too(tmp_path, kind, orientation, size):
    """Boxes are of the upright picture; a file may have the size of the stored one."""
    data = picture(kind="JPEG", orientation=orientation)
    root = put(FORMATS[kind](tmp_path / "set", size, "a.jpg"), {"a.jpg": data})
    sample, lines = read(root, tmp_path / "out")
    assert len(sample.annotations["boxes"]) == 1 and len(lines) == 1
    stored = orientation == 6 and size == (WIDTH, HEIGHT)
    assert ("the size of the picture before it is turned" in sample.note) == stored


def test_keypoints_and_boxes_go_and_what_has_no_place_stays():
    said = {"boxes": [{}], "keypoints": [{}], "caption": "a dog", "labels": ["a", "b"], "extra": {}}
    kept, note = fitting(said, (10, 20), Facts(20, 10))
    assert kept == {"caption": "a dog", "labels": ["a", "b"], "extra": {}}
    assert note.endswith("10x20 px, the picture has 20x10: boxes and keypoints left out")
    assert fitting(said, (10, 20), Facts(20, 10, f"16-bit, read as 8-bit; {TURNED}"))[0] == said
    assert fitting(said, (11, 20), Facts(20, 10, TURNED))[0] == kept
    assert fitting({"boxes": [], "caption": "x"}, (1, 1), Facts(20, 10)) == ({"boxes": [], "caption": "x"}, "")


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(640, 480, (640, 480)), ("640", "480", (640, 480)), (640.0, "480.0", (640, 480)), (0, 0, None), (-1, 5, None),
     (None, None, None), ("x", 5, None), (float("nan"), 5, None), (True, True, None), (640.5, 480, None),
     ([1], {}, None), (float("inf"), 1, None), ("9" * 5000, 1, None)],
)  # fmt: skip
def test_sizes_as_files_say_them(width, height, size):
    assert said_size(width, height) == size


def test_a_corrected_size_is_read_again(tmp_path):
    root = put(coco(tmp_path / "set", (96, 64)), {"a.png": picture()})
    before = open_source("coco", str(root)).fingerprint()
    assert not read(root, tmp_path / "out")[0].annotations.get("boxes")
    coco(root, REAL)
    assert open_source("coco", str(root)).fingerprint() != before
    assert read(root, tmp_path / "out")[0].annotations["boxes"]


def test_inspect_draws_no_box_of_another_size(tmp_path):
    root = put(coco(tmp_path / "set", (96, 64)), {"a.png": picture()})
    (example,) = inspected(open_source("coco", str(root))).examples
    assert "boxes" not in example.annotations
    assert example.wrong == ("the annotations are for 96x64 px, the picture has 48x32: boxes left out",)


def test_every_option_of_a_source_can_be_said_in_a_recipe():
    for key, value in (("corners", "exclusive"), ("boxes", "xyxy"), ("path", "x"), ("sizes", False)):
        assert parse_source(1, {"voc": "x", key: value}).options == {key: value}
