"""The safety filter, which has to fail closed: on hand-made vectors, and through the engine with planted pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from augforge.algorithms.rules import Unjudged
from augforge.engine.run import run
from augforge.errors import RecipeError
from augforge.recipe import Recipe, SourceSpec
from augforge.stages.filters.safety import Safety
from tests.stages.filters import checkers
from tests.stages.filters.galleries import X, Y, Z, directions, inputs
from tests.test_laws import rows

TEXTS = {"gore": X, "nude": Y, "photo": Z, "drawing": -X}
WORDS = Safety(concepts=("gore", "nude"), safe=("photo", "drawing"))


def test_it_is_the_best_safe_cosine_minus_the_best_unsafe_one():
    shown = inputs([X, Y, Z, -X], [0, -1, 0, 0], texts=TEXTS)
    scores = WORDS.compare(shown)["safety"]
    assert scores == pytest.approx([0 - 1, 0 - 1, 1 - 0, 1 - 0])
    assert WORDS.explain(shown, scores) == ["flagged (gore)", "flagged (nude)", None, None]


def test_it_is_the_brute_force_margin():
    images = directions(30, width=3, spread=2)
    expected = [max(v @ Z, v @ -X) - max(v @ X, v @ Y) for v in images]
    scores = WORDS.compare(inputs(images, [0] * 30, texts=TEXTS))["safety"]
    assert scores == pytest.approx(expected, abs=1e-6)
    mean = [np.mean([v @ Z, v @ -X]) - np.mean([v @ X, v @ Y]) for v in images]  # one concept among many would drown
    assert ((scores < 0) != (np.array(mean) < 0)).any()


def test_without_a_rule_what_is_flagged_goes():
    stays, _ = WORDS.rule().apply(np.array([-0.1, 0.1, np.nan]), list("abc"), np.zeros(3, dtype=int), "all")
    assert stays.tolist() == [False, True, False]


def grey(value):
    return Image.new("RGB", (4, 4), (value,) * 3)


def checked(name):
    return Safety(checker=f"tests.stages.filters.checkers:{name}")


def test_a_checkers_risk_becomes_a_score():
    assert [checked("brightness").measure(grey(v))["safety"] for v in (0, 51, 255)] == pytest.approx([1, 0.6, -1])


@pytest.mark.parametrize("name", ["nan", "two", "words", "nothing", "raises_on_bright"])
def test_a_checker_that_gives_no_risk_lets_nothing_through(name):
    with pytest.raises(Unjudged, match="the checker failed"):
        checked(name).measure(grey(250))


@pytest.mark.parametrize("path", ["os.system", "a b:c", "no_such_module:f", "tests.stages.filters.none:f", ":f", ""])
def test_a_checker_that_cannot_be_is_refused_before_anything_runs(path):
    with pytest.raises(RecipeError, match="checker"):
        Safety(checker=path).check()


@pytest.mark.parametrize("name", ["missing", "NOT_A_FUNCTION"])
def test_a_checker_that_cannot_be_loaded_ends_the_run(name):
    with pytest.raises(RecipeError, match="checker"):
        checked(name).measure(grey(0))


def test_without_concepts_or_safe_prompts_there_is_no_filter():
    for wrong in ({"concepts": ()}, {"safe": ()}):
        with pytest.raises(ValidationError):
            Safety(**wrong)


def write(folder, values):
    """Grey pictures, each of its own value."""
    (folder / "grey").mkdir(parents=True)
    for value in values:
        grey(value).save(folder / "grey" / f"{value:03d}.png")
    return folder


def filtered(folder, out, stage):
    return run(Recipe("safe", 0, (SourceSpec("folder", str(folder)),), (stage,)), out)


def test_through_the_engine_failures_are_dropped_and_everything_reconciles(tmp_path):
    values = [0, 40, 80, 120, 200, 230]
    folder = write(tmp_path / "set", values)
    summary = filtered(folder, tmp_path / "out", checked("raises_on_bright"))
    assert (summary.kept, summary.dropped) == (4, 2)
    reason = "safety: the checker failed: ValueError: no memory left"
    assert summary.reasons == {"1-filter-safety": {reason: 2}}
    kept = {row["source"][-7:-4] for row in rows(tmp_path / "out").values() if row["kept"]}
    assert kept == {"000", "040", "080", "120"}


def test_a_checker_is_asked_once_and_what_failed_is_asked_again(tmp_path):
    folder = write(tmp_path / "set", [0, 40, 200])
    checkers.calls.clear()
    filtered(folder, tmp_path / "out", checked("raises_on_bright"))
    assert len(checkers.calls) == 3
    tighter = checked("raises_on_bright").model_copy(update={"min": 0.9})
    summary = filtered(folder, tmp_path / "out", tighter)
    assert len(checkers.calls) == 4 and summary.kept == 1 and summary.work[-1]["measured"] == 1


def test_flagged_images_are_counted_and_are_not_in_the_data_set(tmp_path):
    from datasets import load_from_disk

    folder = write(tmp_path / "set", [0, 40, 200, 230])
    summary = filtered(folder, tmp_path / "out", checked("brightness"))
    assert summary.reasons == {"1-filter-safety": {"safety: flagged by the checker": 2}}
    data = load_from_disk(str(tmp_path / "out" / "dataset"))
    assert len(data) == 2 and all(np.asarray(row["image"]).max() < 128 for row in data)


def test_concepts_through_the_engine(tmp_path, tiny_clip):
    """Random weights: what is flagged means nothing, but all that is flagged goes, says for what, and nothing else."""
    folder = write(tmp_path / "set", range(0, 250, 10))
    one = Safety(model=str(tiny_clip))
    other = one.model_copy(update={"concepts": one.safe, "safe": one.concepts})  # the same margins, turned round
    dropped = []
    for name, stage in (("one", one), ("other", other)):
        summary = filtered(folder, tmp_path / name, stage)
        assert summary.kept + summary.dropped == 25
        for row in rows(tmp_path / name).values():
            assert row["kept"] == (dict(row["scores"])["safety"] >= 0)
            assert row["kept"] or row["dropped"].removeprefix("safety: flagged (").rstrip(")") in stage.concepts
        dropped.append(summary.dropped)
    assert sum(dropped) == 25


def test_the_checker_of_the_table_and_a_function_are_models_too():
    path = "tests.stages.filters.checkers:brightness"
    by_name, by_model = Safety(checker="open-nsfw"), Safety(model="open-nsfw")
    assert by_name.function == by_model.function == "augforge.models.offline:open_nsfw_risk"
    assert by_name.models() == by_model.models() == [("open-nsfw", "safety")]
    assert Safety(model=path).function == path and Safety(model=path).models() == []
    assert Safety(model=path).measured_options() == Safety(checker=path).measured_options()
    assert Safety().function is None and Safety().models() == [("vit-b-32", "safety")]
    for stage in (by_name, by_model, Safety(model=path)):
        stage.check()
        assert stage.looks_at_pixels
