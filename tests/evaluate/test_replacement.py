"""Real images replaced by ones that were made from them, in evaluate and in users' own loops."""

from __future__ import annotations

import json

import numpy as np
import pytest
from datasets import Dataset

from augforge.data.ledger import Ledger
from augforge.data.sample import Sample
from augforge.errors import RecipeError, SourceError
from augforge.evaluate.batches import children_of, replaced
from augforge.evaluate.evaluation import evaluate
from augforge.evaluate.learners import Batches
from augforge.evaluate.settings import settings_of
from augforge.torch import Replaced
from tests.evaluate.test_evaluate import quick, write_run, write_test

IDS = ["a", "b", "c", "a1", "a2", "b1", "b11", "x1", "ab"]
PARENTS = [(), (), (), ("a",), ("a",), ("b",), ("b1",), ("gone",), ("a", "b")]
REAL = np.array([True, True, True, *[False] * 6])
CHILDREN = {0: [3, 4, 8], 1: [5, 6, 8]}


def test_children_are_known_at_any_remove_and_of_every_parent():
    found = children_of(IDS, PARENTS, REAL)
    assert {place: rows.tolist() for place, rows in found.items()} == CHILDREN
    assert children_of(["a", "b"], [("b",), ("a",)], np.zeros(2, dtype=bool)) == {}, "a circle has no end"


def test_a_share_is_replaced_each_by_its_own_children_alike_often():
    children = {place: np.array(rows) for place, rows in CHILDREN.items()}
    real = np.tile([0, 1, 2], 4000)
    found = replaced(real, children, 0.3, np.random.default_rng(0))
    for place, own in CHILDREN.items():
        mine = found[real == place]
        assert (mine == place).mean() == pytest.approx(0.7, abs=0.03) and set(mine) == {place, *own}
        shares = [(mine == row).mean() for row in own]
        assert max(shares) - min(shares) < 0.03
    assert (found[real == 2] == 2).all(), "nothing was made from it"
    everything = replaced(real, children, 1.0, np.random.default_rng(0))
    assert set(everything[real != 2]) == {3, 4, 5, 6, 8}
    assert (replaced(real, children, 0.0, np.random.default_rng(0)) == real).all()


def ledger_of(ids=IDS, parents=PARENTS, real=REAL) -> Ledger:
    ledger = Ledger(["cat"])
    ledger.extend(
        Sample(id=identity, label="cat", origin="real" if own else "synthetic", parents=above, digest=identity)
        for identity, above, own in zip(ids, parents, real, strict=True)
    )
    return ledger


def test_an_arm_draws_such_batches_and_the_real_arm_stays_as_it_is():
    settings, ledger = settings_of({"replacement": "0.5", "batch": "8"}), ledger_of()
    added = Batches.of(settings, "real+synthetic", (ledger, np.arange(9)))
    batches = np.stack(list(added.drawn(300, np.random.default_rng(0))))
    assert batches.shape == (300, 8) and set(batches.ravel()) == {0, 1, 2, 3, 4, 5, 6, 8}
    assert (batches >= 3).mean() == pytest.approx(0.5 * 2 / 3, abs=0.04)
    again = np.stack(list(added.drawn(300, np.random.default_rng(0))))
    assert (batches == again).all()
    without = Batches.of(settings_of({"batch": "8"}), "real+synthetic", (ledger, np.arange(9)))
    assert all((rows >= 3).sum() == 4 for rows in without.drawn(20, np.random.default_rng(0)))
    alone, plain = (Batches.of(s, "real", (ledger, np.arange(3))) for s in (settings, settings_of({"batch": "8"})))
    one, other = (np.stack(list(b.drawn(20, np.random.default_rng(1)))) for b in (alone, plain))
    assert (one == other).all()
    first, second = ledger_of(IDS[:3], PARENTS[:3], REAL[:3]), ledger_of(IDS[3:], PARENTS[3:], REAL[3:])
    parts = Batches.of(settings, "real+classical", (first, np.arange(3)), (second, np.arange(6)))
    assert {place: rows.tolist() for place, rows in parts.children.items()} == CHILDREN


def test_an_arm_of_which_nothing_was_made_from_real_images_is_refused(tmp_path):
    run, test = write_run(tmp_path / "run", 0), write_test(tmp_path / "test")
    options = quick(replacement="0.5", learner="resnet", size="16", arms="real,real+synthetic")
    with pytest.raises(RecipeError, match=r"--replacement: no image that the arm real[+]synthetic adds was made from"):
        evaluate(run, str(test), options)


def rows_of(ids=IDS, parents=PARENTS, real=REAL) -> Dataset:
    said = [json.dumps({"parents": [{"id": one} for one in above]} if above else {}) for above in parents]
    return Dataset.from_dict(
        {"id": ids, "origin": ["real" if own else "synthetic" for own in real], "provenance": said}
    )


def test_an_epoch_shows_every_real_image_once_or_what_was_made_from_it():
    sampler, seen = Replaced(rows_of(), share=0.5, seed=3), []
    for epoch in range(200):
        sampler.set_epoch(epoch)
        rows = list(sampler)
        seen += rows
        assert len(rows) == len(sampler) == 3 and 2 in rows
        assert any(row in (0, *CHILDREN[0]) for row in rows) and any(row in (1, *CHILDREN[1]) for row in rows)
    assert np.mean([row >= 3 for row in seen]) == pytest.approx(1 / 3, abs=0.06) and 7 not in seen
    again = Replaced(rows_of(), share=0.5, seed=3)
    again.set_epoch(199)
    assert list(again) == seen[-3:]


def test_what_names_no_parents_is_refused():
    with pytest.raises(ValueError, match="share"):
        Replaced(rows_of(), share=1.5)
    with pytest.raises(SourceError, match="no row was made from a real one"):
        Replaced(rows_of(parents=[()] * 9))
    with pytest.raises(SourceError, match="no column 'provenance'"):
        Replaced(rows_of().remove_columns("provenance"))
