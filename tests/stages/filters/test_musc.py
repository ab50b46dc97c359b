"""MuSc as a filter: who is compared with whom, and a planted defect in real runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augforge.algorithms.musc import rescored
from augforge.engine.run import run
from augforge.errors import RecipeError
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.filters.musc import Musc
from tests.stages.filters.galleries import directions, inputs
from tests.test_laws import NoModels, rows


def compared(images, classes, real, theirs, ids=None, **options):
    """The scores, and the calls of `mutual`: raw scores are numbers that the ids hold."""
    asked = []

    def mutual(these, others):
        asked.append((list(these), list(others)))
        return np.array([float(int(i[1:])) if i[0] == "r" else 50.0 for i in these])

    shown = inputs(images, classes, reference=(real, theirs, [f"r{i:03d}" for i in range(len(real))]), ids=ids,
                   mutual=mutual)  # fmt: skip
    return Musc(**options).compare(shown)["musc"], asked


def test_an_image_is_compared_with_the_real_ones_of_its_class_alone():
    real = directions(9)
    found, asked = compared(directions(4, seed=3), [0, 1, 0, -1], real, np.arange(9) % 2)
    assert np.isnan(found[3]) and np.isfinite(found[:3]).all()
    assert [set(others) for _, others in asked] == [{f"r{i:03d}" for i in range(9) if i % 2 == n} for n in (0, 0, 1, 1)]


def test_the_reference_is_bounded_and_does_not_depend_on_what_is_judged():
    real = directions(30)
    _, asked = compared(directions(2, seed=3), [0, 0], real, [0] * 30, reference=5)
    _, again = compared(directions(9, seed=4), [0] * 9, real, [0] * 30, reference=5)
    assert len(asked[0][1]) == 5 and asked[0][1] == again[0][1]


def test_similar_real_images_have_a_say_and_itself_only_once():
    real = directions(6)
    ids = ["r002", "x"]
    images = np.stack([real[2], directions(1, seed=8)[0]])
    found, _ = compared(images, [0, 0], real, [0] * 6, ids=ids)
    similar = (images @ real.T).astype(np.float64)
    similar[0, 2] = -np.inf
    assert found == pytest.approx(rescored(np.array([2.0, 50.0]), similar, np.arange(6.0)))
    twice = rescored(np.array([2.0, 50.0]), (images @ real.T).astype(np.float64), np.arange(6.0))
    assert abs(found[0] - twice[0]) > 1e-3  # with itself as its own neighbour


def test_even_sides_are_refused():
    with pytest.raises(RecipeError, match="odd numbers"):
        build_stage("filter", "musc", {"sides": [2]})


def textured(random: np.random.Generator) -> np.ndarray:
    """A product: the same stripes every time, with a little noise."""
    stripes = 90 + 60 * np.sin(np.arange(64) / 3)[:, None, None] * np.ones((64, 64, 3))
    return (stripes + random.normal(0, 4, (64, 64, 3))).clip(0, 255)


@pytest.fixture
def products(tmp_path: Path) -> Path:
    """20 good products to learn from, and of the test images 8 with a scratch of 8 px and 8 without."""
    random = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 16)):
        (tmp_path / "set" / split / "good").mkdir(parents=True)
        for number in range(count):
            picture = textured(random)
            bad = split == "test" and number % 2
            if bad:
                y, x = random.integers(4, 52, 2)
                picture[y : y + 8, x : x + 8] = (220, 40, 40)
            name = f"{'bad' if bad else 'fine'}-{number:02d}.png"
            Image.fromarray(picture.astype(np.uint8)).save(tmp_path / "set" / split / "good" / name)
    return tmp_path / "set"


def scored(source: Path, out: Path, **options):
    stage = build_stage("filter", "musc", {"keep": 1.0, **options})
    run(Recipe("r", 0, (SourceSpec("folder", str(source)),), (stage,)), out)
    return {row["source"].split(": ")[-1]: dict(row["scores"])["musc"] for row in rows(out).values()}


def test_planted_defects_score_above_everything_else(products, tmp_path):
    found = scored(products, tmp_path / "out")
    bad = [score for name, score in found.items() if "bad" in name]
    fine = [score for name, score in found.items() if "fine" in name]
    assert len(bad) == 8 and min(bad) > 2 * max(fine)
    assert min(fine) >= 0


def test_evaluation_images_have_no_say_in_each_others_scores(products, tmp_path):
    whole = scored(products, tmp_path / "out")
    for path in sorted((products / "test" / "good").glob("bad-*"))[:4]:
        path.unlink()
    fewer = scored(products, tmp_path / "fewer")
    assert len(fewer) == 32
    assert all(whole[name] == pytest.approx(score, abs=1e-4) for name, score in fewer.items())


def test_another_rule_and_other_neighbourhoods_of_images_measure_nothing(products, tmp_path):
    scored(products, tmp_path / "out")
    stage = build_stage("filter", "musc", {"max": 2.0, "similar": [1]})
    summary = run(
        Recipe("r", 0, (SourceSpec("folder", str(products)),), (stage,)), tmp_path / "out", progress=NoModels()
    )
    assert summary.computed == 0 and summary.dropped == 8
