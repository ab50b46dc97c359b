"""Inpaint: what is not replaced stays to the bit, and what is said follows what was painted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import load_from_disk
from PIL import Image

from augforge.algorithms.inpainting import things_in_boxes, weights_of
from augforge.engine.run import run
from augforge.errors import RecipeError
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.reproduce.remake import Archive, remake
from augforge.stages.generators.inpaint import Inpaint
from tests.conftest import write_images
from tests.test_laws import rows

SIZE = (48, 40)
"""Width and height in px; the model makes 32 px."""
SMALL = {"dilate": 2, "feather": 3}


def squares(folder: Path) -> SourceSpec:
    """COCO: four pictures with a red square, outlined, and a blue one, of which only the box is known."""
    (folder / "images").mkdir(parents=True)
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": 1, "name": "red"}, {"id": 2, "name": "blue"}]
    for number in range(4):
        image = np.random.default_rng(number).integers(0, 80, (SIZE[1], SIZE[0], 3), np.uint8)
        content["images"].append({"id": number, "file_name": f"{number}.png", "width": SIZE[0], "height": SIZE[1]})
        for channel, x in ((0, 4 + number), (2, 30 - number)):
            image[12:22, x : x + 10, channel] += 150
            corners = [x, 12, x + 10, 12, x + 10, 22, x, 22]
            note = {"id": 2 * number + channel // 2, "image_id": number, "bbox": [x, 12, 10, 10], "area": 100}
            note |= {"category_id": 1, "segmentation": [corners]} if channel == 0 else {"category_id": 2}
            content["annotations"].append({**note, "iscrowd": 0})
        Image.fromarray(image).save(folder / "images" / f"{number}.png")
    (folder / "instances.json").write_text(json.dumps(content))
    return SourceSpec("coco", str(folder))


def masked(folder: Path) -> SourceSpec:
    """Pictures whose masks have a square of class 3, one of class 4 and void."""
    source = write_images(folder, {"cat": 3}, size=40)
    (folder / "masks").mkdir()
    mask = np.zeros((40, 40), np.uint8)
    mask[6:16, 6:16], mask[24:34, 20:34], mask[38:] = 3, 4, 255
    for path in (source / "cat").glob("*.png"):
        Image.fromarray(mask).save(folder / "masks" / path.name)
    return SourceSpec("folder", str(source / "cat"), {"masks": str(folder / "masks"), "class": "cat"})


@pytest.fixture(scope="module")
def painted(tiny_models):
    """Runs the stage on a source: for each kept image itself, its parent and its facts, and the ledger."""

    def done(source: SourceSpec, out: Path, **options):
        small = {"model": tiny_models["inpainting"], "steps": 2, "batch": 4, "per-class": 4, "any-class": True}
        stage = build_stage("generate", "inpaint", {**small, **SMALL, **options})
        run(Recipe("x", 1, (source,), (stage,)), out, device="cpu", allow_empty=True)
        ledger, data = rows(out), {row["id"]: row for row in load_from_disk(str(out / "dataset"))}
        made = [row for row in ledger.values() if row["origin"] == "synthetic" and row["kept"]]
        found = [(data[row["id"]], data[row["parents"][0]], json.loads(row["sampled_params"])) for row in made]
        return found, ledger

    return done


def pixels(row) -> np.ndarray:
    return np.asarray(row["image"].convert("RGB"))


def boxes_of(row, names=("red", "blue")) -> list[dict[str, Any]]:
    """The boxes as they were annotated: polygons, and names for labels."""
    known = [{name: each for name, each in box.items() if each is not None} for box in row["boxes"]]
    for box in known:
        box["label"] = names[box["label"]] if isinstance(box["label"], int) else box["label"]
        polygons = (box.pop("segmentation", None) or {}).get("polygons")
        if polygons:
            box["segmentation"] = polygons
    return known


def test_outside_of_the_reach_it_is_the_parent_to_the_bit(painted, tmp_path):
    found, _ = painted(squares(tmp_path / "set"), tmp_path / "out", classes=["red"])
    assert len(found) >= 4
    for child, parent, facts in found:
        chosen, other = things_in_boxes(boxes_of(parent), SIZE[::-1])
        weights = weights_of([chosen], [other], SIZE[::-1], (2, 3), False)
        made, before = pixels(child), pixels(parent)
        assert (made[weights == 0] == before[weights == 0]).all()
        assert (made[weights == 1] != before[weights == 1]).any(axis=1).mean() > 0.9
        assert facts["replaced"] == ["red"]
        assert (facts["dilate"], facts["feather"]) == (2, 3)
        assert facts["painted"] == round(float((weights > 0).mean()), 6)
        assert child["boxes"] == parent["boxes"], "the label is kept"


def test_the_background_is_new_and_the_things_stay_to_the_bit(painted, tmp_path):
    found, _ = painted(squares(tmp_path / "set"), tmp_path / "out", paint="background")
    for child, parent, _ in found:
        things = things_in_boxes(boxes_of(parent), SIZE[::-1])
        inside = things[0].area | things[1].area
        assert (pixels(child)[inside] == pixels(parent)[inside]).all()
        far = weights_of(things, [], SIZE[::-1], (2, 3), True) == 1
        assert (pixels(child)[far] != pixels(parent)[far]).any(axis=1).mean() > 0.9
        assert child["boxes"] == parent["boxes"]


def test_one_thing_by_the_seed_is_dropped_and_the_other_stays(painted, tmp_path):
    found, _ = painted(squares(tmp_path / "set"), tmp_path / "out", paint="one", label="drop", **{"per-class": 12})
    met = set()
    for child, parent, facts in found:
        (name,) = facts["replaced"]
        left = [box for box in boxes_of(parent) if box["label"] != name]
        assert boxes_of(child) == left
        assert child["label"] is None
        area = things_in_boxes(left, SIZE[::-1])[0].area
        if "segmentation" in left[0]:
            assert (pixels(child)[area] == pixels(parent)[area]).all()
        met.add(name)
    assert met == {"red", "blue"}


def test_a_thing_gets_another_label(painted, tmp_path):
    found, ledger = painted(squares(tmp_path / "set"), tmp_path / "out", classes=["blue"], label="green")
    for child, _, facts in found:
        assert {box["label"] for box in boxes_of(child, ("red", "blue", "green"))} == {"red", "green"}
        assert "green" in facts["prompt"]
    made = [row for row in ledger.values() if row["origin"] == "synthetic"]
    assert {row["label"] for row in made} == {"green"}


@pytest.mark.parametrize(("label", "value"), [("keep", None), ("drop", 9)])
def test_a_mask_says_what_was_replaced(painted, tmp_path, label, value):
    options = {"classes": ["3"], "label": label, "mask-value": 9}
    found, _ = painted(masked(tmp_path / "set"), tmp_path / "out", **options)
    for child, parent, facts in found:
        before, after = np.asarray(parent["mask"]), np.asarray(child["mask"])
        wanted = before if value is None else np.where(before == 3, value, before)
        assert (after == wanted).all()
        assert (pixels(child)[before == 4] == pixels(parent)[before == 4]).all()
        assert facts["replaced"] == ["3"]


def test_all_numbers_but_nothing_and_void_are_things(painted, tmp_path):
    found, _ = painted(masked(tmp_path / "set"), tmp_path / "out")
    assert {tuple(facts["replaced"]) for _, _, facts in found} == {("3", "4")}


def test_a_file_says_where(painted, tmp_path):
    white = np.zeros((80, 80), np.uint8)
    white[:, 40:] = 255
    Image.fromarray(white).save(tmp_path / "where.png")
    options = {"things": str(tmp_path / "where.png"), "dilate": 0, "feather": 0}
    found, _ = painted(masked(tmp_path / "set"), tmp_path / "out", **options)
    for child, parent, _ in found:
        assert (pixels(child)[:, :20] == pixels(parent)[:, :20]).all()
        assert (pixels(child)[:, 20:] != pixels(parent)[:, 20:]).any(axis=2).mean() > 0.9


def test_all_white_leaves_nothing_of_the_parent(painted, tmp_path):
    """What is made then does not depend on what the parent shows: the whole picture is the model's."""
    Image.new("L", (8, 8), 255).save(tmp_path / "all.png")
    found, _ = painted(masked(tmp_path / "set"), tmp_path / "out", things=str(tmp_path / "all.png"))
    assert {facts["painted"] for _, _, facts in found} == {1.0}
    for child, parent, _ in found:
        assert (pixels(child) != pixels(parent)).any(axis=2).mean() > 0.95


def test_an_image_without_things_is_dropped_and_says_so(painted, tmp_path):
    Image.new("L", (8, 8), 0).save(tmp_path / "none.png")
    for number, (options, said) in enumerate(
        (
            ({"things": str(tmp_path / "none.png")}, "there is nothing in it to replace"),
            ({"classes": ["17"]}, "there is nothing in it to replace"),
            ({"paint": "background", "classes": ["17"]}, "there is nothing in it to replace"),
            ({"things": "instances"}, "its parent has no instances"),
        )
    ):
        found, ledger = painted(masked(tmp_path / f"set-{number}"), tmp_path / f"out-{number}", **options)
        assert not found
        dropped = [row["dropped"] for row in ledger.values() if row["dropped"]]
        assert dropped and all(said in why for why in dropped)


def test_made_up_things_differ_from_image_to_image(painted, tmp_path):
    source = SourceSpec("folder", str(write_images(tmp_path / "set", {"cat": 2}, size=40)))
    found, _ = painted(source, tmp_path / "out", things="made-up", share=0.1, dilate=0, feather=0, **{"per-class": 8})
    areas = set()
    for child, parent, facts in found:
        changed = (pixels(child) != pixels(parent)).any(axis=2)
        assert changed.mean() <= facts["painted"] + 1e-6 < 0.2
        areas.add(changed.tobytes())
    assert len(areas) == len(found)


def test_with_a_context_the_model_sees_the_part_alone(painted, tmp_path):
    """A small thing is painted in the model's full size; nothing else changes."""
    source = squares(tmp_path / "set")
    near, _ = painted(source, tmp_path / "near", classes=["red"], context=0.2)
    whole, _ = painted(source, tmp_path / "whole", classes=["red"])
    for child, parent, facts in near:
        left, top, right, bottom = facts["shown"]
        assert (right - left) * (bottom - top) < SIZE[0] * SIZE[1] / 2
        outside = np.ones(SIZE[::-1], bool)
        outside[top:bottom, left:right] = False
        assert (pixels(child)[outside] == pixels(parent)[outside]).all()
        assert (pixels(child)[~outside] != pixels(parent)[~outside]).any()
    assert {tuple(facts["shown"]) for _, _, facts in whole} == {(0, 0, *SIZE)}


@pytest.mark.parametrize("options", [{"classes": ["3"], "label": "drop"}, {"things": "made-up", "context": 0.3}])
def test_an_image_can_be_made_again_from_its_row(painted, tmp_path, options):
    painted(masked(tmp_path / "set"), tmp_path / "out", **options)
    archive = Archive(tmp_path / "out")
    samples = list(archive.ledger.samples(archive.ledger.visible("synthetic")))
    again = list(remake(archive, samples[:2], "cpu"))
    assert all(one.apart <= 1 and list(one.pictures) == ["mask"] and one.same_pictures for one in again)


@pytest.mark.parametrize(("side", "px"), [(8, 1), (64, 1), (100, 2), (512, 10)])
def test_the_usual_reach_is_a_share_of_the_shorter_side(side, px):
    assert Inpaint()._reach((side, 2 * side, 3)) == (px, px)
    assert Inpaint(dilate=0, feather=7)._reach((side, side)) == (0, 7)


def test_what_cannot_be(tmp_path):
    with pytest.raises(RecipeError, match="a background gets no label"):
        build_stage("generate", "inpaint", {"paint": "background", "label": "sky"})
    with pytest.raises(RecipeError, match="there is no image"):
        build_stage("generate", "inpaint", {"things": str(tmp_path / "none.png"), "any-class": True}).check()
