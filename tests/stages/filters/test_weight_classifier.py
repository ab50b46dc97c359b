import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from augforge.cli.render.life import show_life
from augforge.data.stage_facts import read_facts
from augforge.engine.run import run
from augforge.errors import RecipeError
from augforge.models import find_model
from augforge.models.loading import load_classifier
from augforge.models.views import VIEWS, ClassifierOfViews, view_of
from augforge.provenance.lineage import lineage_of
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.filter_inputs import HeldOut
from augforge.stages.filters.weight_classifier import WeightClassifier
from tests.conftest import write_images
from tests.stages.filters.galleries import inputs

HALF = np.log([[0.5, 0.25, 0.25]])
SURE = np.log([[0.8, 0.1, 0.1]])


def logits(*views):
    """(1, 15) logits of an image from those of its views, the last of which is repeated."""
    return np.concatenate([*views, *[views[-1]] * (5 - len(views))], axis=1).astype(np.float32)[0]


def weigh(stage, images, classes, families, **given):
    gallery = inputs(images, classes, "abc", known=["a", "b", "c"], families=np.array(families), **given)
    return stage.compare(gallery), gallery


def test_with_one_view_and_a_temperature_of_one_it_is_the_plain_probability():
    stage = WeightClassifier(model="m", views=1, temperature=1)
    found, _ = weigh(stage, [logits(HALF, SURE), logits(SURE, HALF), logits(HALF)], [0, 0, 1], [0, 0, 1])
    assert found["weight-classifier-probability"] == pytest.approx([0.5, 0.8, 0.25])
    assert found["weight-classifier"] == pytest.approx([2 * 0.5 / 1.3, 2 * 0.8 / 1.3, 1])


def test_probabilities_are_averaged_and_not_logits():
    found, _ = weigh(WeightClassifier(model="m", views=2, temperature=1), [logits(HALF, SURE)], [0], [0])
    assert found["weight-classifier-probability"] == pytest.approx([0.65])
    mixed = np.exp((HALF + SURE) / 2)[0]
    assert mixed[0] / mixed.sum() != pytest.approx(0.65, abs=1e-3)
    found, _ = weigh(WeightClassifier(model="m", temperature=1), [logits(HALF, SURE)], [0], [0])
    assert found["weight-classifier-probability"] == pytest.approx([(0.5 + 4 * 0.8) / 5])


def test_the_temperature_is_that_of_the_held_out_images_as_they_are():
    certain = np.array([[4.0, 0.0, -50.0]])
    vectors = np.stack([logits(certain, HALF)] * 10)
    held_out = HeldOut(vectors, ["a"] * 8 + ["b"] * 2, "the images of split validation")
    stage = WeightClassifier(model="m", views=1)
    found, gallery = weigh(stage, [logits(certain)], [0], [0], held_out=held_out)
    assert found["weight-classifier-probability"] == pytest.approx([0.8], abs=1e-6)
    told = f"temperature {4 / np.log(4):.3f}, by 10 of the images of split validation"
    assert stage.remark(gallery) == told
    facts = stage.facts(gallery)
    assert facts.pop("temperature") == pytest.approx(4 / np.log(4), abs=1e-4)
    assert facts == {"temperature by": "10 of the images of split validation", "views": 1}


def test_a_class_that_the_classifier_does_not_know_has_no_weight_and_nothing_to_set_a_temperature_by():
    stage = WeightClassifier(model="m", temperature=1)
    gallery = inputs([logits(HALF)] * 2, [0, 1], "ax", known=["a", "b", "c"], families=np.zeros(2, dtype=int))
    found = stage.compare(gallery)["weight-classifier"]
    assert found[0] == pytest.approx(1) and np.isnan(found[1])
    assert stage.explain(gallery, found) == [None, "the classifier does not know its class"]
    held_out = HeldOut(np.stack([logits(HALF)]), ["x"], "the rest")
    with pytest.raises(RecipeError, match="knows no class of the rest"):
        weigh(WeightClassifier(model="m"), [logits(HALF)], [0], [0], held_out=held_out)


def test_views_are_the_image_its_mirror_image_and_crops():
    pixels = np.arange(20 * 40 * 3, dtype=np.uint32).reshape(20, 40, 3).astype(np.uint8)
    image = Image.fromarray(pixels)
    shown = [np.asarray(view_of(image, number)) for number in range(5)]
    np.testing.assert_array_equal(shown[0], pixels)
    np.testing.assert_array_equal(shown[1], pixels[:, ::-1])
    np.testing.assert_array_equal(shown[2], pixels[:18, :36])
    np.testing.assert_array_equal(shown[3], pixels[2:, 4:][:, ::-1])
    np.testing.assert_array_equal(shown[4], pixels[1:19, 2:38])
    assert len(VIEWS) == 5 and view_of(Image.new("RGB", (1, 1)), 3).size == (1, 1)


def test_a_run_weights_as_by_hand_and_again_computes_nothing(tiny_models, tmp_path, capsys):
    model = tiny_models["classification"]
    source = (SourceSpec("folder", str(write_images(tmp_path / "pictures", {"cat": 3, "dog": 3}, seed=5))),)
    made = build_stage("generate", "randaugment", {"per-class": 6})
    stage = build_stage("filter", "weight-classifier", {"model": model, "temperature": 2})
    recipe = Recipe("x", 1, source, (made, stage))
    run(recipe, tmp_path / "out", device="cpu")
    assert run(recipe, tmp_path / "out", device="cpu").up_to_date
    rows = [r for r in pq.read_table(tmp_path / "out" / "samples.parquet").to_pylist() if r["origin"] == "synthetic"]
    families = {}
    for row in rows:
        families.setdefault(tuple(row["parents"]), []).append(row["weight"])
    assert sum(map(len, families.values())) == len(rows) == 12
    for weights in families.values():
        assert sum(weights) == pytest.approx(len(weights))
    facts, line = {"temperature": 2.0, "temperature by": "the recipe", "views": 5}, "temperature 2, temperature by the"
    assert read_facts(tmp_path / "out") == {"2-filter-weight-classifier": facts}
    assert f"- 2-filter-weight-classifier: {line} recipe, views 5\n" in (tmp_path / "out" / "README.md").read_text()
    life = lineage_of(tmp_path / "out", rows[0]["id"])
    assert life.row["judged"] == {"2-filter-weight-classifier": facts}
    assert life.parents[0].row["judged"] == {}
    show_life(life, False)
    assert f"judged by 2-filter-weight-classifier: {line}" in " ".join(capsys.readouterr().out.split())
    assert "facts.json" in json.loads((tmp_path / "out" / "run.json").read_text())["files"]
    run(Recipe("x", 1, source, (made,)), tmp_path / "out", device="cpu", replace=True)
    assert read_facts(tmp_path / "out") == {} and not (tmp_path / "out" / "facts.json").exists()


def test_the_logits_of_views_are_those_of_the_classifier(tiny_models):
    row = find_model(tiny_models["classification"], "classification")
    images = [Image.fromarray(np.random.default_rng(n).integers(0, 255, (40, 30, 3), dtype=np.uint8)) for n in range(3)]
    plain = load_classifier(row, "cpu")
    found = ClassifierOfViews(row, "cpu").embed_images(images)
    width = len(plain.classes)
    assert found.shape == (3, 5 * width)
    for number in range(5):
        expected = plain.embed_images([view_of(image, number) for image in images])
        np.testing.assert_allclose(found[:, number * width : (number + 1) * width], expected, atol=1e-5)
