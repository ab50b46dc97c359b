"""What a mixed image says of its content: no box of what is hardly seen, no class without a thing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import augforge
from augforge.data.sample import Sample
from augforge.errors import AugforgeError
from augforge.recipe import build_stage
from augforge.stages.generator import GenerationInput, Job
from tests.stages.generators.test_mix import instances, ledger, mix

__all__ = ["instances"]

SIZE = (20, 30)


def box(x0: float, y0: float, x1: float, y1: float, label: str | None = None, **more: Any) -> dict[str, Any]:
    return {"box": [x0, y0, x1, y1], **({"label": label} if label else {}), **more}


def operated(options: dict[str, Any], drawn: dict[str, Any], *said: dict[str, Any]) -> Any:
    """The image that a stage makes of two plain ones with these annotations, of parameters that were drawn."""
    parents = tuple(
        Sample(name, None, digest=name, width=SIZE[1], height=SIZE[0], annotations=each)
        for name, each in zip("ab", said, strict=True)
    )
    images = tuple(Image.fromarray(np.full((*SIZE, 3), value, np.uint8)) for value in (10, 200))
    job = Job(Sample("c", None, sampled_params=drawn), parents)
    return build_stage("generate", "mix", options).operate(GenerationInput(job, images))


# ---- mixup ---------------------------------------------------------------------------------------------------------

POINTS = [{"points": [[3.0, 3.0, 2.0]], "names": ["nose"]}]


@pytest.mark.parametrize(
    ("lam", "left"), [(0.05, ["theirs"]), (0.1, ["ours", "theirs"]), (0.5, ["ours", "theirs"]), (0.95, ["ours"])]
)
def test_mixup_drops_the_things_of_an_image_that_weighs_less_than_min_visibility(lam, left):
    said = [{"boxes": [box(1, 1, 9, 9, name)], "keypoints": POINTS} for name in ("ours", "theirs")]
    made = operated({"op": "mixup"}, {"lam": lam}, *said).annotations
    assert [each["label"] for each in made["boxes"]] == left and len(made["keypoints"]) == len(left)
    every = operated({"op": "mixup", "min-visibility": 0}, {"lam": lam}, *said).annotations
    assert len(every["boxes"]) == len(every["keypoints"]) == 2


# ---- labels --------------------------------------------------------------------------------------------------------

RIGHT_HALF = {"lam": 0.5, "box": [15, 0, 30, 20]}
OURS = [box(1, 1, 9, 9, "cat"), box(20, 1, 29, 9, "dog")]
THEIRS = [box(1, 1, 9, 9, "owl"), box(20, 1, 29, 9, "bee")]


@pytest.mark.parametrize("op", ["cutmix", "resizemix"])
def test_labels_that_are_classes_of_boxes_are_those_of_the_boxes_that_stay(op):
    first, second = {"labels": ["cat", "dog"], "boxes": OURS}, {"labels": ["owl", "bee"], "boxes": THEIRS}
    said = operated({"op": op}, RIGHT_HALF, first, second).annotations
    assert said["labels"] == list(dict.fromkeys(each["label"] for each in said["boxes"]))
    assert said["labels"] == (["cat", "bee"] if op == "cutmix" else ["cat", "owl", "bee"])


def test_mixup_forgets_the_classes_whose_things_are_too_faint():
    first, second = {"labels": ["cat", "dog"], "boxes": OURS}, {"labels": ["owl", "bee"], "boxes": THEIRS}
    assert operated({"op": "mixup"}, {"lam": 0.04}, first, second).annotations["labels"] == ["owl", "bee"]


def test_labels_that_say_more_than_the_boxes_stay():
    first, second = {"labels": ["cat", "sky"], "boxes": OURS}, {"labels": ["owl", "bee"], "boxes": THEIRS}
    said = operated({"op": "cutmix"}, RIGHT_HALF, first, second).annotations
    assert said["labels"] == ["cat", "sky", "bee"], "those of the first as they are, of the second what is seen"
    without = operated({"op": "cutmix"}, RIGHT_HALF, first, {"labels": ["owl", "bee"]}).annotations
    assert without["labels"] == ["cat", "sky", "owl", "bee"] and "boxes" not in without


def test_where_no_thing_stays_no_class_does():
    first, second = ({"labels": ["a", "b"], "boxes": [box(14, 1, 18, 9, "a"), box(22, 1, 29, 9, "b")]} for _ in "ab")
    second["boxes"] = [box(1, 1, 9, 9, "a"), box(1, 11, 9, 19, "b")]
    said = operated({"op": "cutmix", "min-visibility": 0.5}, {"lam": 0.5, "box": [15, 0, 30, 20]}, first, second)
    assert said.annotations["boxes"] == [] and said.annotations["labels"] == []


# ---- other columns -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["mixup", "cutmix", "resizemix"])
def test_other_columns_stay_where_both_images_have_the_same_value(op):
    same, one = {"type": "string", "value": "ward 3"}, {"type": "int64", "value": 1}
    first = {"extra": {"place": same, "number": one, "alone": one, "typed": one}}
    second = {"extra": {"place": same, "number": {**one, "value": 2}, "typed": {**one, "type": "int32"}}}
    assert operated({"op": op}, RIGHT_HALF, first, second).annotations["extra"] == {"place": same}
    assert "extra" not in operated({"op": op}, RIGHT_HALF, {"extra": {"alone": one}}, {}).annotations


# ---- undo ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["mixup", "cutmix", "resizemix", "copy-paste"])
def test_an_image_of_two_images_is_not_taken_back_to_one(instances, tmp_path: Path, op):
    mix(instances, tmp_path / "out", kind="coco", op=op, per_class=2)
    mixed = [row for row in ledger(tmp_path / "out") if row["origin"] == "synthetic"]
    assert mixed
    for row in mixed:
        with pytest.raises(AugforgeError, match="made of two images"):
            augforge.undo(row)


# ---- copy-paste ----------------------------------------------------------------------------------------------------


def test_boxes_without_ids_beside_a_map_of_instances_are_named_as_what_is_missing():
    stage = build_stage("generate", "mix", {"op": "copy-paste"})

    def refused(pictures: dict[str, str], **more: Any) -> str:
        sample = Sample("a", None, annotations={"boxes": [box(1, 1, 9, 9, "cat", **more)]}, pictures=pictures)
        return stage.refusal(Job(Sample("c", None), (sample,)))

    unnamed = refused({"instances": "i.png"})
    assert "no id" in unnamed and "instances" in unnamed and "whole-boxes" in unnamed
    for other in (refused({}), refused({"instances": "i.png"}, id="3")):
        assert other.startswith("there is no other image with an instance to paste") and "no id" not in other
    assert "outline" in refused({}) and "whole-boxes" in refused({})
    assert json.dumps(unnamed)
