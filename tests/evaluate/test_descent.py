"""Leaks at second hand are refused: children of test images, and what models judged that were trained on some."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value

from augforge.data.files import SEAL
from augforge.data.ids import key
from augforge.engine.run import run
from augforge.engine.runners.train import train_alone
from augforge.errors import AugforgeError
from augforge.evaluate.evaluation import evaluate
from augforge.models.directory import DIGITS, trained_on
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.stage import Stage
from tests.evaluate.test_evaluate import CLASSES, picture, quick, write_test

EACH = 6


def save_ours(folder: Path, grandchildren: bool = False) -> Path:
    """Of each class one real image to train on and one of the test set, and children of both, as a dataset of ours.

    Every second child is of the test image; with `grandchildren` it is a child of a child that is not in the dataset.
    """
    rows: dict[str, list] = {name: [] for name in ("image", "label", "id", "origin", "provenance")}

    def add(label: int, number: int, identity: str, made: dict | None) -> None:
        rows["image"].append(picture(label, number))
        rows["label"].append(label)
        rows["id"].append(identity)
        rows["origin"].append("synthetic" if made else "real")
        rows["provenance"].append(json.dumps(made or {"source": f"pictures: {identity[:4]}.png"}))

    for label in range(3):
        add(label, 100, key("train", label), None)
        add(label, 5000, key("test", label), None)
        for number in range(EACH):
            parent = key("test" if number % 2 else "train", label)
            if grandchildren and number == 0:
                parent = key("child", label, 1)
            made = {"stage": "1-generate-text2img", "parents": [{"id": parent}]}
            add(label, 200 + number, key("child", label, number), made)
    features = Features(
        {"image": Image(), "label": ClassLabel(names=CLASSES), "id": Value("string"), "origin": Value("string"),
         "provenance": Value("string")}
    )  # fmt: skip
    Dataset.from_dict(rows, features=features).save_to_disk(str(folder))
    return folder


def run_on(source: Path, out: Path, kind: str, *stages: Stage) -> Path:
    run(Recipe("r", 1, (SourceSpec(kind, str(source)),), stages), out, device="cpu")
    return out


@pytest.fixture(scope="module")
def test_set(tmp_path_factory) -> Path:
    return write_test(tmp_path_factory.mktemp("descent") / "test")


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory, test_set) -> Path:
    """What the recommended remedy against leaks leaves: no test image, and all of their children."""
    root = tmp_path_factory.mktemp("cleaned")
    remedy = build_stage("filter", "duplicates", {"against": str(test_set), "by": "exact"})
    out = run_on(save_ours(root / "ours"), root / "run", "dataset", remedy)
    assert len(json.loads((out / "run.json").read_text())) > 0
    return out


def test_children_of_test_images_are_refused(cleaned, test_set):
    with pytest.raises(AugforgeError) as caught:
        evaluate(cleaned, str(test_set), quick())
    assert f"{3 * EACH // 2} of {3 * EACH + 3} images to train on were made of images of the test set" in str(
        caught.value
    )
    assert f"is made of pictures: {key('test', 0)[:4]}.png" in str(caught.value)
    assert "generate them again" in caught.value.hint


def test_grandchildren_too(tmp_path, test_set):
    remedy = build_stage("filter", "duplicates", {"against": str(test_set), "by": "exact"})
    out = run_on(save_ours(tmp_path / "ours", grandchildren=True), tmp_path / "run", "dataset", remedy)
    with pytest.raises(AugforgeError, match=rf"{3 * (EACH // 2 + 1)} of {3 * EACH + 3} images to train on were made"):
        evaluate(out, str(test_set), quick())


@pytest.mark.parametrize("way", ["run", "dataset"])
def test_over_a_chain_of_runs(cleaned, tmp_path, test_set, way):
    """As a source, a run folder brings the rows of its ledger; its dataset lacks what was dropped."""
    source = cleaned if way == "run" else cleaned / "dataset"
    again = run_on(source, tmp_path / "again", way, build_stage("filter", "sharpness", {"keep": 1.0}))
    with pytest.raises(AugforgeError, match=rf"{3 * EACH // 2} of .* were made of images of the test set"):
        evaluate(again, str(test_set), quick())


def test_an_ancestor_that_was_saved_again_is_found(cleaned, tmp_path, test_set):
    other = Path(shutil.copytree(test_set, tmp_path / "other"))
    for label, name in enumerate(CLASSES):
        (other / name / "0.png").unlink()
        picture(label, 5000).save(other / name / "0.jpg", quality=92)
    with pytest.raises(AugforgeError, match="were made of images of the test set"):
        evaluate(cleaned, str(other), quick())


def test_another_test_set_is_judged_by(cleaned, tmp_path):
    other = write_test(tmp_path / "test", first=7000)
    assert evaluate(cleaned, str(other), quick(seeds="1"))["arms"]


@pytest.fixture(scope="module")
def model(tmp_path_factory, test_set) -> Path:
    out = tmp_path_factory.mktemp("model") / "probe"
    spec = SourceSpec("folder", str(test_set), {"splits": False})
    train_alone(Recipe("m", 1, (spec,), (build_stage("train", "classifier", {"steps": 5, "as": "probe"}),)), out)
    return out


def test_a_model_says_what_it_was_trained_on(model, tmp_path):
    known = trained_on(model)
    data = json.loads((model / "model.json").read_text())["data"]
    assert known is not None and len(known) == data["train"]["images"] and {len(digest) for digest in known} == {DIGITS}
    assert data["held-out"]["images"] == 180 - len(known) > 0 and "digests" not in data["held-out"]
    assert trained_on(tmp_path) == frozenset()
    older = Path(shutil.copytree(model, tmp_path / "older"))
    record = json.loads((older / "model.json").read_text())
    for role in record["data"].values():
        role.pop("digests", None)
    (older / "model.json").write_text(json.dumps({k: v for k, v in record.items() if k != SEAL}))
    assert trained_on(older) is None


@pytest.mark.parametrize(
    ("verb", "name", "options", "word"),
    [
        ("filter", "classifier", {"keep": 0.5, "on": "real"}, "judged"),
        ("pseudo-label", "confidence", {"min-confidence": 0.0}, "labelled"),
        ("select", "max-loss", {"share": 0.5, "on": "real"}, "chosen"),
    ],
)
def test_what_a_model_of_test_images_did_is_refused(tmp_path, test_set, model, verb, name, options, word):
    train = write_test(tmp_path / "pictures", first=100)
    for file in (*train.glob("*/[1-5]?.png"), *train.glob("*/[3-9].png")):
        file.unlink()
    if verb == "pseudo-label":
        for number in range(3):
            picture(number, 300).save(train / f"{number}.png")
    stage = build_stage(verb, name, {"model": str(model), **options})
    out = run_on(train, tmp_path / "run", "folder", stage)
    with pytest.raises(
        AugforgeError, match=rf"images to train on were {word} .*{len(trained_on(model) or ())} images of the test set"
    ) as caught:
        evaluate(out, str(test_set), quick(arms="real"))
    assert "train the model without them" in caught.value.hint
    assert evaluate(out, str(write_test(tmp_path / "other", first=7000)), quick(arms="real", seeds="1"))["arms"]
