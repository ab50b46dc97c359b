"""Stages that leave nothing, make nothing or can judge nothing say why at once, and end the run with exit code 3."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from augforge.engine.run import run
from augforge.errors import EmptyResult
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import write_images
from tests.engine.test_guards import Heard
from tests.stub import Bright, Coin
from tests.test_laws import rows


def recipe(source: Path, *stages) -> Recipe:
    return Recipe("x", 1, (SourceSpec("folder", str(source)),), stages)


@pytest.fixture
def loose(tmp_path: Path) -> Path:
    """A folder with images of no class."""
    return write_images(tmp_path / "loose", {".": 4})


@pytest.fixture
def no_model(monkeypatch):
    """Nothing may be embedded."""
    from augforge.engine.embedding import Embedder

    monkeypatch.setattr(Embedder, "images", lambda *_: pytest.fail("a model was asked"))


@pytest.mark.parametrize("name", ["clip", "margin", "prototype", "outlier"])
def test_a_filter_by_class_says_at_once_that_there_are_no_labels(tmp_path, loose, tiny_clip, no_model, name):
    stage = build_stage("filter", name, {"model": str(tiny_clip), "keep": 0.5})
    heard = Heard()
    with pytest.raises(EmptyResult, match=f"1-filter-{name}: .*none of the 4 images has a label") as caught:
        run(recipe(loose, stage), tmp_path / "out", progress=heard)
    assert caught.value.exit_code == 3 and not heard.bars  # not one image was read
    assert "folder of its own" in caught.value.hint and "--allow-empty" in caught.value.hint


def test_labels_that_are_gone_when_the_filter_comes(tmp_path, loose, tiny_clip, no_model):
    (loose / "cat").mkdir()
    (loose / "cat" / "broken.png").write_bytes(b"no image")
    stage = build_stage("filter", "prototype", {"model": str(tiny_clip)})
    with pytest.raises(EmptyResult, match="none of the 4 images that it looks at has a label"):
        run(recipe(loose, stage), tmp_path / "out", max_bad=0.5)
    assert pq.read_table(tmp_path / "out" / "samples.parquet").num_rows == 5  # the ledger is there


def test_only_the_label_probability_of_a_classifier_needs_labels(tmp_path, loose, tiny_models):
    model = tiny_models["classification"]
    by = build_stage("filter", "classifier", {"model": model, "by": "label-probability"})
    with pytest.raises(EmptyResult, match="has a label"):
        run(recipe(loose, by), tmp_path / "a")
    run(recipe(loose, build_stage("filter", "classifier", {"model": model})), tmp_path / "b")


def test_allowed_to_be_empty_it_goes_on_and_says_so(tmp_path, loose, tiny_clip):
    asked, heard = recipe(loose, build_stage("filter", "prototype", {"model": str(tiny_clip)})), Heard()
    done = run(asked, tmp_path / "out", allow_empty=True, progress=heard)
    assert (done.kept, done.dropped) == (0, 4)
    assert sum("has a label" in line for line in heard.lines) == 1
    assert run(asked, tmp_path / "out", allow_empty=True).up_to_date
    with pytest.raises(EmptyResult, match="up to date and holds no image"):
        run(asked, tmp_path / "out")


def test_a_filter_that_leaves_nothing(tmp_path, pictures):
    asked = recipe(pictures, Bright(min=256.0), build_stage("select", "random", {"share": 0.5}))
    with pytest.raises(EmptyResult, match="1-filter-bright: none of 11 images is left: bright: under 256"):
        run(asked, tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "samples.parquet")
    assert set(table.column("dropped_by").to_pylist()) == {"1-filter-bright"}  # at once: the selector never ran
    assert not (tmp_path / "out" / "run.json").exists()
    done = run(recipe(pictures, Bright(min=1.0)), tmp_path / "out")  # and what was measured is kept
    assert done.kept == 11 and done.work[1]["reused"] == 11


def test_a_filter_that_can_score_nothing_while_others_pass_by(tmp_path, pictures):
    class Blind(Bright):
        def measure(self, image):
            return {"bright": float("nan")}

    asked = recipe(pictures, Coin(per_class=1, batch=2), Blind(on="synthetic", min=0.0))
    with pytest.raises(EmptyResult, match=r"2-filter-bright: it could score none of the 3 images: .*no score"):
        run(asked, tmp_path / "out")


def test_generating_from_unlabelled_images_does_not_say_that_there_is_enough(tmp_path, loose):
    heard = Heard()
    with pytest.raises(EmptyResult, match=r"1-generate-coin: .*none of the 4 images has a label") as caught:
        run(recipe(loose, Coin(per_class=2, batch=2)), tmp_path / "out", progress=heard)
    assert not any("enough" in text for text in (*heard.lines, caught.value.message, caught.value.hint))
    done = run(recipe(loose, Coin(per_class=2, batch=2)), tmp_path / "out", allow_empty=True, progress=heard)
    assert done.kept == 4 and not any("enough" in line for line in heard.lines)


def test_generating_where_every_class_has_enough_is_no_error(tmp_path):
    heard = Heard()
    source = write_images(tmp_path / "even", {"a": 3, "b": 3})
    assert run(recipe(source, Coin(balance_to="max", batch=2)), tmp_path / "out", progress=heard).kept == 6
    assert "coin: nothing to generate: every class has enough; " in heard.lines[-1]


def test_generating_from_evaluation_images_alone(tmp_path):
    source = write_images(tmp_path / "set" / "test", {"a": 3, "b": 1}).parent
    for stage in (Coin(per_class=2, batch=2), Coin(balance_to="max", batch=2)):
        with pytest.raises(EmptyResult, match="no real image of the split 'train' is left"):
            run(recipe(source, stage), tmp_path / "out")


def test_a_generator_that_no_image_has_what_it_starts_from_says_so(tmp_path, pictures):
    mix = build_stage("generate", "mix", {"op": "copy-paste", "per-class": 1})
    with pytest.raises(EmptyResult, match="1-generate-mix: nothing to generate: no image may condition it") as caught:
        run(recipe(pictures, mix), tmp_path / "out")
    assert caught.value.hint.startswith("none has what it starts from, such as boxes or a mask: see `augforge generate")


def test_a_generator_of_which_nothing_can_be_kept(tmp_path, pictures, monkeypatch):
    flat = np.zeros((8, 8, 3), dtype=np.float32)
    monkeypatch.setattr("tests.stub.picture", lambda bright, seed: flat)
    with pytest.raises(EmptyResult, match="1-generate-coin: none of the 3 images that it made can be kept: "):
        run(recipe(pictures, Coin(per_class=1, batch=2)), tmp_path / "out")


def test_a_labeler_that_is_sure_of_nothing(tmp_path, loose, tiny_models):
    options = {"classifier": tiny_models["classification"], "min-confidence": 1}
    with pytest.raises(EmptyResult, match="labelled none of the 4 images without a label: confidence"):
        run(recipe(loose, build_stage("pseudo-label", "confidence", options)), tmp_path / "out")


def test_a_labeler_with_nothing_to_label_says_so(tmp_path, pictures, tiny_models, no_model):
    heard = Heard()
    stage = build_stage("pseudo-label", "confidence", {"classifier": tiny_models["classification"]})
    assert run(recipe(pictures, stage), tmp_path / "out", progress=heard).kept == 11
    assert any("nothing to label" in line for line in heard.lines)


def test_empty_classes_are_named_and_left_out(tmp_path, pictures):
    from datasets import load_from_disk

    (pictures / "ghost").mkdir()
    (pictures / "cat" / "0000.png").write_bytes(b"no image")
    heard = Heard()
    done = run(recipe(pictures, Bright(min=0.0)), tmp_path / "out", progress=heard)
    assert "no image of ghost" in heard.lines[0] and "no image of 'ghost': left out" in heard.lines[-1]
    names = load_from_disk(str(tmp_path / "out" / "dataset")).features["label"].names
    assert names == ["cat", "dog", "lone"] == list(done.classes)
    assert {row["label"] for row in rows(tmp_path / "out").values()} == set(names)


def test_a_class_whose_images_are_all_dropped_is_not_empty(tmp_path, pictures):
    Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(pictures / "lone" / "0000.png")
    done = run(recipe(pictures, Bright(min=1.0)), tmp_path / "out")
    assert done.classes == {"cat": 6, "dog": 4, "lone": 0}


def test_the_classes_of_other_splits_stay_where_one_is_read(tmp_path):
    source = write_images(tmp_path / "set" / "test", {"a": 2, "b": 2}).parent
    write_images(source / "train", {"a": 2}, seed=1)
    train = Recipe("x", 1, (SourceSpec("folder", str(source), {"split": "train"}),), ())
    assert list(run(train, tmp_path / "out").classes) == ["a", "b"]  # the numbers of classes are those of the test set


def test_a_class_that_nothing_may_condition_is_named(tmp_path):
    from tests.cli.test_cli import call

    folder = tmp_path / "parted"
    write_images(folder / "train", {"cat": 2, "dog": 2}, size=16)
    write_images(folder / "test", {"square": 2, "cat": 1}, size=16)
    done = call("generate", "shifts", folder, "--per-class", "1", "--size", "16", "--out", tmp_path / "out")
    told = "1-generate-shifts: nothing is generated of class square: it has no training image"
    assert told in done.stderr.replace("\n", " ")
    fine = call("generate", "shifts", folder / "train", "--per-class", "1", "--size", "16", "--out", tmp_path / "fine")
    assert "nothing is generated" not in fine.stderr


@pytest.mark.parametrize("name", ["semantic-loss", "label-preserved"])
def test_a_filter_of_generated_images_alone_says_that_there_are_none(tmp_path, name):
    source = SourceSpec("folder", str(write_images(tmp_path / "set", {"cat": 4, "dog": 4})))
    stage = build_stage("filter", name, {"keep": 0.5})
    with pytest.raises(EmptyResult, match="it judges generated images only, and there are none"):
        run(Recipe("real", 1, (source,), (stage,)), tmp_path / "out")
    assert run(Recipe("real", 1, (source,), (stage,)), tmp_path / "out", allow_empty=True).kept == 8
