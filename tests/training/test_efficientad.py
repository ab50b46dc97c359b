"""EfficientAD trained on good pictures: planted defects are found where they are; the phases, and where they begin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from augforge.data.ledger import Ledger
from augforge.data.sample import Sample
from augforge.engine.run import run
from augforge.engine.runners.train import train_alone
from augforge.errors import RecipeError
from augforge.models import find_model
from augforge.models.anomaly import AnomalyDetector, brightness, pooled
from augforge.models.directory import read_model
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.training.efficientad import jittered, places_of, random_crop
from tests.test_laws import rows

TINY = {"size": 64, "width": 24, "steps": 500, "batch": 4, "rate": 2e-3, "distil": 0.3}


def product(random: np.random.Generator, defect: bool) -> tuple[np.ndarray, tuple[int, int]]:
    """A grid of dots with a little noise; with a defect, a smear of 10 px somewhere."""
    y, x = np.mgrid[:64, :64]
    grey = 120 + 70 * np.sin(x / 2.5) * np.sin(y / 2.5)
    picture = np.repeat(grey[..., None], 3, axis=2) + random.normal(0, 3, (64, 64, 3))
    top, left = (int(place) for place in random.integers(8, 46, 2))
    if defect:
        picture[top : top + 10, left : left + 10] = random.normal((200, 60, 50), 3, (10, 10, 3))
    return picture.clip(0, 255).astype(np.uint8), (top + 5, left + 5)


def write(folder: Path, count: int, defect: bool, seed: int) -> list[tuple[int, int]]:
    random, places = np.random.default_rng(seed), []
    folder.mkdir(parents=True)
    for number in range(count):
        picture, place = product(random, defect)
        Image.fromarray(picture).save(folder / f"{number:02d}.png")
        places.append(place)
    return places


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("efficientad")
    write(folder / "good" / "product", 30, False, 0)
    stage = build_stage("train", "efficientad", TINY)
    train_alone(Recipe("r", 0, (SourceSpec("folder", str(folder / "good")),), (stage,)), folder / "model", device="cpu")
    return folder / "model"


def test_planted_defects_are_found_where_they_are(trained, tmp_path):
    write(tmp_path / "set" / "fine", 12, False, 5)
    places = write(tmp_path / "set" / "bad", 12, True, 6)
    stage = build_stage("filter", "efficientad", {"model": str(trained), "max": 1e9})
    run(Recipe("r", 0, (SourceSpec("folder", str(tmp_path / "set")),), (stage,)), tmp_path / "out")
    found = list(rows(tmp_path / "out").values())
    bad = [row["label"] == "bad" for row in found]
    assert roc_auc_score(bad, [dict(row["scores"])["efficientad"] for row in found]) >= 0.98
    detector = AnomalyDetector(find_model(str(trained), "anomaly"), "cpu")
    near = []
    for number, (y, x) in enumerate(places):
        picture = Image.open(tmp_path / "set" / "bad" / f"{number:02d}.png").convert("RGB")
        heat = detector.maps(detector.preprocessing.resize_and_crop(picture)[None])[0]
        peak = np.array(np.unravel_index(heat.argmax(), heat.shape)) * 4 + 16
        near.append(np.abs(peak - (y, x)).max() <= 24)
    assert np.mean(near) >= 0.9


def test_the_scales_are_those_of_held_out_good_images(trained):
    model = read_model(trained)
    assert model.facts["held-out"] >= 1 and model.facts["architecture"] == "pdn-s"
    scales = model.weights["scales"]
    assert (scales[:, 1] > scales[:, 0]).all() and (scales > 0).all()
    assert model.weights["std"].min() > 0 and model.weights["std"].ne(1).any()


def test_the_losses_of_both_phases_fall(trained):
    import json

    history = json.loads((trained / "model.json").read_text())["history"]["losses"]
    first = [row["distilling"] for row in history if "distilling" in row]
    second = [row["student"] for row in history if "student" in row]
    assert len(first) == 15 and len(second) == 35
    assert first[-1] < 0.7 * first[0] and second[-1] < 0.5 * second[0]
    assert "penalty" not in history[-1]


def test_a_batch_of_one_and_of_many_give_the_same_map(trained):
    detector = AnomalyDetector(find_model(str(trained), "anomaly"), "cpu")
    pictures = [Image.fromarray(product(np.random.default_rng(n), False)[0]) for n in range(10)]
    whole = detector.embed_images(pictures)
    assert whole.shape == (10, 16)
    assert np.allclose(whole[7:8], detector.embed_images(pictures[7:8]), atol=1e-5)


def test_pooling_keeps_the_largest_value_and_brightness_has_its_half_at_a_tenth():
    maps = np.random.default_rng(0).normal(size=(3, 7, 7)).astype(np.float32)
    small = pooled(maps)
    assert small.shape == (3, 4, 4) and np.isfinite(small).all()
    assert np.array_equal(small.max(axis=(1, 2)), maps.max(axis=(1, 2)))
    assert brightness(np.array([-1.0, 0.0, 0.1, 1e9])).tolist() == pytest.approx([0, 0, 0.5, 1])


def test_places_are_the_middles_of_what_is_seen():
    places = places_of(256)
    assert places.shape == (1, 56, 56, 2)
    assert places[0, 0, 0].tolist() == pytest.approx([2 * 16.5 / 256 - 1] * 2)
    assert torch.allclose(places[0, :, :, 0], places[0, :, :, 1].T)


def test_jitter_changes_one_thing_and_crops_stay_in_the_picture():
    random = np.random.default_rng(0)
    picture = np.full((20, 20, 3), (100, 50, 200), np.uint8)
    for _ in range(20):
        changed = jittered(picture, random).astype(int)
        assert np.abs(changed - picture).max() <= 0.2 * 200 + 1
    assert random_crop(picture, 64, random).shape == (64, 64, 3)


def test_roles_by_class_leave_evaluation_images_alone():
    ledger = Ledger(["good", "other", "bad"])
    splits = {"good": [None] * 9 + ["test"], "other": [None] * 3, "bad": [None]}
    ledger.extend(
        Sample(id=f"{label}{n}", label=label, split=split)
        for label, each in splits.items()
        for n, split in enumerate(each)
    )
    roles = build_stage("train", "efficientad", {"good": "good", "other": "other"}).roles(ledger)
    named = {role: {ledger.column("label", rows)[0] for _ in range(1)} for role, rows in roles.items()}
    assert named == {"good": {"good"}, "held-out": {"good"}, "other": {"other"}}
    assert len(roles["good"]) + len(roles["held-out"]) == 9 and len(roles["other"]) == 3
    assert not set(roles["good"]) & set(roles["held-out"])
    with pytest.raises(RecipeError, match="2 or more good images are needed, there are 1"):
        build_stage("train", "efficientad", {"good": "bad"}).roles(ledger)


def test_other_images_bring_the_penalty(tmp_path, tiny_clip):
    write(tmp_path / "set" / "good", 6, False, 0)
    write(tmp_path / "set" / "other", 4, True, 1)
    options = {**TINY, "steps": 20, "good": "good", "other": "other", "features": str(tiny_clip)}
    stage = build_stage("train", "efficientad", options)
    recipe = Recipe("r", 0, (SourceSpec("folder", str(tmp_path / "set")),), (stage,))
    made = train_alone(recipe, tmp_path / "model", device="cpu")
    assert made["history"]["losses"][-1]["penalty"] > 0
    assert made["data"]["other"]["images"] == 4


def test_on_the_command_line_the_roles_are_sources(tmp_path, tiny_clip):
    from augforge.stages.catalog import stage_class

    cls = stage_class("train", "efficientad")
    assert cls.sources_from({"good": ["a"], "other": ["b"]}) == [("a", {"class": "good"}), ("b", {"class": "other"})]
    with pytest.raises(RecipeError, match="--good is missing"):
        cls.sources_from({"good": [], "other": ["b"]})
    ledger = Ledger(["good", "other"])
    ledger.extend(Sample(id=f"{n}", label="other" if n > 5 else "good") for n in range(9))
    roles = build_stage("train", "efficientad", {}).roles(ledger)
    assert len(roles["other"]) == 3 and len(roles["good"]) + len(roles["held-out"]) == 6


def test_a_map_lies_over_the_middles_of_what_its_places_see():
    from augforge.models.anomaly import laid_over

    heat = np.zeros((8, 8), np.float32)
    heat[2, 5] = 1.0
    levels = np.asarray(laid_over(heat, 64, 64))
    middles = (places_of(64)[0, 2, 5].numpy() + 1) * 32  # x, y
    y, x = (float((levels.sum(axis=1 - axis) * (np.arange(64) + 0.5)).sum() / levels.sum()) for axis in (0, 1))
    assert (x, y) == pytest.approx(tuple(middles), abs=1)
    stretched = (np.array([5, 2]) + 0.5) * 64 / 8  # over all of the picture: elsewhere
    assert np.abs(stretched - middles).max() > 6
