"""`augforge evaluate` from end to end: what helps, what harms, what leaks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value
from PIL import Image as Pictures

from augforge.cli.render.evaluation import said_of_test
from augforge.data.ids import key
from augforge.data.record import ledger_digest
from augforge.data.store import Store
from augforge.engine.run import run
from augforge.errors import AugforgeError, RecipeError, SourceError
from augforge.evaluate.evaluation import evaluate
from augforge.evaluate.heldout import read_shifts
from augforge.evaluate.settings import settings_of
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.cli.test_cli import call
from tests.conftest import write_images

CLASSES = ["blue", "green", "red"]


def quick(**options):
    return settings_of({"steps": "60", "seeds": "3", "metrics": False, **options})


def picture(label: int, number: int) -> Pictures.Image:
    """A hardly tinted random picture: the classes overlap."""
    random = np.random.default_rng([label, number])
    small = random.uniform(0, 200, (4, 4, 3)) + np.eye(3)[label] * 45
    return Pictures.fromarray(small.astype(np.uint8)).resize((32, 32), Pictures.Resampling.BICUBIC)


def write_test(folder: Path, first: int = 5000, drawn=picture) -> Path:
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(60):
            drawn(label, first + number).save(folder / name / f"{number}.png")
    return folder


def write_run(folder: Path, shift: int, drawn=picture) -> Path:
    """A run over a dataset of ours: one real image of each class, and forty synthetic ones of class + `shift`."""
    rows: dict[str, list] = {name: [] for name in ("image", "label", "id", "origin", "provenance")}
    for label in range(3):
        for number in range(41):
            made = number >= 1
            rows["image"].append(drawn((label + shift) % 3 if made else label, 100 + number + 50 * made))
            rows["label"].append(label)
            rows["id"].append(key(label, number))
            rows["origin"].append("synthetic" if made else "real")
            rows["provenance"].append(json.dumps({"stage": "1-generate-text2img"} if made else {"source": "x"}))
    features = Features(
        {"image": Image(), "label": ClassLabel(names=CLASSES), "id": Value("string"), "origin": Value("string"),
         "provenance": Value("string")}
    )  # fmt: skip
    Dataset.from_dict(rows, features=features).save_to_disk(str(folder / "source"))
    stage = build_stage("filter", "sharpness", {"on": "synthetic", "keep": 0.5})
    run(Recipe("r", 1, (SourceSpec("dataset", str(folder / "source")),), (stage,)), folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("evaluate")
    runs = {name: write_run(root / name, shift) for name, shift in (("good", 0), ("bad", 1))}
    return {**runs, "test": write_test(root / "test")}


def verdicts(record) -> dict[str, str]:
    return {arm["name"]: arm["difference"]["verdict"] for arm in record["arms"][1:]}


def test_images_that_help_are_called_better_and_the_file_has_every_field(folders):
    record = evaluate(folders["good"], str(folders["test"]), quick())
    assert record == json.loads((folders["good"] / "evaluation.json").read_text())
    assert {"format", "test", "learner", "seeds", "classes", "counts", "arms", "metrics"} <= set(record)
    assert [arm["name"] for arm in record["arms"]] == ["real", "real+classical", "real+synthetic", "real+kept"]
    assert [arm["images"] for arm in record["arms"]] == [3, 3, 123, 63]
    assert record["samples-sha256"] == ledger_digest(folders["good"])
    assert record["counts"] == dict.fromkeys(CLASSES, 1) and record["arms"][0]["difference"] is None
    for arm in record["arms"]:
        assert set(arm["accuracy"]) == {"mean", "low", "high", "seeds"} and len(arm["accuracy"]["seeds"]) == 3
        assert list(arm["per-class"]) == record["classes"]
        each = [arm["per-class"][label]["mean"] for label in CLASSES]
        assert arm["accuracy"]["mean"] == pytest.approx(np.mean(each))  # the test classes are of one size
    assert verdicts(record)["real+synthetic"] == "better"


def test_images_that_harm_are_called_worse(folders):
    record = evaluate(folders["bad"], str(folders["test"]), quick(arms="real,real+synthetic"))
    assert verdicts(record) == {"real+synthetic": "worse"}
    assert record["arms"][1]["difference"]["high"] < 0


def test_a_second_time_gives_the_same_numbers(folders):
    settings = quick(seeds="2", arms="real,real+classical")
    one, other = (evaluate(folders["good"], str(folders["test"]), settings) for _ in range(2))
    assert one == other


def test_the_terminal_says_it_plainly(folders):
    told = call(
        "evaluate", folders["bad"], "--test", folders["test"], "--steps", 60, "--seeds", 3, "--no-metrics",
        "--arms", "real,real+synthetic",
    ).stdout  # fmt: skip
    assert "WORSE than real images alone by" in told and "do not add these images" in told
    tested = json.loads((folders["bad"] / "evaluation.json").read_text())["tested"]
    assert f"judged by {tested['images']} images of " in told.replace("\n", " ") and "one image more or less" in told
    assert "their 95 % interval" in told and ", -" in told
    told = call(
        "evaluate", folders["good"], "--test", folders["test"], "--steps", 60, "--seeds", 1, "--no-metrics", "--json"
    ).stdout
    assert json.loads(told)["arms"][0]["accuracy"]["low"] is None


def test_the_terminal_has_one_table_of_arms_and_one_of_measures(folders):
    told = call("evaluate", folders["good"], "--test", folders["test"], "--steps", 60, "--seeds", 2).stdout
    heads = [line for line in told.splitlines() if line.startswith(("arm ", "of the generated images"))]
    assert len(heads) == 2 and "real+kept" in heads[1] and heads[1].rstrip().endswith("test images")
    assert max(map(len, told.splitlines()[:5])) <= 80 and len(told.splitlines()) < 25 and "yield red" not in told
    record = json.loads((folders["good"] / "evaluation.json").read_text())
    assert "yield red" in record["metrics"] and "±" not in told
    (row,) = (line.split() for line in told.splitlines() if line.startswith("class-agreement"))
    names = ("class-agreement of real+synthetic", "class-agreement", "class-agreement of test images")
    assert [float(cell) for cell in row[1:]] == pytest.approx([record["metrics"][n] for n in names], rel=1e-3)


def test_so_few_test_images_that_they_say_nothing_are_warned_of():
    record = {"tested": {"images": 3, "splits": {}}, "test": "three"}
    assert said_of_test(record).endswith("3 test images say nothing of a difference: judge by 30 or more.")
    assert "nothing" not in said_of_test({**record, "tested": {"images": 30, "splits": {}}})


@pytest.mark.parametrize("how", ["exact", "saved again"])
def test_an_image_of_the_test_set_is_refused_by_name(folders, tmp_path, how):
    leaking = tmp_path / "test"
    shutil.copytree(folders["test"], leaking)
    for file in (leaking / "red").glob("?.png"):
        file.unlink()
    options = {} if how == "exact" else {"format": "JPEG", "quality": 92}
    picture(2, 100).save(leaking / "red" / "leak.png", **options)
    with pytest.raises(AugforgeError, match=r"1 of 123 images to train on are in the test set .*leak\.png") as error:
        evaluate(folders["good"], str(leaking), quick())
    assert "filter duplicates" in error.value.hint and "--against" in error.value.hint


def test_a_class_that_the_run_does_not_have_is_refused(folders, tmp_path):
    test = write_images(tmp_path / "test", {"redd": 2})
    with pytest.raises(SourceError, match="'redd', which the run does not have") as error:
        evaluate(folders["good"], str(test), quick())
    assert error.value.hint == "did you mean 'red'?"


def test_shift_sets_are_judged_by_family(folders, tmp_path):
    shifts = tmp_path / "shifts"
    rows: dict[str, list] = {name: [] for name in ("image", "label", "id", "origin", "provenance")}
    for number in range(30):
        family = "blur" if number % 2 else "colour"
        label = number % 3
        rows["image"].append(picture(label, 9000 + number))
        rows["label"].append(label if family == "blur" else (label + 1) % 3)  # so that the families differ
        rows["id"].append(key("shift", number))
        rows["origin"].append("synthetic")
        rows["provenance"].append(json.dumps({"stage": "1-generate-shifts", "family": family, "parents": []}))
    features = Features(
        {"image": Image(), "label": ClassLabel(names=CLASSES), "id": Value("string"), "origin": Value("string"),
         "provenance": Value("string")}
    )  # fmt: skip
    Dataset.from_dict(rows, features=features).save_to_disk(str(shifts))
    settings = quick(arms="real,real+synthetic")
    record = evaluate(folders["good"], str(folders["test"]), settings, shifts=str(shifts))
    assert list(record["shifts"]) == ["blur", "colour"]
    assert list(record["shifts"]["blur"]) == [arm["name"] for arm in record["arms"]]
    assert record["shifts"]["blur"]["real+synthetic"] > record["shifts"]["colour"]["real+synthetic"] + 0.2


def test_a_source_without_families_is_no_shift_set(folders, tmp_path):
    with pytest.raises(SourceError, match="no image says of which family"):
        read_shifts(str(folders["test"]), Store(tmp_path), Progress())


def test_the_run_folder_of_generate_shifts_is_a_shift_set_without_its_real_images(folders, tmp_path):
    stage = build_stage("generate", "shifts", {"real-to-synthetic": "1:1"})
    test = SourceSpec("folder", str(folders["test"]), {"splits": False})
    run(Recipe("s", 1, (test,), (stage,)), tmp_path / "shifts", limit=40)
    found = read_shifts(str(tmp_path / "shifts"), Store(tmp_path / "store"), Progress())
    assert 30 < len(found) == len(found.families) <= 40  # a transform may leave nothing to see
    assert {"blur", "colour"} < set(found.families) and set(found.ledger.column("origin", found.rows)) == {"synthetic"}


def test_splits_may_be_the_families(tmp_path):
    rows = {"image": [picture(0, 1), picture(0, 2)], "label": [0, 0], "split": ["fog", "test"]}
    features = Features({"image": Image(), "label": ClassLabel(names=CLASSES), "split": Value("string")})
    Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path / "shifts"))
    found = read_shifts(str(tmp_path / "shifts"), Store(tmp_path / "store"), Progress())
    assert found.families == ("fog",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arms": "real,unreal"}, "--arms: there is no arm 'unreal'"),
        ({"arms": "real+kept"}, "--arms: all arms are compared with the arm real"),
        ({"shots": "0"}, "--shots: at least 1 shot"),
        ({"learner": "forest"}, "--learner: 'forest' is none of"),
        ({"batch": "7"}, "--batch: half a batch is real"),
        ({"mix": "cutmix"}, "--mix: the probe sees embeddings"),
        ({"weights": "x.safetensors"}, "--weights: only timm's networks"),
    ],
)
def test_wrong_settings_are_named(options, message):
    with pytest.raises(RecipeError, match=message.replace("+", r"\+")):
        settings_of(options)


def test_what_is_no_run_folder_is_refused(tmp_path):
    with pytest.raises(SourceError, match="is no run folder"):
        evaluate(tmp_path, "sample:digits", quick())


def test_measures_stand_beside_and_tell_good_from_bad(folders):
    good, bad = (
        evaluate(
            folders[name], str(folders["test"]), quick(metrics=True, seeds="1", arms="real,real+synthetic,real+kept")
        )["metrics"]
        for name in ("good", "bad")
    )
    assert {"fid", "kid", "precision", "recall", "density", "coverage", "vendi", "nearest-real", "yield", "yield red",
            "class-agreement", "fid of real+synthetic", "nearest-real of test images"} <= set(good)  # fmt: skip
    assert good["yield"] == 0.5 and good["yield red"] == 0.5
    assert good["class-agreement"] > 0.5 > bad["class-agreement"]
    assert all(isinstance(value, float) for value in good.values())


@pytest.mark.parametrize(
    "options",
    [
        {"learner": "resnet", "mix": "resizemix", "loss": "balanced-softmax"},
        pytest.param({"learner": "timm:test_resnet", "mix": "cutmix", "rate": "0.002"}, marks=pytest.mark.slow),
    ],
)
def test_networks_are_learners_too(folders, options):
    settings = quick(size="16", seeds="2", batch="16", **{**options, "steps": "12"}, arms="real,real+classical")
    record = evaluate(folders["good"], str(folders["test"]), settings)
    assert record["learner"] == options["learner"]
    assert all(0.2 < arm["accuracy"]["mean"] <= 1 for arm in record["arms"])
    assert len({tuple(arm["accuracy"]["seeds"]) for arm in record["arms"]}) > 1
    assert record["arms"] == evaluate(folders["good"], str(folders["test"]), settings)["arms"]
