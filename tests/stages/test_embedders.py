"""Stages that need only embeddings of images take every model that makes them, with a text tower or without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from augforge.engine.run import run
from augforge.errors import ModelError
from augforge.models import find_model
from augforge.models.classifier import Classifier
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.catalog import STAGES, stage_class
from tests.conftest import write_images
from tests.models.test_vision import vit

ASKING = {("filter", "margin"), ("filter", "safety"), ("filter", "marginal")}
"""The stages that cannot do without texts."""


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model without a text tower."""
    return str(vit(tmp_path_factory.mktemp("vit")))


def test_only_stages_that_ask_with_texts_want_an_image_text_model():
    wanting = {stage for stage in STAGES if {"image-text", "safety"} & set(stage_class(*stage).tasks().values())}
    assert wanting == ASKING


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clip", {"by": "clip-prototype", "keep": 0.5}),
        ("duplicates", {"by": "embedding", "similarity": 0.0, "overlap": 0.1, "distance": 24}),
        ("prototype", {"keep": 0.5}),
        ("outlier", {"keep": 0.5}),
        ("musc", {"keep": 0.5, "reference": 3}),
    ],
)
def test_a_model_without_a_text_tower_filters(tmp_path: Path, embedder: str, name: str, options: dict[str, object]):
    source = (SourceSpec("folder", str(write_images(tmp_path / "pictures", {"cat": 6, "dog": 4}))),)
    stage = build_stage("filter", name, {"model": embedder, **options})
    summary = run(Recipe("x", 1, source, (stage,)), tmp_path / "out", device="cpu")
    assert summary.work[-1]["measured"] > 0 and summary.kept > 0


def test_a_probe_learns_on_it_and_filters_with_it(tmp_path: Path, embedder: str):
    source = (SourceSpec("folder", str(write_images(tmp_path / "pictures", {"cat": 6, "dog": 6}))),)
    train = build_stage("train", "classifier", {"embedder": embedder, "steps": 5, "as": "probe"})
    judge = build_stage("filter", "classifier", {"model": "probe", "keep": 0.5}, {"probe": "classification"})
    summary = run(Recipe("x", 1, source, (train, judge)), tmp_path / "out", device="cpu")
    assert summary.kept == 6
    (folder,) = {path.parent for path in (tmp_path / "out").rglob("model.json")}
    probe = Classifier(find_model(str(folder), "classification"), "cpu")
    assert probe.facts["embedder"]["name"] == embedder
    assert np.isfinite(probe.logits([])).all()


def test_prompts_need_a_text_tower(embedder: str):
    for by in ("clip-prompt", "clip-margin"):
        with pytest.raises(ModelError, match="not for image-text"):
            build_stage("filter", "clip", {"model": embedder, "by": by})
