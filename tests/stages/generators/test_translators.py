"""Night and paired: which images, in which geometry, and the masks that go with them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from datasets import load_from_disk
from PIL import Image

from augforge.algorithms.geometry import Geometry
from augforge.algorithms.metrics import NightReference
from augforge.data import images
from augforge.data.ids import key
from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.engine.run import run
from augforge.engine.runners.train import train_alone
from augforge.errors import AugforgeError
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.catalog import stage_class
from augforge.stages.generators.night import Night
from augforge.stages.generators.night_likeness import MadeNights
from augforge.stages.generators.paired import Paired, with_regions
from tests.conftest import write_images
from tests.test_laws import rows


def pool(count: int) -> Pool:
    return Pool([Sample(key("id", n), "cat", digest=str(n), width=32, height=32) for n in range(count)])


def chosen(ratio: float, samples: Pool) -> set[str]:
    return {sample.id for sample, _ in Night(model="x", ratio=ratio).choose_parents(samples, 10**9)}


def test_a_ratio_is_met_nested_and_whatever_the_order():
    many = pool(4000)
    picked = {ratio: chosen(ratio, many) for ratio in (0.0, 0.1, 0.25, 0.5, 1.0)}
    assert picked[0.0] == set() and len(picked[1.0]) == 4000
    assert picked[0.1] < picked[0.25] < picked[0.5]
    assert abs(len(picked[0.25]) / 4000 - 0.25) < 4 * (0.25 * 0.75 / 4000) ** 0.5
    assert chosen(0.25, Pool(reversed(many.samples))) == picked[0.25]
    fewer = Pool(many.samples[:1000])
    assert chosen(0.25, fewer) == picked[0.25] & {sample.id for sample in fewer.samples}


def masked(folder, rgb: bool = False):
    """Pictures with edges, and masks of a few classes, or pictures in the masks' place."""
    source = write_images(folder, {"cat": 3})
    random = np.random.default_rng(0)
    (folder / "masks").mkdir()
    for path in sorted((source / "cat").glob("*.png")):
        blocks = random.integers(0, 256, (4, 4, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        Image.fromarray(blocks).save(path)
        shape = (32, 32, 3) if rgb else (32, 32)
        Image.fromarray(random.integers(0, 4, shape, dtype=np.uint8)).save(folder / "masks" / path.name)
    return SourceSpec("folder", str(source / "cat"), {"masks": str(folder / "masks"), "class": "cat"})


def made(source: SourceSpec, out, name: str, **options):
    stage = build_stage("generate", name, {"batch": 4, **options})
    run(Recipe("x", 1, (source,), (stage,)), out, device="cpu")
    ledger = rows(out)
    data = {row["id"]: row for row in load_from_disk(str(out / "dataset"))}
    return [(ledger[i], data[i], data[ledger[i]["parents"][0]]) for i in data if ledger[i]["origin"] == "synthetic"]


@pytest.mark.parametrize("rgb", [False, True])
def test_a_night_has_the_mask_of_its_day_in_the_same_geometry(tmp_path, tiny_models, rgb):
    import json

    found = made(
        masked(tmp_path / "set", rgb), tmp_path / "out", "night", model=tiny_models["night"], **{"per-class": 6}
    )
    assert len(found) == 6
    for row, child, parent in found:
        sampled_params, mask = json.loads(row["sampled_params"]), np.asarray(child["mask"])
        expected = parent["mask"]
        if sampled_params["variant"]:
            expected = expected.crop(sampled_params["crop"])
            expected = expected.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if sampled_params["flip"] else expected
        assert (mask == np.asarray(expected)).all() and child["image"].size == child["mask"].size


def test_a_night_of_another_size_keeps_the_classes_of_its_mask(tmp_path, tiny_models):
    options = {"model": tiny_models["night"], "ratio": 1.0, "size": 48}
    found = made(masked(tmp_path / "set"), tmp_path / "out", "night", **options)
    for _, child, parent in found:
        assert child["image"].size == child["mask"].size == (48, 48)
        assert set(np.unique(child["mask"])) <= set(np.unique(parent["mask"]))


def test_a_drawn_mask_went_through_the_geometry_that_was_recorded(tmp_path, tiny_models):
    import json

    found = made(masked(tmp_path / "set"), tmp_path / "out", "paired", model=tiny_models["paired"], **{"per-class": 6})
    assert len({row["sampled_params"] for row, _, _ in found}) == 6
    for row, child, parent in found:
        geometry = Geometry.from_plain(json.loads(row["sampled_params"])["geometry"])
        expected = geometry.apply_label(np.asarray(parent["mask"]))
        assert (np.asarray(child["mask"]) == expected).all()
        assert set(np.unique(child["mask"])) <= set(np.unique(parent["mask"]))


def test_nothing_varied_makes_each_image_once(tmp_path, tiny_models):
    options = {"model": tiny_models["paired"], "vary": "none", "per-class": 9}
    assert len(made(masked(tmp_path / "set"), tmp_path / "out", "paired", **options)) == 3


def test_pasted_regions_come_from_another_label_map_at_their_place(tmp_path):
    import json

    small = {**stage_class("train", "paired").example, "condition": "labelmap", "steps": 2}
    streets = build_stage("train", "paired", small)
    train_alone(Recipe("tiny", 1, (masked(tmp_path / "seen"),), (streets,)), tmp_path / "model", device="cpu")
    options = {"model": str(tmp_path / "model"), "paste": "3, 1", "per-class": 9}
    found = made(masked(tmp_path / "set"), tmp_path / "out", "paired", **options)
    data = {row["id"]: row for row in load_from_disk(str(tmp_path / "out" / "dataset"))}
    mirrored = set()
    for row, child, parent in found:
        sampled, other = json.loads(row["sampled_params"]), np.asarray(data[row["parents"][1]]["mask"])
        assert row["parents"][1] != row["parents"][0] and sampled["paste"] == [1, 3]
        mirrored.add(sampled["mirrored"])
        expected = np.asarray(parent["mask"]).copy()
        theirs = other[:, ::-1] if sampled["mirrored"] else other
        for value in (1, 3):
            expected[theirs == value] = value
        shown = Geometry.from_plain(sampled["geometry"]).apply_label(expected)
        assert (np.asarray(child["mask"]) == shown).all()
    assert len(found) == 9 and mirrored == {True, False}
    with pytest.raises(AugforgeError, match="knows the classes 0 to 3; `paste` names 4"):
        made(masked(tmp_path / "other"), tmp_path / "refused", "paired", **{**options, "paste": "1,4"})


def test_a_label_map_of_another_size_is_stretched_and_no_class_is_invented():
    mask, other = np.zeros((4, 6), np.uint8), np.array([[5, 9], [7, 2]], np.uint8)
    changed = with_regions(mask, other, [9, 7])
    assert (changed[:2, 3:] == 9).all() and (changed[2:, :3] == 7).all() and set(np.unique(changed)) == {0, 7, 9}
    assert (with_regions(mask, other, [4]) == mask).all() and not mask.any()


@pytest.mark.parametrize("coloured", [0, 1])
def test_nothing_is_pasted_into_or_from_a_label_map_in_colours(coloured):
    maps = [np.zeros((4, 6), np.uint8), np.zeros((4, 6), np.uint8)]
    maps[coloured] = np.zeros((4, 6, 3), np.uint8)
    with pytest.raises(AugforgeError, match=r"one channel, not 3: .* pictures in colours cannot"):
        with_regions(maps[0], maps[1], [1])


def test_regions_are_not_pasted_into_what_is_no_label_map(tmp_path, tiny_models):
    lone = write_images(tmp_path / "one", {"cat": 1})
    options = {"model": tiny_models["paired"], "paste": [1], "per-class": 1}
    with pytest.raises(AugforgeError, match="`paste` changes a label map"):
        made(SourceSpec("folder", str(lone)), tmp_path / "out", "paired", **options)
    for wrong in ("255", [-1], "street"):
        with pytest.raises(ValueError, match="paste"):
            Paired(model="x", paste=wrong)


def test_ways_to_vary_are_words():
    assert Paired(model="x", vary="warp, flip").vary == ("flip", "warp")
    for wrong in ("flop", 3, None):
        with pytest.raises(ValueError, match="is none of flip, warp, style"):
            Paired(model="x", vary=wrong)


def test_a_mask_that_is_a_picture_goes_there_and_back():
    picture = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert (images.decode_condition(images.encode_mask(picture)) == picture).all()
    out = io.BytesIO()
    Image.fromarray(picture[..., 0]).save(out, "PNG")
    assert images.decode_condition(out.getvalue()).ndim == 2


class Said(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_generate_night_says_how_far_its_nights_are_from_real_ones(tmp_path, tiny_models):
    source, said = write_images(tmp_path / "set", {"day": 5}), Said()
    stage = build_stage("generate", "night", {"model": tiny_models["night"], "ratio": 1.0, "batch": 4})
    recipe = Recipe("x", 1, (SourceSpec("folder", str(source)),), (stage,))
    run(recipe, tmp_path / "out", device="cpu", progress=said)
    (line,) = [line for line in said.lines if "real nights" in line]
    assert line.startswith("night: distance of 5 made images to real nights "), "padding of a batch is not counted"
    assert "of the same days darkened to their histogram" in line
    run(recipe, tmp_path / "out", device="cpu", progress=said)
    assert sum("real nights" in line for line in said.lines) == 1, "a second run makes nothing, and says nothing"


def test_the_verdict_on_made_nights_follows_the_baseline():
    random = np.random.default_rng(0)
    days = [random.integers(100, 256, (32, 32, 3), dtype=np.uint8) for _ in range(6)]
    nights = [random.integers(0, 40, (32, 32, 3), dtype=np.uint8) for _ in range(6)]
    reference = NightReference.of(days, nights)

    def summary(made: list[np.ndarray]) -> str:
        seen = MadeNights(NightReference.from_arrays(reference.arrays()), 32)
        for number, (day, night) in enumerate(zip(days, made, strict=True)):
            seen.add(str(number), Image.fromarray(day), night / np.float32(255))
            seen.add(str(number), Image.fromarray(day), np.full_like(night, np.nan, dtype=np.float32))
        return seen.summary()

    assert "worse nights" in summary(days) and "worse nights" not in summary(nights)
    assert MadeNights(None, 32).summary() == "" and MadeNights(reference, 32).summary() == ""
