"""Which images an arm has, and that shots never see more than the generator did."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.catalog import stage_class
from augforge.errors import RecipeError
from augforge.evaluate.arms import Fates, arms_of, by_rarity
from augforge.ledger import Ledger
from augforge.recipe import build_stage
from augforge.sample import Sample

SAFETY = stage_class("filter", "safety").model_construct()
CHAIN = [
    ("1-select-random", build_stage("select", "random", {"on": "real"})),
    ("2-generate-augmented-conditioning", build_stage("generate", "augmented-conditioning", {})),
    ("3-filter-clip", build_stage("filter", "clip", {"on": "synthetic"})),
    ("4-filter-safety", SAFETY),
    ("5-select-k-center", build_stage("select", "k-center", {"on": "synthetic"})),
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
    sample("thinned", by="1-select-random"),
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


def fates_of(rows=ROWS, chain=CHAIN) -> Fates:
    ledger = Ledger(["cat"])
    ledger.extend(rows)
    return Fates(ledger, chain)


def ids(fates: Fates, arm) -> set[str]:
    return set(fates.ledger.column("id", arm.rows))


def test_each_arm_has_what_its_name_says():
    fates = fates_of()
    names = ("real", "real+classical", "real+synthetic", "real+kept", "real+selected")
    arms = {arm.name: arm for arm in arms_of(fates, names)}
    assert ids(fates, arms["real"]) == ids(fates, arms["real+classical"]) == {"real", "real-filtered"}
    assert ids(fates, arms["real+synthetic"]) == {"real", "real-filtered", "made", "filtered", "left"}
    assert ids(fates, arms["real+kept"]) == {"real", "made", "left"}
    assert ids(fates, arms["real+selected"]) == {"real", "made"}
    assert [name for name, arm in arms.items() if arm.classical] == ["real+classical"]


def test_only_the_selection_weighs():
    arms = arms_of(fates_of(), ("real", "real+kept", "real+selected"))
    assert set(arms[1].weights) == {1.0} and set(arms[2].weights) == {1.0, 2.5}


def test_arms_that_say_nothing_new_are_left_out():
    assert fates_of().differing() == ("real", "real+classical", "real+synthetic", "real+kept", "real+selected")
    alone = fates_of([sample("real")], [])
    assert alone.differing() == ("real", "real+classical")


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
    from augforge.pool import Pool

    return [s.id for s in Pool(with_children([])[:6], count).samples]


def test_shots_are_those_of_the_generator():
    fates = fates_of(with_children(first_shots(2)), few_shot(2))
    real, made = arms_of(fates, ("real", "real+synthetic"), 2)
    assert ids(fates, real) == set(first_shots(2))
    assert ids(fates, made) == {*first_shots(2), "child"}


@pytest.mark.parametrize("made_with", [None, 4])
def test_a_generator_that_saw_more_than_the_shots_is_refused(made_with):
    fates = fates_of(with_children(first_shots(2)), few_shot(made_with))
    with pytest.raises(RecipeError, match="saw more real images") as error:
        arms_of(fates, ("real", "real+synthetic"), 2)
    assert "few-shot" in error.value.hint
    assert len(arms_of(fates, ("real", "real+classical"), 2)[0].rows) == 2  # nothing made is asked for


def test_a_parent_outside_the_shots_is_refused():
    outside = next(f"r{n}" for n in range(6) if f"r{n}" not in first_shots(2))
    with pytest.raises(RecipeError, match="not among the 2 shots"):
        arms_of(fates_of(with_children([outside]), few_shot(2)), ("real", "real+synthetic"), 2)


def test_a_run_that_has_no_more_images_needs_no_shots_of_its_generator():
    fates = fates_of(with_children(["r5"]), few_shot(None))
    assert len(arms_of(fates, ("real", "real+synthetic"), 6)[1].rows) == 7


@pytest.mark.parametrize(
    ("verb", "name", "options", "refused"),
    [
        ("filter", "prototype", {}, True),
        ("filter", "clip", {"by": "clip-prototype"}, True),
        ("filter", "clip", {"by": "clip-margin"}, False),
        ("filter", "sharpness", {}, False),
        ("select", "k-center", {"on": "all"}, True),
        ("select", "k-center", {"on": "synthetic"}, False),
        ("train", "classifier", {"backbone": "probe", "embedder": "builtin-clip"}, True),
        ("train", "classifier", {"backbone": "probe", "embedder": "builtin-clip", "shots": 2}, False),
    ],
)
def test_a_stage_that_looked_at_more_than_the_shots_is_refused(verb, name, options, refused):
    chain = few_shot(2, (f"3-{verb}-{name}", build_stage(verb, name, options)))
    fates = fates_of(with_children(first_shots(2)), chain)
    names = ("real", "real+synthetic", "real+kept", "real+selected")
    if not refused:
        assert len(arms_of(fates, names, 2)) == 4
        return
    with pytest.raises(RecipeError, match=f"3-{verb}-{name} looked at more"):
        arms_of(fates, names, 2)


def test_what_was_judged_among_images_of_other_shots_is_refused():
    """The road of five generators in one run: what is kept of K = 1 would hang on what was made from K = 16."""
    rows = [*with_children(first_shots(2)), sample("more", "synthetic", stage="3-generate-augmented-conditioning")]
    more = build_stage("generate", "augmented-conditioning", {"shots": 4})
    fates = fates_of(rows, few_shot(2, ("3-generate-augmented-conditioning", more)))
    assert ids(fates, arms_of(fates, ("real", "real+synthetic"), 2)[1]) == {*first_shots(2), "child"}
    with pytest.raises(RecipeError, match="among images made from others"):
        arms_of(fates, ("real", "real+kept"), 2)


def test_rare_classes_come_first():
    assert by_rarity({"b": 5, "a": 1, "c": 5}) == ["a", "b", "c"]


def test_the_order_of_stages_goes_through_chained_runs():
    """A filter of the first run has the same number as the generator of the second."""
    chain = [("1-filter-clip", CHAIN[2][1]), ("1-generate-augmented-conditioning", CHAIN[1][1])]
    fates = fates_of([sample("real"), sample("gone", by="1-filter-clip")], chain)
    assert ids(fates, arms_of(fates, ("real",))[0]) == {"real"}
    assert np.flatnonzero(fates.real).tolist() == [0]
