"""Short trainings on drawn streets reach what they must, and the trivial answers do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from augforge.engine.runners.train import train_alone
from augforge.io.sample_sets import sample_images
from augforge.models.edges import LUMA, edge_overlap
from augforge.models.translators import NightTranslator
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec, build_stage

SMALL = {"size": 64, "blocks": 2}
NEAR_NIGHT = 0.25
EDGES_KEPT = 0.5
BETTER_THAN_MEAN = 0.7


def train(name: str, folder: Path, **options: Any) -> dict[str, Any]:
    stage = build_stage("train", name, {**SMALL, **options})
    recipe = Recipe("streets", 1, (SourceSpec("sample", "streets"),), (stage,))
    return train_alone(recipe, folder / "model", device="cpu")


def held_out(kind: str, side: int = 64) -> list[Image.Image]:
    from augforge.data.images import decode

    found = [decode(picture.data) for picture in sample_images("streets", "test") if picture.label == kind]
    return [image.resize((side * 4 // 3, side), Image.Resampling.BICUBIC) for image in found]


def luminance(images: list[np.ndarray]) -> float:
    return float(np.mean([(image @ np.array(LUMA)).mean() for image in images]) / 255)


def test_a_short_night_training_darkens_days_and_keeps_their_edges(tmp_path):
    train("night", tmp_path, arch="hedngan", width=8, batch=4, rate=5e-4, steps=250)
    days, nights = held_out("day"), [np.asarray(image) for image in held_out("night")]
    made = np.rint(NightTranslator(str(tmp_path / "model"), "cpu").translate(days) * 255).astype(np.uint8)
    sources, wanted = [np.asarray(image) for image in days], luminance(nights)

    def is_night(images: list[np.ndarray]) -> bool:
        return abs(luminance(images) / wanted - 1) <= NEAR_NIGHT

    def keeps_edges(images: list[np.ndarray]) -> bool:
        pairs = zip(sources, images, strict=True)
        return float(np.mean([edge_overlap(source, image) for source, image in pairs])) >= EDGES_KEPT

    assert is_night(list(made)) and keeps_edges(list(made))
    constant = [np.full_like(image, round(wanted * 255)) for image in sources]
    assert keeps_edges(sources) and not is_night(sources), "the identity is no night"
    assert is_night(constant) and not keeps_edges(constant), "a constant picture has no edges"


def test_a_short_paired_training_beats_the_mean_picture(tmp_path):
    options = {"width": 16, "downs": 2, "batch": 2, "rate": 1e-3, "pixel-weight": 50, "steps": 300}
    record = train("paired", tmp_path, condition="labelmap", **options)
    assert record["measured"]["held_out"] > 10
    assert record["measured"]["l1_ratio"] <= BETTER_THAN_MEAN


def test_an_untrained_network_does_not_beat_the_mean_picture(tmp_path):
    record = train("paired", tmp_path, condition="labelmap", width=8, downs=2, batch=1, steps=1)
    assert record["measured"]["l1_ratio"] > 1


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["hedngan", "hedgan", "cyclegan", "cut"])
def test_every_night_architecture_learns_to_darken(tmp_path, arch):
    record = train("night", tmp_path, arch=arch, width=8, batch=4, rate=5e-4, steps=300)
    assert abs(record["measured"]["luminance_ratio"] - 1) <= 0.4


def test_a_night_that_is_worse_than_the_darkened_day_is_said_to_be(tmp_path):
    class Said(Progress):
        lines: ClassVar[list[str]] = []

        def say(self, text: str) -> None:
            self.lines.append(text)

    stage = build_stage("train", "night", {"size": 32, "width": 4, "blocks": 1, "steps": 1})
    recipe = Recipe("streets", 1, (SourceSpec("sample", "streets"),), (stage,))
    record = train_alone(recipe, tmp_path / "model", device="cpu", progress=Said())
    assert record["measured"]["night_kid"] > record["measured"]["darkened_kid"], "after one step"
    (line,) = [line for line in Said.lines if "real nights" in line]
    assert line.startswith("train night: its nights are farther from real nights") and "--darken-weight" in line
    assert stage.verdict({"night_kid": 1.0, "darkened_kid": 2.0}) == stage.verdict({}) == ""
