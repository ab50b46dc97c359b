"""The pictures of operators: whatever the catalog has is drawn, with its annotations, and shown in the docs."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from pydantic import Field

from augforge.data.annotations import segmentation
from augforge.stages.catalog import STAGES, stage_class
from augforge.stages.generators.operator import OperatorGenerator
from scripts.operator_sheet import COMMAND, FOLDER, operators, page, picture, rows, scenes, things

MOST_BYTES = 600_000


class Whirl(OperatorGenerator):
    """An operator that is added later."""

    name = "whirl"
    kind: Literal["left", "right"] = Field(default="left", description="Where to.")
    magnitude: int = Field(default=9, ge=0, le=30, description="How far.")


class Wave(OperatorGenerator):
    """Another, with several strengths."""

    name = "wave"
    hue: float = Field(default=0.06, ge=0, le=1, description="Amplitude of the hue.")
    shift: float = Field(default=0.3, ge=0, description="Amplitude of the shift.")


def test_every_operator_of_the_catalog_is_in_the_page_with_its_picture_or_how_to_make_it():
    known = [name for verb, name in STAGES if issubclass(stage_class(verb, name), OperatorGenerator)]
    assert {"shifts", "mix", "edges"} <= set(operators()) and set(known) - set(operators()) == {"triplets"}
    text = page()
    for name in operators():
        section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert (f"({'../images/operators/' + name}.webp)" in section) == (FOLDER / f"{name}.webp").is_file()
        assert ".webp)" in section or COMMAND in section
        assert len(section) > 80


def test_the_pictures_are_small():
    files = list(FOLDER.glob("*"))
    assert files and all(path.suffix == ".webp" and path.stem in operators() for path in files)
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


def test_an_operator_is_drawn_at_three_strengths_in_each_of_its_kinds():
    strengths = [(f"magnitude {value}", {"magnitude": value}) for value in (3, 6, 9)]
    assert [(row.title, row.options, row.strengths) for row in rows(Whirl)] == [
        ("left", {"kind": "left"}, strengths),
        ("right", {"kind": "right"}, strengths),
    ]
    assert [row.title for row in rows(operators()["mix"])] == [
        "mixup", "cutmix", "resizemix", "transmix", "copy-paste",
    ]  # fmt: skip
    assert [text for text, _ in rows(operators()["mix"])[0].strengths] == [
        "severity 0.33",
        "severity 0.67",
        "severity 1",
    ]
    assert [(text, given["hue"], given["shift"]) for text, given in rows(Wave)[0].strengths] == [
        ("amplitudes x 0.33", pytest.approx(0.02), pytest.approx(0.1)),
        ("amplitudes x 0.67", pytest.approx(0.04), pytest.approx(0.2)),
        ("amplitudes x 1", pytest.approx(0.06), pytest.approx(0.3)),
    ]


def test_a_picture_has_what_the_operator_made():
    drawn = picture(operators()["edges"])
    assert drawn is not None
    tiles = [np.asarray(drawn)[4:148, 152 * place + 4 : 152 * place + 148] for place in range(4)]
    assert len({tile.tobytes() for tile in tiles}) == 4
    assert (tiles[3] >= 250).all(axis=2).mean() > 0.5  # lines on white, and boxes over them


def test_scenes_have_boxes_around_their_things():
    labels = np.zeros((40, 40), np.uint8)
    labels[4:20, 6:26] = 6
    labels[25:27, 30:32] = 8
    (thing,) = things(labels)
    assert thing["label"] == "car" and thing["box"] == [6, 4, 26, 20]
    assert (segmentation.decoded(thing["segmentation"], (40, 40)) == (labels == 6)).all()
    assert {sample.label for sample, _ in scenes()} == {"busy", "quiet"}
    assert all(sample.annotations["boxes"] and image.size == (192, 192) for sample, image in scenes())
