"""Which images an arm has, and that shots never see more than the generator did."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from augforge.data.ledger import Ledger
from augforge.data.sample import Sample
from augforge.engine.runners.subsample import subsample
from augforge.errors import RecipeError
from augforge.evaluate.arms import Outcomes, arms_of, by_rarity
from augforge.evaluate.settings import ARMS, settings_of
from augforge.evaluate.tasks.classification import Classification
from augforge.recipe import build_stage
from augforge.stages.catalog import stage_class
from augforge.stages.selectors.few_shot import FewShot
from augforge.stages.selectors.long_tail import LongTail

SAFETY = stage_class("filter", "safety").model_construct()
CHAIN = [
    ("1-select-random", build_stage("select", "random", {"on": "real", "share": 0.5})),
    ("2-generate-augmented-conditioning", build_stage("generate", "augmented-conditioning", {})),
    ("3-filter-clip", build_stage("filter", "clip", {"on": "synthetic"})),
    ("4-filter-safety", SAFETY),
    ("5-select-k-center", build_stage("select", "k-center", {"on": "synthetic", "share": 0.5})),
]


def sample(identity: str, origin: str = "real", by: str | None = None, **more) -> Sample:
    reason = None if by is None else more.pop("reason", "not chosen")
    stage = "source" if origin == "real" else "2-generate-augmented-conditioning"
    return Sample(
        **{"id": identity, "label": "cat", "origin": origin, "stage": stage, **more},
        kept=by is None, dropped=reason, dropped_by=by,
    )  # fmt: skip


ROWS = [
    sample("real"),
    sample("subsampled", by="1-select-random"),
    sample("test", split="test"),
    sample("broken", by="source"),
    sample("unlabelled", label=None),
    sample("real-filtered", by="3-filter-clip"),
    sample("made", "synthetic", weight=2.5),
    sample("filtered", "synthetic", by="3-filter-clip"),
    sample("unsafe", "synthetic", by="4-filter-safety"),
    sample("failed", "synthetic", by="2-generate-augmented-conditioning"),
    sample("leaked", "synthetic", by="3-filter-duplicates", reason="leakage: exact copy of x"),
    sample("left", "synthetic", by="5-select-k-center"),
    sample("held-out", "synthetic", split="validation"),
]


def fates_of(rows=ROWS, chain=CHAIN, classes=("cat",)) -> Outcomes:
    ledger = Ledger(list(classes))
    ledger.extend(rows)
    return Outcomes(ledger, chain, Classification(settings_of({})).learnable(ledger))


def ids(outcomes: Outcomes, arm) -> set[str]:
    return set(outcomes.ledger.column("id", arm.rows))


def test_each_arm_has_what_its_name_says():
    outcomes = fates_of()
    names = ("real", "real+classical", "real+synthetic", "real+kept", "real+selected")
    arms = {arm.name: arm for arm in arms_of(outcomes, names)}
    assert ids(outcomes, arms["real"]) == ids(outcomes, arms["real+classical"]) == {"real", "real-filtered"}
    assert ids(outcomes, arms["real+synthetic"]) == {"real", "real-filtered", "made", "filtered", "left"}
    assert ids(outcomes, arms["real+kept"]) == {"real", "made", "left"}
    assert ids(outcomes, arms["real+selected"]) == {"real", "made"}
    assert [name for name, arm in arms.items() if arm.classical] == ["real+classical"]


def test_only_the_selection_weighs():
    arms = arms_of(fates_of(), ("real", "real+kept", "real+selected"))
    assert set(arms[1].weights) == {1.0} and set(arms[2].weights) == {1.0, 2.5}


def test_arms_that_say_nothing_new_are_left_out():
    assert fates_of().differing() == ARMS
    alone = fates_of([sample("real")], [])
    assert alone.differing() == ("real", "real+classical")


def test_the_random_arm_is_as_large_as_the_selected_one_in_every_class():
    """Of each class and origin as many, of what the filters left; weights are the selection's, so there are none."""
    rows = [sample(f"real-{n}", label="cat" if n % 2 else "dog") for n in range(8)]
    for n in range(40):
        by = {0: "3-filter-clip", 1: "5-select-k-center", 2: "5-select-k-center"}.get(n % 5)
        rows.append(sample(f"made-{n}", "synthetic", by, label="cat" if n < 30 else "dog", weight=3.0))
    outcomes = fates_of(rows, classes=("cat", "dog"))
    selected, random = arms_of(outcomes, ("real+selected", "real+random"))
    sampled_params = [random.drawn(seed) for seed in range(60)]

    def kinds(arm):
        return Counter(zip(outcomes.ledger.column("label", arm.rows), outcomes.made[arm.rows], strict=True))

    assert random.size == len(selected.rows)
    for draw in sampled_params:
        assert kinds(draw) == kinds(selected) and set(draw.weights) == {1.0} and len(set(draw.rows)) == len(draw.rows)
    seen = set().union(*(draw.rows.tolist() for draw in sampled_params))
    assert seen == set(np.flatnonzero(~outcomes.filtered).tolist())  # everything kept has its chance, nothing else
    assert random.drawn(3).rows.tolist() == sampled_params[3].rows.tolist() != sampled_params[4].rows.tolist()
    assert selected.drawn(3) is selected


def test_nothing_real_is_refused():
    with pytest.raises(RecipeError, match="no labelled real image"):
        arms_of(fates_of([sample("test", split="test")]), ("real",))


def few_shot(shots: int | None, *later):
    stage = build_stage("generate", "augmented-conditioning", {} if shots is None else {"shots": shots})
    return [("2-generate-augmented-conditioning", stage), *later]


def with_children(parents: list[str]) -> list[Sample]:
    real = [sample(f"r{number}", digest=str(number)) for number in range(6)]
    return [*real, sample("child", "synthetic", parents=tuple(parents))]


def first_shots(count: int) -> list[str]:
    from augforge.data.pool import Pool

    return [s.id for s in Pool(with_children([])[:6], count).samples]


def test_shots_are_those_of_the_generator():
    outcomes = fates_of(with_children(first_shots(2)), few_shot(2))
    real, made = arms_of(outcomes, ("real", "real+synthetic"), FewShot(shots=2))
    assert ids(outcomes, real) == set(first_shots(2))
    assert ids(outcomes, made) == {*first_shots(2), "child"}


@pytest.mark.parametrize("made_with", [None, 4])
def test_a_generator_that_saw_more_than_the_shots_is_refused(made_with):
    outcomes = fates_of(with_children(first_shots(2)), few_shot(made_with))
    with pytest.raises(RecipeError, match="saw more real images") as error:
        arms_of(outcomes, ("real", "real+synthetic"), FewShot(shots=2))
    assert "few-shot" in error.value.hint
    assert (
        len(arms_of(outcomes, ("real", "real+classical"), FewShot(shots=2))[0].rows) == 2
    )  # nothing made is asked for


def test_a_parent_outside_the_shots_is_refused():
    outside = next(f"r{n}" for n in range(6) if f"r{n}" not in first_shots(2))
    with pytest.raises(RecipeError, match="not among the 2 shots"):
        arms_of(fates_of(with_children([outside]), few_shot(2)), ("real", "real+synthetic"), FewShot(shots=2))


def test_a_run_that_has_no_more_images_needs_no_shots_of_its_generator():
    outcomes = fates_of(with_children(["r5"]), few_shot(None))
    assert len(arms_of(outcomes, ("real", "real+synthetic"), FewShot(shots=6))[1].rows) == 7


@pytest.mark.parametrize(
    ("verb", "name", "options", "refused"),
    [
        ("filter", "prototype", {}, True),
        ("filter", "clip", {"by": "clip-prototype"}, True),
        ("filter", "clip", {"by": "clip-margin"}, False),
        ("filter", "sharpness", {}, False),
        ("select", "k-center", {"on": "all", "share": 0.5}, True),
        ("select", "k-center", {"on": "synthetic", "share": 0.5}, False),
        ("train", "classifier", {"backbone": "probe", "embedder": "builtin-clip"}, True),
        ("train", "classifier", {"backbone": "probe", "embedder": "builtin-clip", "shots": 2}, False),
    ],
)
def test_a_stage_that_looked_at_more_than_the_shots_is_refused(verb, name, options, refused):
    chain = few_shot(2, (f"3-{verb}-{name}", build_stage(verb, name, options)))
    outcomes = fates_of(with_children(first_shots(2)), chain)
    names = ("real", "real+synthetic", "real+kept", "real+selected")
    if not refused:
        assert len(arms_of(outcomes, names, FewShot(shots=2))) == 4
        return
    with pytest.raises(RecipeError, match=f"3-{verb}-{name} looked at more"):
        arms_of(outcomes, names, FewShot(shots=2))


def test_what_was_judged_among_images_of_other_shots_is_refused():
    """The road of five generators in one run: what is kept of K = 1 would hang on what was made from K = 16."""
    rows = [*with_children(first_shots(2)), sample("more", "synthetic", stage="3-generate-augmented-conditioning")]
    more = build_stage("generate", "augmented-conditioning", {"shots": 4})
    outcomes = fates_of(rows, few_shot(2, ("3-generate-augmented-conditioning", more)))
    assert ids(outcomes, arms_of(outcomes, ("real", "real+synthetic"), FewShot(shots=2))[1]) == {
        *first_shots(2),
        "child",
    }
    with pytest.raises(RecipeError, match="among images made from others"):
        arms_of(outcomes, ("real", "real+kept"), FewShot(shots=2))


LARGE = [sample(f"{label}{n}", label=label) for label in ("a", "b") for n in range(16)]


def tail_of(rows: list[Sample], imbalance: float) -> set[str]:
    """What the stage leaves."""
    ledger = Ledger(["a", "b"])
    ledger.extend(rows)
    subsample(LongTail(imbalance=imbalance), "1-select-long-tail", ledger)
    return set(ledger.column("id", ledger.visible()))


def test_a_long_tail_is_that_of_the_stage():
    outcomes = fates_of(LARGE, [], ("a", "b"))
    (arm,) = arms_of(outcomes, ("real",), LongTail(imbalance=8))
    assert ids(outcomes, arm) == tail_of(LARGE, 8) and len(arm.rows) == 16 + 2


def test_a_long_tail_takes_what_was_made_from_it_and_from_no_other():
    tail = tail_of(LARGE, 8)
    inside = sorted(tail & {s.id for s in LARGE if s.label == "b"})
    outside = next(s.id for s in LARGE if s.id not in tail)
    children = [
        sample("within", "synthetic", label="b", parents=tuple(inside)),
        sample("across", "synthetic", label="b", parents=(inside[0], outside)),
    ]
    outcomes = fates_of([*LARGE, *children], few_shot(None), ("a", "b"))
    _, made = arms_of(outcomes, ("real", "real+synthetic"), LongTail(imbalance=8))
    assert ids(outcomes, made) == tail | {"within"}
    with pytest.raises(RecipeError, match="the long tail was filtered or selected among") as error:
        arms_of(outcomes, ("real", "real+kept"), LongTail(imbalance=8))
    assert "`- select: long-tail` and imbalance: 8" in error.value.hint
    alone = fates_of([*LARGE, children[1]], few_shot(None), ("a", "b"))
    with pytest.raises(RecipeError, match="made nothing from the long tail alone"):
        arms_of(alone, ("real", "real+synthetic"), LongTail(imbalance=8))


def test_a_trainer_that_saw_more_than_the_long_tail_is_refused():
    trainer = build_stage("train", "classifier", {"backbone": "probe", "embedder": "builtin-clip"})
    child = sample("within", "synthetic", label="b", parents=(min(tail_of(LARGE, 8)),))
    outcomes = fates_of([*LARGE, child], [("1-train-classifier", trainer), *few_shot(None)], ("a", "b"))
    with pytest.raises(RecipeError, match="1-train-classifier looked at more real images than the long tail"):
        arms_of(outcomes, ("real", "real+synthetic"), LongTail(imbalance=8))
    assert len(arms_of(outcomes, ("real", "real+synthetic"), LongTail(imbalance=1))[1].rows) == 33  # it leaves all


def test_rare_classes_come_first():
    assert by_rarity({"b": 5, "a": 1, "c": 5}) == ["a", "b", "c"]


def test_the_order_of_stages_goes_through_chained_runs():
    """A filter of the first run has the same number as the generator of the second."""
    chain = [("1-filter-clip", CHAIN[2][1]), ("1-generate-augmented-conditioning", CHAIN[1][1])]
    outcomes = fates_of([sample("real"), sample("gone", by="1-filter-clip")], chain)
    assert ids(outcomes, arms_of(outcomes, ("real",))[0]) == {"real"}
    assert np.flatnonzero(outcomes.real).tolist() == [0]
