"""`augforge evaluate --task multi-label` and `soft-label`: measures from known answers, and all of it together."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.stats import entropy
from sklearn.metrics import f1_score

from augforge.engine.run import run
from augforge.errors import RecipeError, SourceError
from augforge.evaluate.evaluation import evaluate
from augforge.evaluate.settings import settings_of
from augforge.evaluate.tasks.multi_label import macro_f1, precisions_of
from augforge.evaluate.tasks.soft_label import divergence, top_one
from augforge.io import KINDS
from augforge.recipe import Recipe, SourceSpec
from augforge.report.evaluation import read_evaluation
from tests.cli.test_cli import call
from tests.told import KIND, PLACE, write_told

NAMES = ("bird", "cat", "dog")


def test_images_that_are_drawn_twice_count_twice_in_the_precision_of_a_class():
    random = np.random.default_rng(0)
    logits, truth = random.normal(size=(6, 2)).round(1), random.random((6, 2)) < 0.5
    truth[0] = True
    times = np.array([1.0, 2.0, 0.0, 1.0, 3.0, 1.0])
    rows = np.repeat(np.arange(6), times.astype(int))
    repeated = precisions_of(logits[rows], truth[rows], np.ones((1, len(rows))))
    assert precisions_of(logits, truth, times[None])[0].tolist() == pytest.approx(repeated[0].tolist())


def test_macro_f1_is_that_of_scikit_learn_where_every_class_occurs():
    random = np.random.default_rng(1)
    said, truth = random.random((30, 4)) < 0.4, random.random((30, 4)) < 0.5
    assert macro_f1(said, truth) == pytest.approx(f1_score(truth, said, average="macro"))
    assert macro_f1(truth[:, :1], truth[:, :1]) == 1
    nobody = np.zeros((30, 1), dtype=bool)
    assert macro_f1(np.hstack([said, nobody]), np.hstack([truth, nobody])) == macro_f1(said, truth), "not judged"


def test_the_divergence_is_that_of_the_shares_and_zero_for_themselves():
    truth = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]], dtype=np.float32)
    assert divergence(np.log(truth + 1e-30), truth).tolist() == pytest.approx([0, 0], abs=1e-6)
    said = np.array([[0.1, 0.3, 0.6], [0.5, 0.25, 0.25]])
    assert divergence(np.log(said), truth).tolist() == pytest.approx(entropy(truth.T, said.T).tolist(), rel=1e-5)
    assert divergence(np.log(said) + 5, truth)[1] == pytest.approx(np.log(2), rel=1e-5), "logits may be moved"
    wrong_way = entropy(said.T, truth.T + 1e-9)
    assert divergence(np.log(said), truth)[0] != pytest.approx(wrong_way[0], rel=0.05)


def test_any_of_the_most_probable_classes_is_right():
    truth = np.array([[0.4, 0.4, 0.2]] * 3, dtype=np.float32)
    assert top_one(np.eye(3), truth).tolist() == [True, True, False]


def picture(shares: dict[str, float], number: int) -> Image.Image:
    """A band for each class, as bright as its share, on noise."""
    pixels = np.random.default_rng(number).normal(60, 15, (24, 24, 3))
    for place, name in enumerate(NAMES):
        pixels[:, 8 * place : 8 * place + 8, place] += 150 * shares.get(name, 0)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def several(random: np.random.Generator) -> dict[str, float]:
    return {name: 1.0 for name in NAMES if random.random() < 0.5}


def shared(random: np.random.Generator) -> dict[str, float]:
    tenths = random.multinomial(10, random.dirichlet((1.0, 1.0, 1.0)))
    return dict(zip(NAMES, (tenths / 10).tolist(), strict=True))


def said_of(kind: str, shares: dict[str, float]) -> dict:
    if kind == "labels":
        return {"annotations": {"labels": list(shares)}}
    return {"annotations": {"soft_label": shares}}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A run of each kind, and a run to judge by."""
    root, found = tmp_path_factory.mktemp("labels"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(KINDS, KIND, PLACE)
        for kind, drawn in (("labels", several), ("soft_label", shared)):
            for part, first, count in (("train", 0, 24), ("test", 500, 30)):
                random = np.random.default_rng(first)
                shares = [drawn(random) for _ in range(count)]
                source = write_told(root / f"{kind}-{part}", [said_of(kind, one) for one in shares])
                for number, path in enumerate(sorted(source.glob("*.png"))):
                    picture(shares[number], first + number).save(path)
                run(Recipe("r", 1, (SourceSpec(KIND, str(source)),), ()), root / f"{kind}-{part}-run")
                found[f"{kind}-{part}"] = root / f"{kind}-{part}-run"
        yield found


def quick(task: str, **options):
    small = {"learner": "resnet", "size": "16", "steps": "60", "seeds": "2", "batch": "16", "flip": False}
    return settings_of({"task": task, "arms": "real", **small, **options})


def test_several_labels_are_learned(folders):
    options = quick("multi-label")
    record = evaluate(folders["labels-train"], str(folders["labels-test"]), options)
    real = record["arms"][0]
    assert record["score"] == "map" and real["map"]["mean"] > 0.85 and real["macro-f1"]["mean"] > 0.6
    assert np.mean([one["mean"] for one in real["per-class"].values()]) == pytest.approx(real["map"]["mean"])
    assert set(record["classes"]) == set(NAMES) and record["tested"]["images"] == 30
    read = read_evaluation(folders["labels-train"])
    assert read is not None and read.measures == ["map", "macro-f1"]


def test_soft_labels_are_learned_and_the_terminal_shows_nats(folders):
    record = evaluate(folders["soft_label-train"], str(folders["soft_label-test"]), quick("soft-label"))
    untrained = evaluate(
        folders["soft_label-train"], str(folders["soft_label-test"]), quick("soft-label", steps="1"), replace=True
    )
    (real,) = record["arms"]
    read = read_evaluation(folders["soft_label-train"])
    assert read is not None and read.measures == ["top-1", "kl"] and read.counts == untrained["counts"]
    assert real["kl"]["mean"] < untrained["arms"][0]["kl"]["mean"] - 0.05 and real["top-1"]["mean"] > 0.5
    assert sum(record["counts"].values()) == pytest.approx(24, abs=0.02)
    said = call(
        "evaluate", folders["soft_label-train"], "--test", folders["soft_label-test"], "--task", "soft-label",
        "--learner", "resnet", "--size", 16, "--steps", 2, "--seeds", 1, "--batch", 8, "--arms", "real", "--replace",
    ).output  # fmt: skip
    assert "top-1" in said and "KL, nats" in said


@pytest.mark.parametrize(("task", "kind"), [("multi-label", "labels"), ("soft-label", "soft_label")])
def test_a_probe_learns_them_too_and_has_copies_of_its_own(folders, task, kind):
    options = settings_of({"task": task, "arms": "real,real+classical", "seeds": "2", "steps": "100"})
    real, classical = evaluate(folders[f"{kind}-train"], str(folders[f"{kind}-test"]), options, replace=True)["arms"]
    score = "map" if task == "multi-label" else "top-1"
    assert real[score]["mean"] > 0.4 and classical[score]["mean"] > 0.4


def test_the_refusal_names_the_task_to_use(folders):
    for task in ("classification", "retrieval"):
        for kind, name in (("labels", "multi-label"), ("soft_label", "soft-label")):
            options = settings_of({"task": task, "arms": "real"})
            with pytest.raises(RecipeError, match="it needs one class per image") as raised:
                evaluate(folders[f"{kind}-train"], str(folders[f"{kind}-test"]), options, replace=True)
            assert raised.value.hint.startswith(f"use --task {name}; or give each image one class")


def test_what_does_not_fit_is_refused(folders, tmp_path):
    with pytest.raises(RecipeError, match="--loss"):
        quick("multi-label", loss="balanced-softmax")
    with pytest.raises(RecipeError, match="shots"):
        quick("soft-label", shots="2")
    (tmp_path / "fish").mkdir()
    picture({}, 900).save(tmp_path / "fish" / "0.png")
    for task, kind in (("multi-label", "labels"), ("soft-label", "soft_label")):
        with pytest.raises(SourceError, match="images of the class 'fish', which the run does not have"):
            evaluate(folders[f"{kind}-train"], str(tmp_path), quick(task), replace=True)
