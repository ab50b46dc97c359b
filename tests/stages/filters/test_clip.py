"""The three CLIP measures on hand-made vectors, and on a real open_clip model through the engine."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.models import find_model
from augforge.models.image_text import ImageText
from augforge.recipe import Recipe, SourceSpec
from augforge.stages.filter_inputs import mean_directions
from augforge.stages.filters.clip import Clip
from tests.stages.filters.galleries import X, Y, Z, inputs

NONE = np.full(3, np.nan, dtype=np.float32)


def compare(images, classes, prompts, real, theirs):
    names = "abcdefgh"[: len(prompts)]
    texts = {f"a photo of a {name}": prompt for name, prompt in zip(names, prompts, strict=True)}
    return Clip().compare(inputs(images, classes, names, texts=texts, reference=(real, theirs, list("uvwxyz"))))


def test_known_similarities():
    between = (X + Y) / np.sqrt(2, dtype=np.float32)
    scores = compare([X, Y, between], [0, 0, 1], [X, Y], [X, X, Y], [0, 1, 1])
    assert scores["clip-prompt"] == pytest.approx([1, 0, 0.5**0.5])
    assert scores["clip-margin"] == pytest.approx([1, -1, 0], abs=1e-6)
    assert scores["clip-prototype"] == pytest.approx([1, 0, 1])


def test_the_margin_is_to_the_best_other_class_not_to_the_mean():
    scores = compare([X], [0], [X, X, Y], [X], [0])
    assert scores["clip-margin"] == pytest.approx([0])  # to the mean it would be 0.5


def test_what_cannot_be_said_is_nan():
    scores = compare([X, X], [-1, 0], [X], [NONE], [0])
    assert np.isnan(scores["clip-prompt"]).tolist() == [True, False]
    assert np.isnan(scores["clip-margin"]).all() and np.isnan(scores["clip-prototype"]).all()


def test_a_prototype_is_the_mean_direction_of_its_class():
    vectors = np.stack([X, Y, Z, NONE, X])
    means = mean_directions(vectors, np.array([0, 0, 1, 1, -1]), 3, 3)
    assert means[0] == pytest.approx((X + Y) / 2**0.5) and (means[1] == Z).all() and np.isnan(means[2]).all()


def test_an_embedding_does_not_depend_on_how_many_are_asked_for(tiny_clip):
    from PIL import Image

    model = ImageText(find_model(str(tiny_clip), "image-text"), "cpu")
    images = [
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (32, 32, 3), dtype=np.uint8)) for i in range(70)
    ]
    many = model.embed_images(images)
    assert (model.embed_images(images[:1])[0] == many[0]).all() and (
        model.embed_images(images[66:])[0] == many[66]
    ).all()
    assert np.linalg.norm(many, axis=1) == pytest.approx(np.ones(70), abs=1e-5)


def test_a_planted_wrong_image_is_dropped(tmp_path, monkeypatch):
    """The filter is our own design: it has to find planted errors."""
    from sklearn.datasets import load_digits

    from augforge.engine.run import run
    from tests.test_laws import rows

    digits = load_digits()
    for label in ("0", "1", "7"):
        (tmp_path / "set" / label).mkdir(parents=True)
        for place in np.flatnonzero(digits.target == int(label))[:20]:
            save_digit(digits.images[place], tmp_path / "set" / label / f"{place:04d}.png")
    planted = np.flatnonzero(digits.target == 4)[:3]
    for place in planted:
        save_digit(digits.images[place], tmp_path / "set" / "0" / f"wrong-{place:04d}.png")
    recipe = Recipe("planted", 0, (SourceSpec("folder", str(tmp_path / "set")),), (Clip(keep=20 / 23),))
    run(recipe, tmp_path / "out")
    dropped = [row["source"] for row in rows(tmp_path / "out").values() if not row["kept"] and row["label"] == "0"]
    assert len(dropped) == 3 and sum("wrong" in name for name in dropped) >= 2


def save_digit(values, path):
    from PIL import Image

    small = np.rint(values * 255 / 16).astype(np.uint8)
    Image.fromarray(small).resize((32, 32), Image.Resampling.BICUBIC).save(path)


@pytest.mark.parametrize(("classes", "gone"), [([100, 57], [10, 6]), ([157], [16])])
def test_the_gentle_cut_of_a_tenth_drops_exactly_the_lowest_tenth(classes, gone):
    scores = np.random.default_rng(0).permutation(157).astype(float)
    groups = np.repeat(np.arange(len(classes)), classes)
    stays, _ = Clip(keep=0.9).rule().apply(scores, np.arange(157), groups, "its class")
    for number, count in enumerate(gone):
        mine = groups == number
        assert sorted(scores[mine & ~stays]) == sorted(scores[mine])[:count]
