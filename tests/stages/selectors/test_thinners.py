"""Long tails and few shots: published counts, nested choices, and what they leave alone."""

from __future__ import annotations

from itertools import pairwise

import pytest

from augforge.data.ledger import Ledger
from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.engine.plan import plan_run
from augforge.engine.run import run
from augforge.engine.runners.subsample import subsample
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import write_images

PUBLISHED = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]


def long_tail(imbalance: float):
    return build_stage("select", "long-tail", {"imbalance": imbalance})


def few_shot(shots: int):
    return build_stage("select", "few-shot", {"shots": shots})


def ledger_of(count: int = 20) -> Ledger:
    ledger = Ledger(["a", "b"])
    ledger.extend(Sample(id=f"{label}{n}", label=label, digest=f"{label}{n}") for label in "ab" for n in range(count))
    ledger.extend([Sample(id="test", label="a", split="test"), Sample(id="made", label="a", origin="synthetic")])
    ledger.extend([Sample(id="loose", label=None)])
    return ledger


def left(stage, ledger: Ledger | None = None) -> set[str]:
    ledger = ledger or ledger_of()
    subsample(stage, "1-select-x", ledger)
    ledger.reconcile()
    return set(ledger.column("id", ledger.visible()))


def test_the_counts_of_cifar10_lt_are_the_published_ones():
    max_per_class = long_tail(100).max_per_class({str(c): 5000 for c in range(10)})
    assert list(max_per_class.values()) == PUBLISHED and sum(PUBLISHED) == 12406
    assert list(long_tail(10).max_per_class({str(c): 5000 for c in range(10)}).values())[-1] == 500


def test_classes_go_in_natural_order_and_none_is_emptied():
    assert long_tail(100).max_per_class({"10": 50, "2": 50}) == {"2": 50, "10": 1}
    assert long_tail(1).max_per_class({"a": 5, "b": 9}) == {"a": 9, "b": 9}
    assert long_tail(3).max_per_class({"only": 4}) == {"only": 4}


def test_smaller_choices_are_nested_in_larger_ones():
    chosen = [left(few_shot(shots)) for shots in (1, 2, 5, 20)]
    assert all(small < large for small, large in pairwise(chosen))
    assert left(long_tail(10)) < left(long_tail(2))


def test_the_shots_are_those_of_a_generator():
    ledger = ledger_of()
    pool = Pool(ledger.conditioning("train")["a"], 3)
    assert {i for i in left(few_shot(3)) if i.startswith("a")} == {sample.id for sample in pool.samples}


def test_evaluation_synthetic_and_unlabelled_images_are_left_alone():
    assert {"test", "made", "loose"} < left(few_shot(1)) and len(left(few_shot(1))) == 5


def test_a_plan_knows_exactly_what_is_left(tmp_path):
    source = write_images(tmp_path / "source", {"cat": 9, "dog": 6})
    stages = (long_tail(3), build_stage("generate", "augmented-conditioning", {"real-to-synthetic": "1:2"}))
    rows = plan_run(Recipe("r", 1, (SourceSpec("folder", str(source)),), stages))
    assert rows[1].rows_out == 12 and rows[1].classes == {"cat": 9, "dog": 3} and rows[1].exact
    assert rows[2].classes == {"cat": 27, "dog": 9}


def test_a_run_drops_with_a_reason(tmp_path):
    source = write_images(tmp_path / "source", {"cat": 9, "dog": 2})
    summary = run(Recipe("r", 1, (SourceSpec("folder", str(source)),), (few_shot(3),)), tmp_path / "out")
    assert summary.kept == 5
    assert summary.reasons == {"1-select-few-shot": {"not among the 3 of its class": 6}}


def test_shots_have_to_be_said():
    from augforge.errors import RecipeError

    with pytest.raises(RecipeError, match="shots"):
        build_stage("select", "few-shot", {})
