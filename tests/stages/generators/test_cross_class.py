"""Diff-Mix: what an image is labelled when it is edited from one class towards another."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from augforge.algorithms.mix import edited_classes
from augforge.engine.plan import plan_run
from augforge.engine.run import run
from augforge.errors import ModelError, RecipeError
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.reproduce.remake import Archive, remake
from tests.conftest import write_images
from tests.saved import saved


@pytest.fixture(scope="session")
def plain(tmp_path_factory) -> str:
    from tests.tiny_backends import save_tiny_sd

    return str(save_tiny_sd(tmp_path_factory.mktemp("models") / "tiny-sd"))


@pytest.fixture
def folder(tmp_path):
    return write_images(tmp_path / "pictures", {"cat": 3, "dog": 3, "owl": 3})


def recipe(folder, *stages, seed: int = 1) -> Recipe:
    return Recipe("x", seed, (SourceSpec("folder", str(folder)),), stages)


def stage(plain, **options):
    return build_stage("generate", "cross-class", {"model": plain, "per-class": 3, "steps": 4, **options})


def made(out) -> list[dict]:
    rows = pq.read_table(out / "samples.parquet").to_pylist()
    labels = {row["id"]: row["label"] for row in rows}
    return [
        {
            **row,
            **json.loads(row["sampled_params"]),
            "shares": json.loads(row["annotations"] or "{}").get("soft_label"),
            "of": labels[row["parents"][0]],
        }
        for row in rows
        if row["origin"] == "synthetic"
    ]


@pytest.mark.parametrize(
    ("strength", "gamma", "share"), [(0.25, 0.5, 0.5), (0.81, 0.5, 0.9), (0.5, 1.0, 0.5), (0.5, 2.0, 0.25)]
)
def test_the_other_class_has_strength_to_the_power_of_gamma(strength, gamma, share):
    found = edited_classes("cat", "dog", strength, gamma)["soft_label"]
    assert found == pytest.approx({"cat": 1 - share, "dog": share}, abs=1e-9) and sum(found.values()) == 1
    assert found["dog"] != pytest.approx(1 - strength**gamma) or share == 0.5  # the wrong way round


def test_near_strength_0_all_is_left_of_the_first_class_and_at_1_nothing():
    assert edited_classes("cat", "dog", 1.0, 0.5) == {"soft_label": {"dog": 1.0}}
    assert edited_classes("cat", "dog", 1e-12, 0.5)["soft_label"] == {"cat": 0.999999, "dog": 1e-6}
    assert edited_classes("cat", "dog", 1e-30, 0.5) == {"soft_label": {"cat": 1.0}}


def test_each_image_is_edited_towards_another_class_and_says_so(plain, folder, tmp_path):
    run(recipe(folder, stage(plain, strength=0.64)), tmp_path / "out")
    images = made(tmp_path / "out")
    assert len(images) == 9 and len({(row["of"], row["target"]) for row in images}) > 3
    for row in images:
        assert row["target"] in {"cat", "dog", "owl"} - {row["of"]} and row["label"] is None
        assert row["prompt"] == f"a photo of a {row['target']}" and row["strength"] == 0.64
        assert row["shares"] == pytest.approx({row["of"]: 0.2, row["target"]: 0.8}, abs=1e-9)
    names = saved(tmp_path / "out").features["label"].names
    cells = {row["id"]: row["soft_label"] for row in saved(tmp_path / "out")}
    for row in images:
        assert cells[row["id"]] == pytest.approx([row["shares"].get(name, 0) for name in names], abs=1e-6)


def test_at_strength_1_an_image_is_of_the_other_class(plain, folder, tmp_path):
    run(recipe(folder, stage(plain, strength=1.0)), tmp_path / "out")
    assert all(row["label"] == row["target"] and row["shares"] is None for row in made(tmp_path / "out"))


def test_the_pixels_are_those_of_the_parent_edited_by_the_other_prompt(plain, folder, tmp_path):
    """Not of a parent of the other class, and not with the prompt of the own class."""
    run(recipe(folder, stage(plain, strength=0.5, to="owl", **{"per-class": 1})), tmp_path / "out")
    archive = Archive(tmp_path / "out")
    known = {sample.id: sample for sample in archive.ledger.samples(np.arange(len(archive.ledger)))}
    images = [known[row["id"]] for row in made(tmp_path / "out")]
    assert {sample.sampled_params["target"] for sample in images} == {"owl"} and len(images) == 2
    assert all(again.equal for again in remake(archive, images, "cpu"))


def test_all_towards_one_class_and_none_of_it(plain, folder, tmp_path):
    told = recipe(folder, stage(plain, to="dog"))
    assert plan_run(told, tmp_path / "out")[1].todo == 6
    run(told, tmp_path / "out")
    assert {row["target"] for row in made(tmp_path / "out")} == {"dog"}
    assert {row["of"] for row in made(tmp_path / "out")} == {"cat", "owl"}


def test_targets_are_as_likely_and_follow_from_the_seed(plain, folder, tmp_path):
    from augforge.data.pool import Pool, Pools
    from augforge.data.sample import Sample

    pools = Pools({name: Pool([Sample(id=name, label=name, digest=name)]) for name in "abcd"})
    edits = stage(plain)
    drawn = [edits.draw_among("a", pools["a"].samples[0], pools, 0, seed)[1]["target"] for seed in range(3000)]
    assert {name: pytest.approx(1000, abs=120) for name in "bcd"} == {name: drawn.count(name) for name in "bcd"}
    assert edits.draw_among("a", pools["a"].samples[0], pools, 0, 7)[1]["target"] == drawn[7]


def test_what_cannot_be_done_is_refused(plain, folder, tmp_path):
    with pytest.raises(RecipeError, match="no class 'dgo'") as failed:
        run(recipe(folder, stage(plain, to="dgo")), tmp_path / "out")
    assert "dog" in str(failed.value.hint)
    alone = write_images(tmp_path / "alone", {"cat": 2})
    with pytest.raises(RecipeError, match="no class beside 'cat'"):
        run(recipe(alone, stage(plain)), tmp_path / "alone-out")
    with pytest.raises(ModelError, match="does not know 'cat'"):
        run(recipe(folder, stage("builtin-sd", of="owl")), tmp_path / "digits")


def test_the_gentle_cut_of_the_lowest_tenth(plain, tiny_clip, folder, tmp_path):
    cut = build_stage(
        "filter", "clip", {"model": str(tiny_clip), "prompt": "a photo of an animal", "keep": 0.9, "scope": "all"}
    )
    run(recipe(folder, stage(plain, **{"per-class": 4}), cut), tmp_path / "out")
    images = made(tmp_path / "out")
    assert sum(row["kept"] for row in images) == int(0.9 * len(images)) == 10
    scores = {row["id"]: dict(row["scores"])["clip-prompt"] for row in images}
    assert min(scores[r["id"]] for r in images if r["kept"]) >= max(scores[r["id"]] for r in images if not r["kept"])
