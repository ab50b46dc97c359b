"""The nearest of other images, by brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.duplicates import replication
from augforge.algorithms.duplicates.replication import nearest_of, nearest_parent
from tests.stages.filters.galleries import X, Y, Z, directions


@given(st.integers(0, 50), st.integers(1, 20), st.integers(1, 20))
def test_it_is_the_largest_cosine_and_who_has_it(seed, n, m):
    images, others = directions(n, seed=seed, spread=2), directions(m, seed=seed + 100, spread=2)
    scores, which = nearest_of(images, others)
    for image, score, place in zip(images, scores, which, strict=True):
        every = [float(image @ other) for other in others]
        assert score == pytest.approx(max(every), abs=2e-6) and every[place] == pytest.approx(max(every), abs=2e-6)


def test_the_first_of_copies_is_named():
    others = np.stack([Y, X, X, X])
    assert nearest_of(np.stack([X, Y]), others)[1].tolist() == [1, 0]


def test_blocks_do_not_matter(monkeypatch):
    images, others = directions(23, spread=2), directions(7, seed=1, spread=2)
    scores, which = nearest_of(images, others)
    monkeypatch.setattr(replication, "NUMBERS", 20)
    again = nearest_of(images, others)
    assert again[0].tolist() == scores.tolist() and again[1].tolist() == which.tolist()


@given(st.integers(0, 50), st.integers(1, 12), st.integers(1, 60), st.integers(1, 30))
def test_faiss_finds_what_brute_force_finds_copies_too(seed, n, m, copies):
    pytest.importorskip("faiss")
    random = np.random.default_rng(seed)
    others = directions(m, seed=seed + 100, spread=2)
    others = np.concatenate([others, others[random.integers(0, m, copies)], np.repeat(others[:1], copies, axis=0)])
    others = others[random.permutation(len(others))]
    images = np.concatenate([directions(n, seed=seed, spread=2), others[:3]])
    if len(others) < replication.CANDIDATES:
        others = np.concatenate([others, others, others, others, others, others, others, others])
    scores, which = replication._by_products(images, others)
    found = replication._by_faiss(images, others)
    near = np.abs(images @ others.T - scores[:, None]) <= replication.TIE
    assert found[0] == pytest.approx(scores, abs=replication.TIE)
    assert near[np.arange(len(images)), found[1]].all()
    alone = near.sum(axis=1) == [(others == others[place]).all(axis=1).sum() for place in which]  # but for its copies
    assert found[1][alone].tolist() == which[alone].tolist()


def test_faiss_is_asked_where_there_are_many(monkeypatch):
    pytest.importorskip("faiss")
    images, others = directions(20, spread=2), directions(300, seed=1, spread=2)
    plain = nearest_of(images, others)
    monkeypatch.setattr(replication, "LARGE", 300)
    monkeypatch.setattr(replication, "_by_products", None)
    found = nearest_of(images, others)
    assert found[1].tolist() == plain[1].tolist() and found[0] == pytest.approx(plain[0], abs=replication.TIE)


def test_without_faiss_the_products_do(monkeypatch):
    images, others = directions(5, spread=2), directions(30, seed=1, spread=2)
    plain = nearest_of(images, others)
    monkeypatch.setattr(replication, "LARGE", 10)
    monkeypatch.setattr(replication, "installed", lambda name: False)
    assert nearest_of(images, others)[1].tolist() == plain[1].tolist()


def test_only_the_own_parents_count_and_the_nearest_of_them():
    diagonal = (X + Y) / np.sqrt(2, dtype=np.float32)
    images = np.stack([X, X, X])
    scores, which = nearest_parent(images, np.array([0, 1, 1]), np.stack([Y, Z, diagonal]))
    assert scores[:2] == pytest.approx([0, 1 / np.sqrt(2)], abs=1e-6) and which.tolist() == [0, 2, -1]
    assert np.isnan(scores[2])  # to all parents of all it would be 0.7, too
    assert nearest_parent(images, np.array([0, 0]), np.stack([X, X]))[1][0] == 0


def test_nothing_to_compare_with_is_no_score():
    for scores, which in (
        nearest_of(directions(2), np.zeros((0, 8), dtype=np.float32)),
        nearest_parent(directions(2), np.zeros(0, dtype=np.int64), np.zeros((0, 8), dtype=np.float32)),
    ):
        assert np.isnan(scores).all() and which.tolist() == [-1, -1]


def test_a_vector_that_is_no_number_has_no_nearest_and_costs_the_others_nothing():
    images, others = directions(3), directions(5, seed=1)
    plain = nearest_of(images, others)
    images[1] = np.nan
    scores, which = nearest_of(images, others)
    assert np.isnan(scores[1]) and which[[0, 2]].tolist() == plain[1][[0, 2]].tolist()
