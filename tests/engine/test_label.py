"""Labelers and splitters: evaluation images are left alone, and near-duplicates stay together."""

from __future__ import annotations

import shutil

from augforge.engine.plan import plan_run
from augforge.engine.run import run
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.splitters.near_duplicates import NearDuplicates
from tests.conftest import write_images
from tests.test_laws import rows


def test_unlabelled_test_images_are_left_alone(tmp_path, tiny_models):
    folder = write_images(tmp_path / "set", {".": 4})
    stage = build_stage(
        "pseudo-label", "confidence", {"classifier": tiny_models["classification"], "min-confidence": 1}
    )
    splits = tmp_path / "splits"
    for name in ("train", "test"):
        shutil.copytree(folder, splits / name)
    write_images(splits / "test", {".": 4}, seed=9)
    run(Recipe("x", 1, (SourceSpec("folder", str(splits)),), (stage,)), tmp_path / "out", allow_empty=True)
    ledger = rows(tmp_path / "out").values()
    assert all(row["kept"] and row["label"] is None for row in ledger if row["split"] == "test")
    assert not any(row["kept"] for row in ledger if row["split"] == "train")


def test_labels_and_confidence_reach_the_ledger(tmp_path, tiny_models):
    folder = write_images(tmp_path / "set", {"cat": 2})
    write_images(folder, {".": 3}, seed=5)
    options = {"classifier": tiny_models["classification"], "min-confidence": 0}
    recipe = Recipe("x", 1, (SourceSpec("folder", str(folder)),), (build_stage("pseudo-label", "confidence", options),))
    assert not plan_run(recipe, None)[1].exact
    run(recipe, tmp_path / "out")
    given = [row for row in rows(tmp_path / "out").values() if row["labelled_by"]]
    assert len(given) == 3 and {row["label"] for row in given} <= {"cat", "dog", "lone"}
    assert all(0 < dict(row["scores"])["confidence"] <= 1 for row in given)
    planned = plan_run(recipe, tmp_path / "out")
    assert planned[1].exact and (planned[1].todo, planned[1].rows_out) == (0, 5)


def assign(splits, order, test=0.5):
    import numpy as np

    hashes = np.array([0b1111 << 8, 0b1111 << 8, 0b1111 << 8, 2**40 - 7, 2**50 + 3], dtype=np.uint64)
    ids = ["a", "b", "c", "d", "e"]
    stage = NearDuplicates(test=test)
    found = stage.assign(hashes[order], [ids[i] for i in order], [""] * 5, [splits[i] for i in order])
    return {ids[i]: split for i, split in zip(order, found, strict=True)}


def test_near_duplicates_of_an_evaluation_image_follow_it():
    splits = ["test", None, "train", None, "extra"]
    found = assign(splits, [0, 1, 2, 3, 4], test=0.0)
    assert found == {"a": "test", "b": "test", "c": "test", "d": "train", "e": "extra"}


def test_a_group_that_was_divided_already_is_settled_whatever_the_order():
    splits = ["test", "validation", None, None, None]
    assert assign(splits, [0, 1, 2, 3, 4]) == assign(splits, [4, 2, 1, 3, 0])


def test_a_group_is_never_divided_here():
    found = assign([None] * 5, [0, 1, 2, 3, 4])
    assert len({found[i] for i in "abc"}) == 1


def test_exact_copies_of_images_without_structure_stay_together(tmp_path):
    from PIL import Image

    from augforge.algorithms.duplicates import NO_STRUCTURE, hash_bytes

    for grey in range(20):
        for name in "ab":
            (tmp_path / "flat" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), (grey, 3 * grey, 90)).save(tmp_path / "flat" / name / f"{grey}.png")
    assert hash_bytes((tmp_path / "flat" / "a" / "0.png").read_bytes()) == NO_STRUCTURE
    stage = build_stage("split", "near-duplicates", {"test": 0.5})
    done = run(Recipe("x", 1, (SourceSpec("folder", str(tmp_path / "flat")),), (stage,)), tmp_path / "out")
    splits: dict[str, set[str]] = {}
    for row in rows(tmp_path / "out").values():
        splits.setdefault(row["digest"], set()).add(row["split"])
    assert len(splits) == 20 and all(len(found) == 1 for found in splits.values())
    assert {split for found in splits.values() for split in found} == {"train", "test"}
    assert done.together == {"groups": 20, "grouped": 40, "divided": 0}
