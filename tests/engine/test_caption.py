"""Captions: each image is described once, by a model that is recorded with its words, and in nobody's place."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from augforge.data.annotations import parse_annotations
from augforge.data.ledger import Ledger
from augforge.data.rows import IN_MEMORY
from augforge.data.sample import Sample
from augforge.engine.plan import plan_run
from augforge.engine.run import run
from augforge.models import find_model, model_digest
from augforge.models.vision_language import VisionLanguage
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import write_images
from tests.saved import saved

PROMPT = "what is it?"


@pytest.fixture(scope="session")
def model(tiny_vlm) -> str:
    return str(tiny_vlm)


def recipe(folder, model, *after, **options) -> Recipe:
    stage = build_stage("caption", "vlm", {"model": model, "prompt": PROMPT, "longest": 6, **options})
    return Recipe("x", 1, (SourceSpec("folder", str(folder)),), (stage, *after))


def rows(out) -> list[dict]:
    return pq.read_table(out / "samples.parquet").to_pylist()


def said(row) -> dict:
    return parse_annotations(row["annotations"])


def test_the_words_are_the_models_and_are_recorded_with_model_digest_and_prompt(model, tmp_path):
    folder = write_images(tmp_path / "pictures", {"cat": 3, "dog": 2})
    assert run(recipe(folder, model), tmp_path / "out").computed == 5 + 5
    alone = VisionLanguage(find_model(model, "image-text-to-text"), "cpu")
    images = {row["id"]: row["image"].convert("RGB") for row in saved(tmp_path / "out")}
    assert len({said(row)["caption"] for row in rows(tmp_path / "out")}) > 1
    for row in rows(tmp_path / "out"):
        assert said(row)["caption"] == alone.describe([images[row["id"]]], PROMPT, 6)[0]
        digest = model_digest(find_model(model, "image-text-to-text"))
        expected = {"stage": "1-caption-vlm", "model": model, "digest": digest, "prompt": PROMPT}
        assert said(row)["captioned_by"] == expected
    for row in saved(tmp_path / "out"):
        assert row["caption"] and json.loads(row["captioned_by"])["prompt"] == PROMPT


def test_a_second_run_describes_nothing_and_a_grown_source_only_what_is_new(model, tmp_path):
    folder = write_images(tmp_path / "pictures", {"cat": 3})
    run(recipe(folder, model), tmp_path / "out")
    before = {row["id"]: said(row) for row in rows(tmp_path / "out")}
    assert run(recipe(folder, model), tmp_path / "out").up_to_date
    write_images(folder, {"dog": 2}, seed=7)
    assert run(recipe(folder, model), tmp_path / "out").work[1]["measured"] == 2
    after = {row["id"]: said(row) for row in rows(tmp_path / "out")}
    assert before.items() <= after.items() and len(after) == 5
    assert run(recipe(folder, model, prompt="which colour?"), tmp_path / "out").work[1]["measured"] == 5


def test_a_caption_of_the_source_stays_unless_all_are_described_anew(model, tmp_path):
    folder = write_images(tmp_path / "pictures", {"cat": 2})
    line = {"file_name": "cat/0000.png", "label": "cat", "text": "a cat on a mat"}
    other = {"file_name": "cat/0001.png", "label": "cat", "text": ""}
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, (line, other))))
    run(recipe(folder, model), tmp_path / "out")
    told = sorted(("captioned_by" in said(row), said(row)["caption"]) for row in rows(tmp_path / "out"))
    assert told[0] == (False, "a cat on a mat") and told[1][0]
    run(recipe(folder, model, anew=True), tmp_path / "anew")
    assert all("captioned_by" in said(row) for row in rows(tmp_path / "anew"))


def test_a_plan_says_how_many_images_are_to_be_described(model, tmp_path):
    folder = write_images(tmp_path / "pictures", {"cat": 3})
    assert [(row.todo, row.reused) for row in plan_run(recipe(folder, model), tmp_path / "out")][1] == (3, 0)
    run(recipe(folder, model), tmp_path / "out")
    assert [(row.todo, row.reused) for row in plan_run(recipe(folder, model), tmp_path / "out")][1] == (0, 3)


def test_captions_go_into_a_run_that_is_made_of_this_one(model, tmp_path):
    folder = write_images(tmp_path / "pictures", {"cat": 3})
    run(recipe(folder, model), tmp_path / "out")
    keep = build_stage("filter", "sharpness", {"keep": 1.0})
    run(Recipe("y", 1, (SourceSpec("run", str(tmp_path / "out")),), (keep,)), tmp_path / "next")
    wanted = {row["id"]: said(row) for row in rows(tmp_path / "out")}
    assert {row["id"]: said(row) for row in rows(tmp_path / "next")} == wanted


def test_synthetic_images_are_described_if_they_are_asked_for(model, tmp_path):
    folder = write_images(tmp_path / "pictures", {"cat": 2})
    make = build_stage("generate", "mix", {"op": "cutmix", "per-class": 2})
    describe = build_stage("caption", "vlm", {"model": model, "longest": 6, "on": "synthetic"})
    run(Recipe("x", 1, (SourceSpec("folder", str(folder)),), (make, describe)), tmp_path / "out")
    assert all(("caption" in said(row)) == (row["origin"] == "synthetic") for row in rows(tmp_path / "out"))


@pytest.mark.parametrize("count", [3, IN_MEMORY + 3])
def test_annotations_change_in_their_rows_and_nothing_else_does(count):
    ledger = Ledger(["cat"])
    ledger.extend(Sample(id=f"{n:07d}", label="cat", annotations={"caption": str(n)}) for n in range(count))
    before = ledger.copy()
    places = np.array([count - 1, 0])
    ledger.annotate(places, [{"caption": "last"}, {"caption": "first", "extra": {}}])
    assert [sample.annotations["caption"] for sample in ledger.samples(places)] == ["last", "first"]
    assert [sample.annotations for sample in before.samples(places)] == [{"caption": str(count - 1)}, {"caption": "0"}]
    others = np.arange(1, count - 1)
    assert ledger.column("annotations", others) == before.column("annotations", others)
    for name in ("id", "digest", "label", "sampled_params"):
        assert ledger.column(name) == before.column(name)
    assert ledger.find(["0000001"]) == [1]
