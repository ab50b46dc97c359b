"""`augforge evaluate --task detection`: COCO's measure from known answers, what moves boxes, and all of it together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, Image, List, Value
from PIL import Image as Pictures

from augforge.algorithms.metrics.bootstrap import draws
from augforge.algorithms.metrics.detection import RECALLS, THRESHOLDS, Truth, average_precisions, matches
from augforge.data.ids import key
from augforge.engine.run import run
from augforge.errors import RecipeError, SourceError
from augforge.evaluate.detector import detection_network, weighted_loss
from augforge.evaluate.evaluation import evaluate
from augforge.evaluate.scenes import Moves, Scene
from augforge.evaluate.settings import settings_of
from augforge.recipe import Recipe, SourceSpec
from augforge.report.evaluation import read_evaluation

SIDE = 48


def truth(*boxes, crowds=()) -> Truth:
    """Boxes (x0, y0, x1, y1, class)."""
    rows = np.array(boxes, dtype=np.float64).reshape(-1, 5)
    found = np.isin(np.arange(len(rows)), crowds)
    return Truth(rows[:, :4], rows[:, 4].astype(np.int64), found)


def said(*boxes):
    """Boxes (x0, y0, x1, y1, score, class)."""
    return np.array(boxes, dtype=np.float32).reshape(-1, 6)


def test_perfect_boxes_are_worth_one_and_none_nothing():
    things = [truth((0, 0, 10, 10, 0), (20, 20, 40, 30, 1)), truth((5, 5, 9, 9, 1))]
    perfect = [said((0, 0, 10, 10, 0.9, 0), (20, 20, 40, 30, 0.4, 1)), said((5, 5, 9, 9, 0.8, 1))]
    assert [average_precisions(one).min() for one in matches(things, perfect, 2)] == [1, 1]
    nothing = matches(things, [said(), said()], 2)
    assert [average_precisions(one).max() for one in nothing] == [0, 0]
    assert np.isnan(average_precisions(matches(things, perfect, 3)[2])).all(), "no image shows the third class"


@pytest.mark.parametrize("shift", [0, 1, 2, 3, 5])
def test_a_shifted_box_is_right_up_to_its_overlap(shift):
    (found,) = matches([truth((0, 0, 20, 20, 0))], [said((shift, 0, 20 + shift, 20, 0.5, 0))], 1)
    overlap = (20 - shift) / (20 + shift)
    assert average_precisions(found)[0].tolist() == [float(overlap >= threshold) for threshold in THRESHOLDS]


def test_what_lies_in_a_crowd_does_not_count_and_a_thing_is_found_once():
    things = [truth((0, 0, 10, 10, 0), (50, 50, 90, 90, 0), crowds=(1,))]
    both = said((52, 52, 60, 60, 0.9, 0), (0, 0, 10, 10, 0.8, 0))
    assert average_precisions(matches(things, [both], 1)[0]).min() == 1
    twice = said((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 10, 0.8, 0), (50, 50, 90, 90, 0.1, 0))
    (found,) = matches([truth((0, 0, 10, 10, 0), (50, 50, 90, 90, 0))], [twice], 1)
    assert average_precisions(found)[0, 0] == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


def overlap_of(one, other) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0, width) * max(0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def brute_force(things, found, number: int, threshold: float) -> float:
    """COCO's average precision of a class in plain loops."""
    boxes = [(row[4], place, row[:4]) for place, rows in enumerate(found) for row in rows if row[5] == number]
    taken = [set() for _ in things]
    right = []
    for _, place, box in sorted(boxes, key=lambda one: -one[0]):
        mine = np.flatnonzero(things[place].classes == number)
        free = [(overlap_of(box, things[place].boxes[i]), i) for i in mine if i not in taken[place]]
        best = max(free, default=(0, -1))
        right.append(best[0] >= threshold)
        if right[-1]:
            taken[place].add(best[1])
    total = sum((one.classes == number).sum() for one in things)
    points = [(sum(right[: k + 1]) / total, sum(right[: k + 1]) / (k + 1)) for k in range(len(right))]
    return float(np.mean([max((p for r, p in points if r >= level - 1e-12), default=0.0) for level in RECALLS]))


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_that_of_plain_loops(seed):
    random = np.random.default_rng(seed)
    things, found = [], []
    for _ in range(5):
        corners = random.uniform(0, 60, (random.integers(1, 5), 2))
        boxes = np.concatenate([corners, corners + random.uniform(10, 40, corners.shape)], axis=1)
        names = random.integers(2, size=len(boxes))
        things.append(Truth(boxes, names, np.zeros(len(boxes), dtype=bool)))
        near = np.repeat(boxes, 2, axis=0) + random.normal(0, 3, (2 * len(boxes), 4))
        wrong = np.where(random.random(len(near)) < 0.2, 1 - np.repeat(names, 2), np.repeat(names, 2))
        found.append(np.column_stack([near, random.random(len(near)), wrong]).astype(np.float32))
    for number, one in enumerate(matches(things, found, 2)):
        expected = [brute_force(things, found, number, threshold) for threshold in THRESHOLDS]
        assert average_precisions(one)[0].tolist() == pytest.approx(expected, abs=1e-9)


def test_an_image_drawn_twice_is_as_two_images():
    things = [truth((0, 0, 10, 10, 0)), truth((0, 0, 20, 20, 0))]
    found = [said((0, 0, 10, 10, 0.5, 0)), said((0, 0, 11, 20, 0.7, 0), (0, 0, 20, 20, 0.6, 0))]
    (one,) = matches(things, found, 1)
    (repeated,) = matches([*things, things[1]], [*found, found[1]], 1)
    drawn = average_precisions(one, np.array([[1.0, 2.0], [1.0, 0.0], [0.0, 0.0]]))
    assert drawn[0].tolist() == pytest.approx(average_precisions(repeated)[0].tolist())
    assert drawn[1].min() == 1 and np.isnan(drawn[2]).all()
    assert (draws(7, 50).sum(axis=1) == 7).all()


def test_boxes_move_with_their_pixels():
    pixels = np.zeros((40, 40, 3), dtype=np.uint8)
    pixels[10:20, 4:12] = 255
    scene = Scene(pixels, 80, 40, truth((8, 10, 24, 20, 0), (0, 0, 80, 40, 0), crowds=(1,)))
    assert scene.scaled()[0].tolist() == [4, 10, 12, 20]
    for classical in (False, True):
        moves, seen = Moves(40, flip=True, classical=classical), set()
        for seed in range(30):
            picture, target = moves.drawn(scene, seed)
            assert picture.shape == (3, 40, 40) and target["labels"].tolist() in ([1], [])
            for box in target["boxes"].round().int().tolist():
                inside = picture[:, box[1] + 1 : box[3] - 1, box[0] + 1 : box[2] - 1].float()
                assert inside.mean() > picture.float().mean() + 40
                seen.add(tuple(box))
        assert (len(seen) > 8) if classical else seen == {(4, 10, 12, 20), (28, 10, 36, 20)}
    again = [Moves(40, flip=True, classical=True).drawn(scene, 5)[0] for _ in range(2)]
    assert torch.equal(*again)


def test_weights_scale_the_losses_of_their_images():
    torch.manual_seed(0)
    net = detection_network("fcos", 2, 64)
    boxes = torch.tensor([[8.0, 8.0, 30.0, 40.0]])
    drawn = [(torch.rand(3, 64, 64), {"boxes": boxes, "labels": torch.tensor([1 + n])}) for n in range(2)]
    each = [weighted_loss(net, [one], np.ones(1)).item() for one in drawn]
    assert weighted_loss(net, drawn, np.array([3.0, 0.5])).item() == pytest.approx((3 * each[0] + each[1] / 2) / 2)
    nothing = (torch.rand(3, 64, 64), {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)})
    assert np.isfinite(weighted_loss(net, [drawn[0], nothing], np.ones(2)).item())


@pytest.mark.slow
def test_ssdlite_can_be_trained_on(tmp_path):
    net = detection_network("ssdlite", 2, 64)
    target = {"boxes": torch.tensor([[8.0, 8.0, 30.0, 40.0]]), "labels": torch.tensor([2])}
    assert np.isfinite(weighted_loss(net, [(torch.rand(3, 64, 64), target)] * 2, np.ones(2)).item())


def scene(number: int) -> tuple[Pictures.Image, list]:
    """A bright and perhaps a dark square on noise."""
    random = np.random.default_rng(number)
    pixels = random.normal(120, 20, (SIDE, SIDE, 3))
    boxes = []
    for label, colour in ((0, (220, 60, 60)), (1, (40, 60, 220)))[: 1 + number % 2]:
        side = int(random.integers(12, 20))
        left, top = (int(random.integers(SIDE - side)) for _ in range(2))
        pixels[top : top + side, left : left + side] = colour
        boxes = [box for box in boxes if box["label"] != label]
        boxes.append({"box": [left, top, left + side, top + side], "label": label})
    return Pictures.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), boxes


def write_source(folder: Path, numbers, made: int = 0) -> str:
    """Scenes, of which the last `made` are generated."""
    rows: dict[str, list] = {name: [] for name in ("image", "boxes", "id", "origin", "provenance")}
    for place, number in enumerate(numbers):
        image, boxes = scene(number)
        origin = "synthetic" if place >= len(numbers) - made else "real"
        stage = {"source": "x"} if origin == "real" else {"stage": "1-generate-text2img"}
        cells = (image, boxes, key("scene", number), origin, json.dumps(stage))
        for name, cell in zip(rows, cells, strict=True):
            rows[name].append(cell)
    from datasets import ClassLabel

    box = {"box": List(Value("float32"), length=4), "label": ClassLabel(names=["red", "blue"])}
    texts = {name: Value("string") for name in ("id", "origin", "provenance")}
    features = Features({"image": Image(), "boxes": List(box), **texts})
    Dataset.from_dict(rows, features=features).save_to_disk(str(folder))
    return str(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("detection")
    source = SourceSpec("dataset", write_source(root / "source", range(26), made=20))
    run(Recipe("r", 1, (source,), ()), root / "run")
    return {"run": root / "run", "test": Path(write_source(root / "test", range(500, 520)))}


def quick(**options):
    return settings_of({"task": "detection", "steps": "3", "seeds": "2", "size": "48", "batch": "4", **options})


def test_each_arm_has_its_measures_twice_the_same(folders):
    options = quick(arms="real,real+classical,real+synthetic")
    again = evaluate(folders["run"], str(folders["test"]), quick(arms="real"), replace=True)
    record = evaluate(folders["run"], str(folders["test"]), options, replace=True)
    assert record["arms"][0] == again["arms"][0] and record["score"] == "map"
    assert {arm["name"]: arm["images"] for arm in record["arms"]} == {
        "real": 6, "real+classical": 6, "real+synthetic": 26,
    }  # fmt: skip
    assert record["classes"] == ["blue", "red"] and record["counts"] == {"blue": 3, "red": 6}
    read = read_evaluation(folders["run"])
    assert read is not None and read.measures == ["map", "map-50"]


@pytest.mark.slow
def test_scenes_that_help_are_better(folders):
    options = quick(arms="real,real+synthetic", steps="120", batch="8", seeds="1", rate="0.002")
    real, made = evaluate(folders["run"], str(folders["test"]), options, replace=True)["arms"]
    assert made["map-50"]["mean"] > real["map-50"]["mean"] and made["map-50"]["mean"] > 0.1


def test_what_does_not_fit_is_refused(folders, tmp_path):
    with pytest.raises(RecipeError, match="'unet' is none of fcos, ssdlite"):
        quick(learner="unet")
    with pytest.raises(RecipeError, match="--classical: detection has a classical arm of its own"):
        quick(classical="darken")
    for task in ("detection", "retrieval"):
        with pytest.raises(RecipeError, match=f"--loss: {task} has a loss of its own"):
            settings_of({"task": task, "loss": "balanced-softmax"})
    image, _ = scene(900)
    features = Features(
        {"image": Image(), "boxes": List({"box": List(Value("float32"), length=4), "label": Value("string")})}
    )
    strange = [{"box": [1, 1, 9, 9], "label": "green"}]
    Dataset.from_dict({"image": [image], "boxes": [strange]}, features=features).save_to_disk(str(tmp_path / "strange"))
    with pytest.raises(SourceError, match="has boxes of the class 'green', which no real image of the run has"):
        evaluate(folders["run"], str(tmp_path / "strange"), quick(arms="real"), replace=True)
