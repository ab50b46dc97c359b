"""COCO annotations, of others and hostile ones; what augforge writes is tested with the exports."""

from __future__ import annotations

import json

import pytest

from augforge.errors import BadImage, SourceError
from augforge.io import detect, open_source
from augforge.io.peek import PEEK
from tests.bad_inputs import colours, encoded

PNGS = [encoded(colours(8, seed), "PNG") for seed in range(4)]


def write(root, images, annotations=(), categories=(), name="instances_train2017.json", folder="train2017"):
    """A COCO data set as the original is laid out; `images` has dictionaries."""
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / folder).mkdir(parents=True, exist_ok=True)
    content = {"images": list(images), "annotations": list(annotations), "categories": list(categories)}
    (root / "annotations" / name).write_text(json.dumps(content))
    return root


def image(number, name):
    return {"id": number, "file_name": name, "width": 8, "height": 8}


def note(number, category):
    return {"id": 100 * number + category, "image_id": number, "category_id": category, "bbox": [0, 0, 2, 2]}


def test_the_layout_of_the_original(tmp_path):
    categories = [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}]
    notes = [note(1, 17), note(1, 17), note(2, 17), note(2, 18)]
    root = write(tmp_path, [image(1, "a.png"), image(2, "b.png"), image(3, "c.png")], notes, categories)
    for name, data in zip("abc", PNGS, strict=False):
        (root / "train2017" / f"{name}.png").write_bytes(data)
    kind, value = detect(str(root))
    source = open_source(kind, value)
    entries = list(source.entries())
    assert kind == "coco" and source.classes() == ["dog", "cat"]
    assert [(e.locator, e.label, e.split, e.problem) for e in entries] == [
        ("train2017/a.png", "cat", "train", ""), ("train2017/b.png", None, "train", ""),
        ("train2017/c.png", None, "train", ""),
    ]  # fmt: skip
    assert [source.read(e.locator) for e in entries] == PNGS[:3]
    by_file = open_source("coco", str(root / "annotations" / "instances_train2017.json"))
    assert [e.locator for e in by_file.entries()] == [e.locator for e in entries]


@pytest.mark.parametrize("name", ["../../secret.png", "/etc/hostname", "a/../../secret.png"])
def test_a_name_that_leads_out_costs_its_row(tmp_path, name):
    (tmp_path / "secret.png").write_bytes(PNGS[1])
    root = write(tmp_path / "set", [image(1, "a.png"), image(2, name)])
    (root / "train2017" / "a.png").write_bytes(PNGS[0])
    source = open_source("coco", str(root))
    good, bad = source.entries()
    assert not good.problem and bad.problem == "its name leads out of the source"
    with pytest.raises(BadImage, match="leads out"):
        source.read(bad.locator)


def test_a_link_and_a_mask_that_lead_out(tmp_path):
    (tmp_path / "secret.png").write_bytes(PNGS[1])
    root = write(tmp_path / "set", [image(1, "a.png") | {"mask_file_name": "../../secret.png"}, image(2, "l.png")])
    (root / "train2017" / "a.png").write_bytes(PNGS[0])
    (root / "train2017" / "l.png").symlink_to(tmp_path / "secret.png")
    source = open_source("coco", str(root))
    masked, link = source.entries()
    assert link.problem == "its name leads out of the source"
    with pytest.raises(BadImage, match="leads out"):
        source.read_picture(masked.locator, "mask")


def test_missing_repeated_and_senseless_images_cost_their_rows(tmp_path):
    root = write(
        tmp_path, [image(1, "a.png"), image(2, "gone.png"), image(3, "a.png"), {"id": 4}, "x", {"file_name": 5}]
    )
    (root / "train2017" / "a.png").write_bytes(PNGS[0])
    problems = [entry.problem for entry in open_source("coco", str(root)).entries()]
    assert problems == ["", "missing file", "it is listed twice", "it has no file name", "it has no file name"]


@pytest.mark.parametrize(
    "change",
    [{"categories": 5}, {"annotations": {"a": 1}}, {"categories": [5, {"id": [1], "name": {}}]},
     {"annotations": [5, {"image_id": [1], "category_id": {}}]}, {"categories": [{"id": {}, "name": "x"}]}],
)  # fmt: skip
def test_senseless_lists_cost_the_labels_only(tmp_path, change):
    root = write(tmp_path, [image(1, "a.png")])
    (root / "train2017" / "a.png").write_bytes(PNGS[0])
    path = root / "annotations" / "instances_train2017.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    (entry,) = open_source("coco", str(root)).entries()
    assert entry.label is None and not entry.problem


@pytest.mark.parametrize("text", ["{", "[]", '{"images": 5}', "[" * 100_000, ""])
def test_a_damaged_file_is_an_error_with_a_way_out(tmp_path, text):
    root = write(tmp_path, [])
    (root / "annotations" / "instances_train2017.json").write_text(text)
    with pytest.raises(SourceError) as raised:
        list(open_source("coco", str(root)).entries())
    assert raised.value.hint


def test_a_large_file_is_known_whose_lists_begin_in_its_middle(tmp_path):
    listed = [{"id": n, "file_name": f"{n:060d}.jpg", "width": 8, "height": 8} for n in range(1500)]
    said = [{"id": n, "image_id": n, "caption": f"picture {n}"} for n in range(1500)]
    (tmp_path / "annotations").mkdir()
    text = json.dumps({"info": {}, "images": listed, "licenses": [], "annotations": said})
    assert len(text) > 2 * PEEK and '"annotations"' not in text[:PEEK] + text[-PEEK:]
    (tmp_path / "annotations" / "captions_train2017.json").write_text(text)
    assert detect(str(tmp_path))[0] == "coco"


def with_depth(root, named):
    """A data set of others with one image, whose depth and instances are named as `named` says."""
    there = image(1, "a.png") | {f"{kind}_file_name": path for kind, path in named.items()}
    root = write(root, [there], folder="images/train", name="instances_train.json")
    for place, path in enumerate(("images/train/a.png", "images/train/depth/a.png", "annotations/ids/a.png")):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(PNGS[place])
    return open_source("coco", str(root))


@pytest.mark.parametrize(
    "named",
    [
        {"depth": "depth/a.png", "instances": "ids/a.png"},
        {"depth": "./depth/a.png", "instances": "../../annotations/ids/a.png"},
        {"depth": "images/train/depth/a.png", "instances": "annotations\\ids\\a.png"},
    ],
)
def test_pictures_that_others_name_are_read(tmp_path, named):
    """Seen from the folder of the images, that of the annotation file, or the top."""
    source = with_depth(tmp_path, named | {"coco": "gone.png", "original": "a.png"})
    (entry,) = source.entries()
    assert entry.pictures.keys() == {"depth", "instances"} and source.remarks == []
    assert [source.read_picture(entry.locator, name) for name in ("depth", "instances")] == PNGS[1:3]
    assert source.unused() == {}


@pytest.mark.parametrize("kind", ["mask", "depth", "instances"])
def test_a_picture_that_is_named_and_not_there_is_said(tmp_path, kind):
    source = with_depth(tmp_path, {kind: "gone.png"})
    (entry,) = source.entries()
    assert source.remarks == ["1 picture is named and not there: images/train/gone.png"]
    with pytest.raises(BadImage, match="missing file"):
        source.read_picture(entry.locator, kind)


def test_files_that_no_annotation_file_names_are_counted(tmp_path):
    root = write(tmp_path, [image(1, "a.png")])
    (root / "train2017" / "a.png").write_bytes(PNGS[0])
    for name in ("depth/train/a.png", "masks/train/a.png", "train2017/b.png", "notes.txt", "LICENSE", ".hidden"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PNGS[1])
    source = open_source("coco", str(root))
    assert source.unused() == {".png": 3, ".txt": 1, "LICENSE": 1}
    assert open_source("coco", str(root), split="train").unused() == source.unused()
    assert open_source("coco", str(root / "annotations" / "instances_train2017.json")).unused() == {}
