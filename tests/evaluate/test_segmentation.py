"""`augforge evaluate --task segmentation` from end to end, and the parts that can be wrong by themselves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, Image, Value
from PIL import Image as Pictures

from augforge.algorithms.metrics.overlap import VOID
from augforge.data.ids import key
from augforge.engine.run import run
from augforge.errors import AugforgeError, RecipeError, SourceError
from augforge.evaluate.evaluation import evaluate
from augforge.evaluate.label_maps import Crops, LabelMap, class_mix, numbers_of
from augforge.evaluate.segmenter import segmentation_network
from augforge.evaluate.settings import settings_of
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.report.evaluation import read_evaluation
from tests.cli.test_cli import call

SKY, ROAD, CAR = 3, 7, 11
TINT = {SKY: (90, 120, 200), ROAD: (110, 105, 100), CAR: (180, 60, 60)}


def scene(number: int, car: bool, side: int = 40) -> tuple[Pictures.Image, Pictures.Image]:
    """Sky above road, perhaps with a car; noisy, and its mask."""
    random = np.random.default_rng([number, car])
    labels = np.full((side, side), SKY, dtype=np.uint8)
    labels[int(random.integers(10, 22)) :] = ROAD
    if car:
        top, left = int(random.integers(14, 26)), int(random.integers(2, 26))
        labels[top : top + 12, left : left + 12] = CAR
    labels[:2] = VOID
    tints = np.zeros((256, 3))
    tints[list(TINT)] = list(TINT.values())
    pixels = np.clip(tints[labels] + random.normal(0, 25, (side, side, 3)), 0, 255).astype(np.uint8)
    return Pictures.fromarray(pixels), Pictures.fromarray(labels)


def write_scenes(folder: Path, first: int, count: int, *, side: int = 40) -> Path:
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for number in range(count):
        image, mask = scene(first + number, number % 2 == 0, side)
        image.save(folder / "images" / f"{number}.png")
        mask.save(folder / "masks" / f"{number}.png")
    return folder


def write_run(folder: Path, made: list[tuple[Pictures.Image, Pictures.Image]]) -> Path:
    """Two real scenes, of which one has a car, and generated ones."""
    scenes = [(scene(0, False), "real"), (scene(1, True), "real"), *((each, "synthetic") for each in made)]
    rows: dict[str, list] = {name: [] for name in ("image", "mask", "id", "origin", "provenance")}
    for number, ((image, mask), origin) in enumerate(scenes):
        stage = {"source": "x"} if origin == "real" else {"stage": "1-generate-text2img"}
        cells = (image, mask, key("scene", number), origin, json.dumps(stage))
        for name, cell in zip(rows, cells, strict=True):
            rows[name].append(cell)
    texts = {name: Value("string") for name in ("id", "origin", "provenance")}
    data = Dataset.from_dict(rows, features=Features({"image": Image(), "mask": Image(), **texts}))
    data.save_to_disk(str(folder / "source"))
    stage = build_stage("filter", "sharpness", {"on": "synthetic", "keep": 0.5})
    run(Recipe("r", 1, (SourceSpec("dataset", str(folder / "source")),), (stage,)), folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("segmentation")
    good = [scene(100 + number, True) for number in range(16)]
    blank = Pictures.new("L", (40, 40), SKY)  # everything is called sky
    return {
        "good": write_run(root / "good", good),
        "bad": write_run(root / "bad", [(image, blank) for image, _ in good]),
        "test": write_scenes(root / "test", 500, 24),
    }


def quick(**options):
    return settings_of({"task": "segmentation", "steps": "60", "seeds": "2", "size": "32", **options})


@pytest.mark.slow
def test_scenes_that_help_are_better_wrong_masks_worse(folders):
    records = {
        name: evaluate(folders[name], str(folders["test"]), quick(arms="real,real+synthetic"))
        for name in ("good", "bad")
    }
    good, bad = ({arm["name"]: arm for arm in records[name]["arms"]} for name in ("good", "bad"))
    assert records["good"]["score"] == "miou" and records["good"]["task"] == "segmentation"
    counts = records["good"]["counts"]
    assert set(counts) == {str(CAR), str(ROAD), str(SKY)} and records["good"]["classes"] == sorted(
        counts, key=counts.get
    )
    assert good["real"]["miou"] == bad["real"]["miou"], "the real arm does not know what was generated"
    assert good["real+synthetic"]["miou"]["mean"] > good["real"]["miou"]["mean"] > bad["real+synthetic"]["miou"]["mean"]
    assert good["real+synthetic"]["difference"]["mean"] > 0.05 and bad["real+synthetic"]["difference"]["mean"] < -0.05
    assert set(good["real"]["per-class"]) == {str(SKY), str(ROAD), str(CAR)}


def test_an_arm_of_what_the_filter_dropped_has_its_masks_too_and_the_classical_arm_trains(folders):
    settings = quick(arms="real,real+classical,real+kept", steps="4", seeds="1")
    record = evaluate(folders["good"], str(folders["test"]), settings, replace=True)
    sizes = {arm["name"]: arm["images"] for arm in record["arms"]}
    assert sizes == {"real": 2, "real+classical": 2, "real+kept": 10}


def test_the_report_reads_it(folders):
    record = evaluate(folders["good"], str(folders["test"]), quick(arms="real", steps="2"), replace=True)
    read = read_evaluation(folders["good"])
    assert record["metrics"] == {} and read is not None and read.measures == ["miou", "pixel-accuracy"]


def test_the_same_seeds_give_the_same_numbers(folders):
    settings = quick(arms="real,real+classical", steps="3")
    again = [evaluate(folders["good"], str(folders["test"]), settings, replace=True)["arms"] for _ in range(2)]
    assert again[0] == again[1]


def test_the_table_of_the_terminal_names_the_measures(folders):
    said = call(
        "evaluate", folders["good"], "--test", folders["test"], "--task", "segmentation", "--steps", 4, "--seeds", 1,
        "--size", 32, "--arms", "real", "--replace",
    ).output  # fmt: skip
    assert "mIoU" in said and "pixel accuracy" in said


def test_balanced_softmax_sees_more_of_the_rarest_class(folders):
    """Pixels of a car are few: with the same steps a network that makes up for it calls more of them a car."""
    called = {}
    for loss in ("cross-entropy", "balanced-softmax"):
        settings = quick(arms="real", steps="25", seeds="1", loss=loss)
        (arm,) = evaluate(folders["good"], str(folders["test"]), settings, replace=True)["arms"]
        called[loss] = arm["per-class"][str(CAR)]["mean"]
    assert called["balanced-softmax"] > called["cross-entropy"]


def test_images_without_a_mask_are_left_out_and_counted(folders, tmp_path):
    test = write_scenes(tmp_path / "test", 700, 5)
    (test / "masks" / "3.png").unlink()
    said = call(
        "evaluate", folders["good"], "--test", test, "--task", "segmentation", "--steps", 2, "--seeds", 1,
        "--size", 32, "--arms", "real", "--replace",
    ).output  # fmt: skip
    words = " ".join(said.split())
    assert "1 of 5 images have no mask, and are left out" in words and words.count("left out") == 1


def test_what_does_not_fit_is_refused(folders, tmp_path):
    with pytest.raises(RecipeError, match="shots"):
        quick(shots="1")
    with pytest.raises(RecipeError, match="'probe' is none of unet, lraspp"):
        quick(learner="probe")
    with pytest.raises(RecipeError, match="'unet' is none of probe, resnet and timm"):
        settings_of({"learner": "unet"})
    image, mask = scene(900, False)
    stranger = np.asarray(mask).copy()
    stranger[0, 0] = 42
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    image.save(tmp_path / "images" / "0.png")
    Pictures.fromarray(stranger).save(tmp_path / "masks" / "0.png")
    with pytest.raises(SourceError, match="has the value 42, which no real image of the run has"):
        evaluate(folders["good"], str(tmp_path), quick(arms="real", steps="2", seeds="1"), replace=True)
    with pytest.raises(AugforgeError, match="picture in colours"):
        image.save(tmp_path / "masks" / "0.png")
        evaluate(folders["good"], str(tmp_path), quick(arms="real", steps="2", seeds="1"), replace=True)


def plain(colour: int, labels) -> LabelMap:
    return LabelMap(np.full((4, 4, 3), colour, dtype=np.uint8), np.array(labels, dtype=np.uint8).reshape(4, 4))


def test_class_mix_pastes_half_of_the_classes_with_their_pixels_and_never_what_does_not_count():
    one, other = plain(10, [9] * 16), plain(200, [0] * 4 + [1] * 4 + [2] * 4 + [VOID] * 4)
    for seed in range(20):
        mixed = class_mix(one, other, np.random.default_rng(seed))
        pasted = mixed.labels != 9
        assert np.unique(mixed.labels[pasted]).size == 2 and pasted.sum() == 8 and not pasted[3].any()
        assert (mixed.image[pasted] == 200).all() and (mixed.image[~pasted] == 10).all()
        assert (mixed.labels[pasted] == other.labels[pasted]).all()


def test_an_image_and_its_labels_are_cut_and_mirrored_together():
    labels = np.random.default_rng(0).integers(5, size=(20, 30)).astype(np.uint8)
    whole = LabelMap(np.repeat(labels[..., None], 3, axis=2), labels)
    crops = Crops({7: whole}, 12, flip=True, classical=False)
    random = np.random.default_rng(1)
    seen = [crops.drawn([7], random) for _ in range(30)]
    assert all((pictures[0, 0].long() == found[0]).all() for pictures, found in seen)
    assert len({found.numpy().tobytes() for _, found in seen}) > 10


def test_values_become_numbers_and_others_do_not_count():
    table = numbers_of([3, 7])
    assert table[[3, 7, 4, 255]].tolist() == [0, 1, VOID, VOID]


@pytest.mark.parametrize("name", ["unet", "lraspp"])
@pytest.mark.parametrize("side", [(32, 48), (33, 47)])
def test_a_network_gives_every_pixel_its_logits(name, side):
    net = segmentation_network(name, 4).eval()
    with torch.inference_mode():
        found = net(torch.zeros(2, 3, *side))
    found = found["out"] if isinstance(found, dict) else found
    assert found.shape == (2, 4, *side)
