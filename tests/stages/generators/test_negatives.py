"""Negative images of other classes: which are drawn, that they are parents, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from augforge.data.likeness import Likeness
from augforge.data.pool import Pool, Pools
from augforge.data.sample import Sample
from augforge.engine.run import run
from augforge.errors import AugforgeError
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.generators.negatives import draw_negative
from tests.conftest import write_images
from tests.test_laws import rows
from tests.tiny_backends import save_tiny_adapter

ANGLES = {"cat": 0.0, "lynx": 0.2, "dog": 0.8, "boat": 2.0}
"""Classes as directions in a plane, of two images each."""


def pools(counts: int = 2) -> Pools:
    classes = {
        label: [Sample(id=f"{label}{n}", label=label, digest=f"{label}{n}", width=8, height=8) for n in range(counts)]
        for label in ANGLES
    }
    samples = [sample for found in classes.values() for sample in found]
    angles = np.array([ANGLES[str(s.label)] + (0.05 if s.id.endswith("1") else 0.0) for s in samples])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    likeness = Likeness([sample.id for sample in samples], vectors)
    return Pools({None: Pool([]), **{label: Pool(found) for label, found in classes.items()}}, likeness)


def test_similar_classes_are_in_the_order_of_their_mean_likeness() -> None:
    found = pools().similar_classes("cat")
    assert [name for name, _ in found] == ["lynx", "dog", "boat"]
    brute = np.mean([np.cos(a - b) for a in (0.2, 0.25) for b in (0.0, 0.05)])
    assert abs(found[0][1] - brute) < 1e-6
    assert [name for name, _ in pools().similar_classes("dog")] == ["lynx", "cat", "boat"]
    assert pools().similar_classes(None) == [] and Pools({"cat": Pool([])}).similar_classes("cat") == []


def test_it_is_drawn_of_the_nearest_classes_evenly_and_by_the_seed() -> None:
    drawn = Counter()
    for seed in range(900):
        (parent,), facts = draw_negative("cat", pools(), "similar", 2, seed)
        assert parent.label == facts["negative-class"] and "negative-similarity" in facts
        drawn[parent.id] += 1
    assert set(drawn) == {"lynx0", "lynx1", "dog0", "dog1"}
    assert sum((count - 225) ** 2 / 225 for count in drawn.values()) < 16.3  # the 99.9 % point, 3 degrees of freedom
    assert draw_negative("cat", pools(), "similar", 2, 5) == draw_negative("cat", pools(), "similar", 2, 5)


def test_any_other_class_and_never_the_own_or_the_unlabelled() -> None:
    seen = {draw_negative("cat", pools(), "any", 1, seed)[1]["negative-class"] for seed in range(60)}
    assert seen == {"lynx", "dog", "boat"}
    assert draw_negative("cat", Pools({"cat": pools()["cat"], None: Pool([])}), "any", 1, 0) == ([], {})


@pytest.fixture(scope="module")
def adapted(tiny_models, tmp_path_factory) -> dict[str, str]:
    base = Path(tiny_models["text-to-image"])
    adapter = save_tiny_adapter(tmp_path_factory.mktemp("adapter") / "adapter", base)
    return {"model": str(base), "backend": "ip-adapter", "adapter": str(adapter)}


def recipe(folder: Path, **options) -> Recipe:
    stage = build_stage("generate", "augmented-conditioning", {"per-class": 2, "steps": 2, "guidance": 3, **options})
    return Recipe("negatives", 3, (SourceSpec("folder", str(folder)),), (stage,))


@pytest.mark.parametrize("mode", ["random-image", "embed-mixup", "references"])
def test_the_negative_is_a_parent_of_another_class_and_within_the_shots(tmp_path, adapted, mode) -> None:
    folder = write_images(tmp_path / "set", {"cat": 3, "dog": 3, "lone": 1})
    options = {"mode": mode, "negative-class": "any", "shots": 2, "batch": 4, **adapted}
    run(recipe(folder, **options), tmp_path / "out")
    ledger = rows(tmp_path / "out")
    made = [row for row in ledger.values() if row["origin"] == "synthetic"]
    assert len(made) == 6 and all(row["kept"] for row in made)
    used = {label: set() for label in ("cat", "dog", "lone")}
    for row in made:
        parents = [ledger[parent] for parent in row["parents"]]
        facts = json.loads(row["sampled_params"])
        assert {parent["label"] for parent in parents[:-1]} == {row["label"]}
        assert parents[-1]["label"] == facts["negative-class"] != row["label"]
        for parent in parents:
            used[parent["label"]].add(parent["id"])
    assert all(len(ids) <= 2 for ids in used.values())
    run(recipe(folder, **{**options, "batch": 2}), tmp_path / "again")
    assert {row["id"] for row in made} <= set(rows(tmp_path / "again"))


def test_similar_classes_by_a_model_of_images(tmp_path, adapted) -> None:
    folder = write_images(tmp_path / "set", {"cat": 2, "dog": 2})
    options = {"mode": "random-image", "negative-class": "similar", "similarity-model": "builtin-clip", **adapted}
    run(recipe(folder, **options), tmp_path / "out")
    made = [row for row in rows(tmp_path / "out").values() if row["origin"] == "synthetic"]
    assert all(-1 <= json.loads(row["sampled_params"])["negative-similarity"] <= 1 for row in made)


def test_with_one_class_there_is_no_negative(tmp_path, adapted) -> None:
    folder = write_images(tmp_path / "set", {"cat": 2})
    run(recipe(folder, mode="random-image", **{"negative-class": "any"}, **adapted), tmp_path / "out")
    made = [row for row in rows(tmp_path / "out").values() if row["origin"] == "synthetic"]
    assert all(len(row["parents"]) == 1 and "negative-class" not in row["sampled_params"] for row in made)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"negative-class": "similar"}, "needs a similarity-model"),
        ({"negative-class": "any", "guidance": 1}, "needs guidance above 1"),
        ({"negative-class": "any", "perp-neg": ["blurry"]}, "exclude each other"),
        ({"negative-class": "any", "backend": "image-to-image", "mode": "random-image"}, "cannot be guided away"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, adapted, options, message) -> None:
    with pytest.raises(AugforgeError, match=message):
        recipe(tmp_path, **{**adapted, **options})
