"""select: similar-to on runs: what is chosen is what brute force over the embeddings chooses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from augforge.data.stage_facts import read_facts
from augforge.engine.run import run
from augforge.errors import RecipeError, SourceError, StoreError
from augforge.models import find_model
from augforge.models.loading import load_embedder
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import write_images
from tests.saved import saved


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return write_images(tmp_path / "pool", {"cat": 7, "dog": 5}, seed=3)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return write_images(tmp_path / "target", {"cat": 2, "dog": 3}, seed=4)


def choose(clip: Path, pool: Path, out: Path, **options):
    stage = build_stage("select", "similar-to", {"model": str(clip), "count": 5, "on": "all", **options})
    return run(Recipe("x", 1, (SourceSpec("folder", str(pool)),), (stage,)), out, device="cpu")


def vectors_of(clip: Path, data) -> np.ndarray:
    model = load_embedder(find_model(str(clip), "image-embedding"), "cpu")
    return model.embed_images([image.convert("RGB") for image in data["image"]]).astype(np.float64)


def everything(clip: Path, folder: Path, out: Path):
    run(Recipe("all", 1, (SourceSpec("folder", str(folder)),), ()), out, device="cpu")
    data = saved(out)
    names = data.features["label"].names
    return data["id"], [names[label] for label in data["label"]], vectors_of(clip, data)


def by_hand(clip: Path, pool: Path, target: Path, tmp_path: Path, within: str) -> dict[str, float]:
    ids, labels, vectors = everything(clip, pool, tmp_path / "pool-run")
    _, theirs, references = everything(clip, target, tmp_path / "target-run")
    found = {}
    for identity, label, vector in zip(ids, labels, vectors, strict=True):
        mine = [r for r, other in zip(references, theirs, strict=True) if within == "all" or other == label]
        found[identity] = max(float(vector @ other) for other in mine)
    return found


@pytest.mark.parametrize("within", ["class", "all"])
def test_it_keeps_what_is_nearest_to_another_source(tiny_clip, pool, target, tmp_path, within):
    summary = choose(tiny_clip, pool, tmp_path / "out", to=str(target), within=within)
    expected = by_hand(tiny_clip, pool, target, tmp_path, within)
    rows = pq.read_table(tmp_path / "out" / "samples.parquet").to_pylist()
    assert summary.kept == 5
    for label, count in (("cat", 3), ("dog", 2)):
        mine = [row for row in rows if row["label"] == label]
        best = sorted(mine, key=lambda row: (-round(expected[row["id"]], 6), row["id"]))[:count]
        assert {row["id"] for row in mine if row["kept"]} == {row["id"] for row in best}
    data = saved(tmp_path / "out")
    scores = dict(zip(data["id"], (scores["similar-to"] for scores in data["scores"]), strict=True))
    assert scores == pytest.approx({identity: expected[identity] for identity in scores}, abs=1e-3)
    facts = read_facts(tmp_path / "out")["1-select-similar-to"]
    assert facts == {
        "references": 5,
        "mean similarity of all": pytest.approx(np.mean(list(expected.values())), abs=1e-5),
        "mean similarity of the chosen": pytest.approx(
            np.mean([expected[row["id"]] for row in rows if row["kept"]]), abs=1e-5
        ),
    }
    assert facts["mean similarity of the chosen"] > facts["mean similarity of all"]
    assert "- 1-select-similar-to: references 5, mean" in (tmp_path / "out" / "README.md").read_text()


def test_the_real_images_of_the_run_are_the_reference_and_none_is_its_own(tiny_clip, pool, tmp_path):
    choose(tiny_clip, pool, tmp_path / "out")
    assert max(scores["similar-to"] for scores in saved(tmp_path / "out")["scores"]) < 1 - 1e-4


def test_one_class_is_a_reference_for_all(tiny_clip, pool, tmp_path):
    choose(tiny_clip, pool, tmp_path / "out", to="class:cat", count=12)
    ids, labels, vectors = everything(tiny_clip, pool, tmp_path / "pool-run")
    cats = {i: v for i, label, v in zip(ids, labels, vectors, strict=True) if label == "cat"}
    data = saved(tmp_path / "out")
    for identity, scores, label in zip(data["id"], data["scores"], data["label"], strict=True):
        others = [v for i, v in cats.items() if i != identity]
        vector = vectors[list(ids).index(identity)]
        assert scores["similar-to"] == pytest.approx(max(vector @ other for other in others), abs=1e-3), label


def test_a_changed_reference_makes_the_choice_again_and_an_unchanged_one_does_not(tiny_clip, pool, target, tmp_path):
    choose(tiny_clip, pool, tmp_path / "out", to=str(target))
    assert choose(tiny_clip, pool, tmp_path / "out", to=str(target)).up_to_date
    write_images(target, {"cat": 3}, seed=9)
    assert not choose(tiny_clip, pool, tmp_path / "out", to=str(target)).up_to_date


def test_what_cannot_be_a_reference_is_refused(tiny_clip, pool, target, tmp_path):
    with pytest.raises(RecipeError, match="no real image is in class:cow"):
        choose(tiny_clip, pool, tmp_path / "a", to="class:cow")
    with pytest.raises(RecipeError, match="no real image is in split:nowhere"):
        choose(tiny_clip, pool, tmp_path / "b", to="split:nowhere")
    with pytest.raises(SourceError):
        build_stage("select", "similar-to", {"model": str(tiny_clip), "count": 5, "to": "no/such/place"})
    only_cats = write_images(tmp_path / "cats", {"cat": 2, "tiger": 2})
    with pytest.raises(RecipeError, match="no reference image of dog") as caught:
        choose(tiny_clip, pool, tmp_path / "c", to=str(only_cats))
    assert "within: all" in caught.value.hint
    assert choose(tiny_clip, pool, tmp_path / "d", to=str(only_cats), within="all").kept == 5
    with pytest.raises(StoreError):
        choose(tiny_clip, pool, target / "inside", to=str(target))
