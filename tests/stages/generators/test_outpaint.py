"""Outpaint: what is kept, what is painted, what is dropped, and that an image can be made again from its row."""

from __future__ import annotations

import json

import numpy as np
import pytest
from datasets import load_from_disk
from PIL import Image

from augforge.algorithms.geometry import Geometry
from augforge.algorithms.outpainting import WarpedPictures, warp
from augforge.data.sample import Sample
from augforge.engine.run import run
from augforge.errors import ModelError, RecipeError
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.recipe.build import parse_stages
from augforge.reproduce.remake import Archive, remake
from augforge.stages.catalog import stage_class
from augforge.stages.generators.outpaint import Outpaint
from tests.conftest import write_images
from tests.test_laws import rows

QUICK = {"steps": 5, "jump-length": 2, "jump-samples": 2, "erode": 2, "batch": 4}


def masked(folder, size: int = 32) -> SourceSpec:
    """Pictures with a square of class 3 in the middle of their masks."""
    source = write_images(folder, {"cat": 3}, size=size)
    (folder / "masks").mkdir()
    mask = np.zeros((size, size), np.uint8)
    mask[size // 4 : size // 2, size // 4 : size // 2] = 3
    for path in (source / "cat").glob("*.png"):
        Image.fromarray(mask).save(folder / "masks" / path.name)
    return SourceSpec("folder", str(source / "cat"), {"masks": str(folder / "masks"), "class": "cat"})


def finished(source, out, **options):
    stage = build_stage("generate", "outpaint", {**QUICK, "per-class": 6, **options})
    summary = run(Recipe("x", 1, (source,), (stage,)), out, device="cpu", allow_empty=True)
    return summary, rows(out)


def sector(row):
    (op,) = Geometry.from_plain(json.loads(row["sampled_params"])["moved"]["ops"]).ops
    return op


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_models):
    folder = tmp_path_factory.mktemp("outpaint")
    _, ledger = finished(masked(folder / "set"), folder / "out", model=tiny_models["outpainting"])
    data = {row["id"]: row for row in load_from_disk(str(folder / "out" / "dataset"))}
    return folder / "out", ledger, data


def test_what_is_kept_is_the_warped_input_to_the_bit_and_the_mask_follows(made):
    _, ledger, data = made
    region, painted = np.ones((32, 32), bool), 0
    children = [row for row in ledger.values() if row["origin"] == "synthetic" and row["kept"]]
    assert len(children) == 6
    for row in children:
        child, parent = data[row["id"]], data[row["parents"][0]]
        canvas = warp(np.asarray(parent["image"].convert("RGB")), sector(row), region, 2)
        image = np.asarray(child["image"].convert("RGB"))
        assert (image[~canvas.empty] == canvas.pixels[~canvas.empty]).all()
        painted += int((image[canvas.empty] != canvas.pixels[canvas.empty]).any())
        moved = WarpedPictures(sector(row), region).apply_label(np.asarray(parent["mask"]))
        assert (np.asarray(child["mask"]) == moved).all() and set(np.unique(moved)) <= {0, 3}
        facts = json.loads(row["sampled_params"])
        assert facts["label-inside"] >= 0.5 and facts["painted"] == round(float(canvas.empty.mean()), 6)
    assert painted > 2, "the model paints what is empty"


def test_an_image_can_be_made_again_from_its_row(made):
    archive = Archive(made[0])
    samples = list(archive.ledger.samples(archive.ledger.visible("synthetic")))
    again = list(remake(archive, samples[:3], "cpu"))
    assert all(one.apart <= 1 and list(one.pictures) == ["mask"] and one.same_pictures for one in again)


def test_a_warp_that_moves_nothing_gives_the_input_to_the_byte(tmp_path, tiny_models):
    _, ledger = finished(masked(tmp_path / "set"), tmp_path / "out", model=tiny_models["outpainting"], probability=0)
    data = {row["id"]: row for row in load_from_disk(str(tmp_path / "out" / "dataset"))}
    for row in ledger.values():
        if row["origin"] == "synthetic":
            child, parent = data[row["id"]], data[row["parents"][0]]
            assert (np.asarray(child["image"]) == np.asarray(parent["image"].convert("RGB"))).all()
            assert (np.asarray(child["mask"]) == np.asarray(parent["mask"])).all()
            assert json.loads(row["sampled_params"])["painted"] == 0


def test_an_image_whose_label_never_stays_inside_is_dropped_and_says_so(tmp_path, tiny_models):
    options = {"ops": "tilt", "tilt": 180, "probability": 1, "min-label-inside": 1.0, "retries": 0}
    summary, ledger = finished(masked(tmp_path / "set"), tmp_path / "out", model=tiny_models["outpainting"], **options)
    dropped = [row for row in ledger.values() if row["dropped"]]
    assert dropped and summary.dropped == len(dropped)
    assert all("no warp of 1 leaves 100 % of its label inside: at most" in row["dropped"] for row in dropped)


def digits(folder) -> SourceSpec:
    """Digit-like pictures of 32 px, a bright ring and a stroke on noise, with a mask of what is bright."""
    (folder / "masks").mkdir(parents=True)
    (folder / "images").mkdir()
    rows_, columns = np.indices((32, 32)) - 15.5
    ring = (np.abs(np.hypot(rows_, columns) - 9) < 2.5) | ((np.abs(columns) < 2) & (rows_ > 5))
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 120, (32, 32, 3), dtype=np.uint8)
        image = noise + ring[..., None].astype(np.uint8) * np.uint8(120)
        Image.fromarray(image).save(folder / "images" / f"{number}.png")
        Image.fromarray(ring.astype(np.uint8)).save(folder / "masks" / f"{number}.png")
    return SourceSpec("folder", str(folder / "images"), {"masks": str(folder / "masks"), "class": "digit"})


@pytest.mark.parametrize("erode", [None, 10])
def test_of_what_is_accepted_enough_of_the_label_is_not_painted(tmp_path, tiny_models, erode):
    """Also where much beside the empty part is painted: 10 px of 32 are nearly all that a warp moves."""
    options = {"erode": erode, "probability": 1, "per-class": 12, "batch": 12}
    _, ledger = finished(digits(tmp_path / "set"), tmp_path / "out", model=tiny_models["outpainting"], **options)
    data = {row["id"]: row for row in load_from_disk(str(tmp_path / "out" / "dataset"))}
    accepted = [row for row in ledger.values() if row["origin"] == "synthetic" and row["kept"]]
    for row in accepted:
        parent, image = data[row["parents"][0]], np.asarray(data[row["id"]]["image"].convert("RGB"))
        label = np.nonzero(np.asarray(parent["mask"]))
        canvas = warp(np.asarray(parent["image"].convert("RGB")), sector(row), np.ones((32, 32), bool), 0)
        same = (image == canvas.pixels).all(axis=2)
        at = [np.floor(axis + 0.5).astype(int) for axis in sector(row).target(label, (32, 32))]
        there = (at[0] >= 0) & (at[0] < 32) & (at[1] >= 0) & (at[1] < 32)
        inside = json.loads(row["sampled_params"])["label-inside"]
        assert same[at[0][there], at[1][there]].sum() / len(there) >= max(0.5, inside - 1e-6)
    assert len(accepted) >= 8 or erode


@pytest.mark.parametrize(("side", "margin"), [(8, 1), (28, 1), (32, 1), (128, 5), (256, 10), (1024, 41)])
def test_the_usual_erosion_is_a_share_of_the_shorter_side(side, margin):
    assert Outpaint(model="x")._margin((side, 2 * side)) == margin == Outpaint(model="x")._margin((2 * side, side))
    assert Outpaint(model="x", erode=3)._margin((side, side)) == 3 and Outpaint(model="x", erode=0)._margin((9, 9)) == 0


@pytest.mark.parametrize("roi", ["sector", "file"])
def test_outside_of_the_region_nothing_changes(tmp_path, tiny_models, roi):
    folder = write_images(tmp_path / "set", {"cat": 2})
    wedge = np.abs(np.arange(32)[None] - 15.5) <= np.arange(32)[:, None] * 0.6
    for path in (folder / "cat").glob("*.png"):
        Image.fromarray(np.where(wedge[..., None], np.asarray(Image.open(path)) | 32, 0).astype(np.uint8)).save(path)
    if roi == "file":
        roi = str(tmp_path / "roi.png")
        Image.fromarray(wedge.astype(np.uint8) * np.uint8(255)).save(roi)
    _, ledger = finished(
        SourceSpec("folder", str(folder)), tmp_path / "out", model=tiny_models["outpainting"], roi=roi, probability=1
    )
    data = {row["id"]: row for row in load_from_disk(str(tmp_path / "out" / "dataset"))}
    found = [np.asarray(data[i]["image"].convert("RGB")) for i, row in ledger.items() if row["origin"] == "synthetic"]
    assert found and all((image[~wedge] == 0).all() for image in found)


def test_an_inpainting_pipeline_keeps_what_is_kept_too(tmp_path, tiny_models):
    options = {"model": tiny_models["text-to-image"], "steps": 2, "probability": 1, "any-class": True}
    _, ledger = finished(masked(tmp_path / "set"), tmp_path / "out", **options)
    data = {row["id"]: row for row in load_from_disk(str(tmp_path / "out" / "dataset"))}
    children = [row for row in ledger.values() if row["origin"] == "synthetic" and row["kept"]]
    for row in children:
        canvas = warp(
            np.asarray(data[row["parents"][0]]["image"].convert("RGB")), sector(row), np.ones((32, 32), bool), 2
        )
        image = np.asarray(data[row["id"]]["image"])
        assert (image[~canvas.empty] == canvas.pixels[~canvas.empty]).all()
        assert (image[canvas.empty] != canvas.pixels[canvas.empty]).any()
    assert len(children) > 2 and json.loads(children[0]["sampled_params"])["prompt"] == "a photo of a cat"


def test_larger_images_keep_their_size_and_their_pixels(tmp_path, tiny_models):
    _, ledger = finished(
        masked(tmp_path / "set", 48), tmp_path / "out", model=tiny_models["outpainting"], ops="translate", probability=1
    )
    data = {row["id"]: row for row in load_from_disk(str(tmp_path / "out" / "dataset"))}
    for row in ledger.values():
        if row["origin"] == "synthetic" and row["kept"]:
            canvas = warp(
                np.asarray(data[row["parents"][0]]["image"].convert("RGB")), sector(row), np.ones((48, 48), bool), 2
            )
            image = np.asarray(data[row["id"]]["image"])
            assert image.shape == (48, 48, 3) and (image[~canvas.empty] == canvas.pixels[~canvas.empty]).all()


def test_what_an_unconditional_model_cannot_do_is_refused_before_anything_is_loaded(tiny_models):
    model = tiny_models["outpainting"]
    for wrong, message in (
        ({"steps": 3}, "3 steps do not divide the 20"),
        ({"negtome": "batch", "batch": 2}, "no use for it"),
        ({"negative": "blur"}, "reads no text"),
        ({"roi": "nowhere.png"}, "there is no image"),
    ):
        with pytest.raises(RecipeError, match=message):
            Outpaint(model=model, **wrong).check()
    Outpaint(model=model, steps=10).check()
    assert Outpaint(model=model)._steps == 20, "the most that divides 20, of the 250 that are usual"
    assert not Outpaint(model=model).asks_about_classes
    with pytest.raises(ValueError, match="is none of depth"):
        Outpaint(model=model, ops="twist")


def test_a_scheduler_of_ones_own_is_refused(tiny_models):
    with pytest.raises(ModelError, match="RePaint's own schedule"):
        Outpaint(model=tiny_models["outpainting"], scheduler="DDIMScheduler").load("cpu")


def test_warps_follow_from_the_seed_alone():
    stage = Outpaint(model="x", probability=1)
    sample = Sample("a", "cat", seed=5)
    one, same = ([*stage._drawn(sample, (32, 32))] for _ in range(2))
    assert one == same and len(one) == 31 and len(set(one)) == 31
    (recorded,) = stage._drawn(
        Sample("a", "cat", seed=6, sampled_params={"moved": {"ops": [one[4].plain()]}}), (32, 32)
    )
    assert recorded == one[4]


def test_a_recipe_paints_with_the_model_that_it_trains(tmp_path):
    folder = write_images(tmp_path / "set", {"cat": 4}, size=16)
    trainer = {**stage_class("train", "diffusion").example, "timesteps": 21, "as": "mine"}
    painter = {**QUICK, "steps": 7, "model": "mine", "per-class": 3}
    stages = parse_stages([{"train": "diffusion", **trainer}, {"generate": "outpaint", **painter}])
    recipe = Recipe("x", 1, (SourceSpec("folder", str(folder)),), stages)
    summary = run(recipe, tmp_path / "out", device="cpu")
    assert summary.work[-1]["generated"] == 3
    made = [row for row in rows(tmp_path / "out").values() if row["origin"] == "synthetic"]
    config = json.loads(made[0]["generation_config"])
    assert (config["steps"], config["scheduler"], config["model"]["name"]) == (7, "RePaintScheduler", "mine")
    archive = Archive(tmp_path / "out")
    again = list(remake(archive, list(archive.ledger.samples(archive.ledger.visible("synthetic"))), "cpu"))
    assert len(again) == 3 and all(one.apart <= 1 for one in again)


def test_another_content_of_the_region_file_is_another_region(tmp_path):
    path = tmp_path / "roi.png"
    stage, found = Outpaint(model="x", roi=str(path)), []
    for white in (10, 20):
        Image.fromarray((np.arange(32)[None].repeat(32, 0) < white).astype(np.uint8) * np.uint8(255)).save(path)
        found.append(stage.measured_options())
    path.rename(tmp_path / "other.png")
    moved = Outpaint(model="x", roi=str(tmp_path / "other.png")).measured_options()
    assert found[0] != found[1] and moved == found[1]
