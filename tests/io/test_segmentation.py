"""Images and masks in folders of their own: Cityscapes, CamVid, ADE20K and others."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from augforge.errors import SourceError
from augforge.io import detect, open_source
from augforge.io.mask_pairs import paired
from augforge.io.understood import understanding, understood
from tests.bad_inputs import colours, encoded

PICTURE = encoded(colours(8, 0), "PNG")


def mask(value):
    return encoded(Image.fromarray(np.full((8, 8), value, np.uint8)), "PNG")


def write(root, files):
    for number, path in enumerate(files):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(files[path] if isinstance(files, dict) else encoded(colours(8, number), "PNG"))
    return root


def opened(root, **options):
    kind, value = detect(str(root))
    assert kind == "segmentation"
    source = open_source(kind, value, **options)
    told = understood(source)
    return source, list(understanding(source, told)), told


def cityscapes(root):
    files = {}
    for number, place in enumerate(("train/aachen/aachen_1", "train/bonn/bonn_1", "val/frankfurt/frankfurt_1")):
        files[f"leftImg8bit/{place}_leftImg8bit.png"] = encoded(colours(8, number), "PNG")
        files[f"gtFine/{place}_gtFine_labelIds.png"] = mask(number)
        files[f"gtFine/{place}_gtFine_color.png"] = PICTURE
        files[f"gtFine/{place}_gtFine_instanceIds.png"] = mask(9)
        files[f"gtFine/{place}_gtFine_polygons.json"] = b"{}"
    return write(root, files)


def test_cityscapes(tmp_path):
    source, entries, told = opened(cityscapes(tmp_path))
    assert [(e.locator, e.label, e.split) for e in entries] == [
        ("leftImg8bit/train/aachen/aachen_1_leftImg8bit.png", None, "train"),
        ("leftImg8bit/train/bonn/bonn_1_leftImg8bit.png", None, "train"),
        ("leftImg8bit/val/frankfurt/frankfurt_1_leftImg8bit.png", None, "validation"),
    ]
    assert [source.read_picture(e.locator, "mask") for e in entries] == [mask(0), mask(1), mask(2)]
    assert source.classes() == [] and told.pictures == {"mask": 3, "instances": 3}
    assert dict(told.unused) == {"_color.png": 3, ".json": 3}
    assert [e.split for e in opened(tmp_path, split="val")[1]] == ["validation"]


LAYOUTS = {
    "ade": (["images/training/a.jpg", "images/validation/b.jpg"],
            ["annotations/training/a.png", "annotations/validation/b.png"]),
    "camvid of segnet": (["train/a.png", "val/b.png"], ["trainannot/a.png", "valannot/b.png"]),
    "camvid of fastai": (["images/a.png", "images/val_b.png"], ["labels/a_P.png", "labels/val_b_P.png"]),
    "camvid": (["701_StillsRaw_full/a.png", "701_StillsRaw_full/test/b.png"],
               ["LabeledApproved_full/a_L.png", "LabeledApproved_full/test/b_L.png"]),
    "below the splits": (["train/images/a.jpg", "valid/images/b.jpg"], ["train/labels/a.png", "valid/labels/b.png"]),
    "one folder of masks": (["train/a.jpg", "dev/b.jpg"], ["train_masks/a_mask.png", "dev_masks/b_mask.png"]),
    "voc": (["JPEGImages/a.jpg", "JPEGImages/val/b.jpg"], ["SegmentationClass/a.png", "SegmentationClass/val/b.png"]),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(tmp_path, name):
    images, masks = LAYOUTS[name]
    write(tmp_path, [*images, *masks])
    source, entries, _ = opened(tmp_path)
    found = {e.locator: source.read_picture(e.locator, "mask") for e in entries}
    assert found == {image: (tmp_path / path).read_bytes() for image, path in zip(images, masks, strict=True)}
    first, second = (next(e.split for e in entries if e.locator == image) for image in images)
    assert first in (None, "train") and second in ("validation", "test")


def test_the_finer_mask_counts():
    images = ["leftImg8bit/train/x/a_leftImg8bit.png"]
    masks = ["gtCoarse/train/x/a_gtCoarse_labelIds.png", "gtFine/train/x/a_gtFine_labelIds.png"]
    assert paired([*masks, *images]).beside == {images[0]: {"mask": masks[1]}}


def test_an_image_without_a_mask_is_said(tmp_path):
    write(tmp_path, ["images/a.png", "images/b.png", "labels/a.png", "labels/c.png"])
    _, entries, told = opened(tmp_path)
    assert [bool(e.pictures) for e in entries] == [True, False]
    assert list(told.notes) == ["1 image is without a mask: images/b.png"] and dict(told.unused) == {".png": 1}


@pytest.mark.parametrize("files", [["images/a.png", "masks/a.png"], ["cat/a.png", "dog/b.png"], ["train/cat/a.png"]])
def test_other_folders_are_none(tmp_path, files):
    write(tmp_path, files)
    assert detect(str(tmp_path))[0] == "folder"


def test_a_folder_without_masks_is_an_error_with_a_way_out(tmp_path):
    write(tmp_path, ["cat/a.png"])
    with pytest.raises(SourceError) as raised:
        open_source("segmentation", str(tmp_path))
    assert raised.value.hint


def test_no_image_of_an_evaluation_split_is_a_parent(tmp_path):
    from augforge.engine.run import run
    from augforge.recipe import Recipe, SourceSpec, build_stage
    from tests.test_laws import rows

    spec = SourceSpec("segmentation", str(cityscapes(tmp_path / "in")))
    stage = build_stage("generate", "shifts", {"per-class": 4, "size": 8, "fold": "1"})
    run(Recipe("r", 1, (spec,), (stage,)), tmp_path / "out")
    ledger = rows(tmp_path / "out")
    made = [row for row in ledger.values() if row["origin"] == "synthetic"]
    assert len(made) == 4 and all(row["pictures"] for row in made if row["kept"])
    assert {ledger[parent]["split"] for row in made for parent in row["parents"]} == {"train"}
