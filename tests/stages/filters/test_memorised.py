import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest

from augforge.cli.render.life import show_life
from augforge.data.nearest import Nearest, nearest_table, read_nearest, write_nearest
from augforge.engine.run import run
from augforge.errors import StoreError
from augforge.models import find_model
from augforge.models.loading import load_embedder
from augforge.provenance.lineage import lineage_of
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.filter_inputs import Reference
from augforge.stages.filters.memorised import Memorised
from tests.conftest import write_images
from tests.saved import saved
from tests.stages.filters.galleries import X, Y, Z, inputs

NEAR = (3 * X + Y) / np.sqrt(10, dtype=np.float32)


def gallery(images, parents, training):
    vectors = np.stack(training) if training else np.zeros((0, 3), dtype=np.float32)
    known = Reference(vectors, np.zeros(len(training), dtype=np.int64), [f"real-{n}" for n in range(len(training))])
    return inputs(images, [0] * len(images), parents=parents, training=known)


def test_the_largest_cosine_of_parents_and_training_set_counts():
    found = Memorised(model="m").compare(gallery([NEAR, Z, X], [[Y], [X], [NEAR]], [X, Z]))
    assert found["memorised-parent"] == pytest.approx([1 / np.sqrt(10), 0, 3 / np.sqrt(10)], abs=1e-6)
    assert found["memorised-training"] == pytest.approx([3 / np.sqrt(10), 1, 1], abs=1e-6)
    assert found["memorised"] == pytest.approx([3 / np.sqrt(10), 1, 1], abs=1e-6)


def test_an_image_from_a_prompt_alone_is_compared_with_the_training_set():
    found = Memorised(model="m").compare(gallery([X], [[]], [NEAR]))
    assert np.isnan(found["memorised-parent"]).all() and found["memorised"] == pytest.approx([3 / np.sqrt(10)])


def test_a_copy_goes_and_the_reason_names_what_was_copied():
    stage = Memorised(model="m")
    shown = gallery([NEAR, Z, Y], [[X], [X], [X]], [X, Z])
    scores = stage.compare(shown)
    stays, _ = stage.decide(scores, shown.ids, np.zeros(3, dtype=np.int64), "its class")
    assert stays.tolist() == [False, False, True]
    assert stage.explain(shown, scores["memorised"])[:2] == [
        "0.949 to its parent parent-0",
        "1.000 to the training image real-1",
    ]


def test_by_parents_alone_the_training_set_does_not_matter():
    stage = Memorised(model="m", by="memorised-parent")
    shown = gallery([Z], [[X]], [Z])
    scores = stage.compare(shown)
    assert stage.decide(scores, ["a"], np.zeros(1, dtype=np.int64), "all")[0].all()
    assert stage.explain(shown, scores["memorised-parent"]) == ["0.000 to its parent parent-0"]


def test_without_anything_to_compare_with_there_is_no_score():
    stage = Memorised(model="m")
    shown = gallery([X], [[]], [])
    scores = stage.compare(shown)["memorised"]
    assert np.isnan(scores).all() and "no training image" in stage.explain(shown, scores)[0]


def test_in_a_run_the_reason_names_the_nearest_real_image(tiny_clip, tmp_path):
    source = (SourceSpec("folder", str(write_images(tmp_path / "pictures", {"cat": 3, "dog": 3}))),)
    made = build_stage("generate", "randaugment", {"per-class": 2})
    run(Recipe("made", 1, source, (made,)), tmp_path / "made", device="cpu")
    data = saved(tmp_path / "made")
    model = load_embedder(find_model(str(tiny_clip), "image-embedding"), "cpu")
    vectors = dict(zip(data["id"], model.embed_images([i.convert("RGB") for i in data["image"]]), strict=True))
    stage = build_stage("filter", "memorised", {"model": str(tiny_clip), "max": -1.0})
    run(Recipe("judged", 1, source, (made, stage)), tmp_path / "judged", device="cpu")
    rows = pq.read_table(tmp_path / "judged" / "samples.parquet").to_pylist()
    real = {row["id"]: vectors[row["id"]] for row in rows if row["origin"] == "real"}
    judged = [row for row in rows if row["origin"] == "synthetic"]
    assert len(judged) == 4 and len(real) == 6
    for row in judged:
        cosines = {other: float(vectors[row["id"]] @ vector) for other, vector in real.items()}
        found = re.match(r"memorised: (\S+) to (its parent|the training image) (\w{8})", row["dropped"])
        assert found and float(found[1]) == pytest.approx(max(cosines.values()), abs=2e-3)
        (named,) = [other for other in real if other.startswith(found[3])]
        assert cosines[named] == pytest.approx(max(cosines.values()), abs=1e-5)
        assert (found[2] == "its parent") == (named in row["parents"])


def test_the_nearest_image_of_kept_ones_is_in_their_provenance_and_why_shows_it(tiny_clip, tmp_path, capsys):
    source = (SourceSpec("folder", str(write_images(tmp_path / "pictures", {"cat": 3, "dog": 3}))),)
    made = build_stage("generate", "randaugment", {"per-class": 5})
    stage = build_stage("filter", "memorised", {"model": str(tiny_clip), "keep": 0.5})
    out = tmp_path / "out"
    run(Recipe("judged", 1, source, (made, stage)), out, device="cpu")
    rows = {row["id"]: row for row in pq.read_table(out / "samples.parquet").to_pylist()}
    judged = [row for row in rows.values() if row["origin"] == "synthetic"]
    assert {row["kept"] for row in judged} == {True, False}
    for row in judged:
        (near,) = lineage_of(out, row["id"]).row["nearest"]
        scores = dict(row["scores"])
        assert near["similarity"] == scores["memorised"] and near["stage"] == "2-filter-memorised"
        assert near["relation"] == ("parent" if near["id"] in row["parents"] else "training")
        assert near["similarity"] == pytest.approx(scores[f"memorised-{near['relation']}"], abs=2e-6)
        assert rows[near["id"]]["origin"] == "real"
    kept = next(row["id"] for row in judged if row["kept"])
    life = lineage_of(out, kept)
    show_life(life, False)
    near = life.row["nearest"][0]
    said = " ".join(capsys.readouterr().out.split())
    assert f"nearest {near['id']} ({near['relation']}), similarity {near['similarity']:.3f}" in said
    assert "nearest.parquet" in json.loads((out / "run.json").read_text())["files"]
    run(Recipe("judged", 1, source, (made,)), out, device="cpu", replace=True)
    assert not (out / "nearest.parquet").exists() and lineage_of(out, kept).row["nearest"] == []


def test_of_rounds_the_last_look_at_an_image_counts(tmp_path):
    first = nearest_table("2", ["a", "b", "c"], [Nearest("x", "parent", 0.5), Nearest("y", "training", 0.25), None])
    later = nearest_table("2", ["b", "c"], [Nearest("x", "parent", 0.75), Nearest("z", "training", 0.0)])
    write_nearest(tmp_path, {"2": [first, later]})
    assert [[near["id"] for near in read_nearest(tmp_path, name)] for name in "abcd"] == [["x"], ["x"], ["z"], []]
    (tmp_path / "nearest.parquet").write_bytes(b"no parquet")
    with pytest.raises(StoreError, match=r"nearest\.parquet is damaged"):
        read_nearest(tmp_path, "a")
    write_nearest(tmp_path, {"2": []})
    assert read_nearest(tmp_path, "a") == []
