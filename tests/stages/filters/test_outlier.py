import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.stages.filters import outlier
from augforge.stages.filters.outlier import Outlier, oddness
from tests.stages.filters.galleries import X, Y, directions, inputs


def brute_force(image, others, lowest):
    distances = sorted(float(np.linalg.norm(image.astype(float) - other.astype(float))) for other in others)
    return sum(distances[: max(1, int(lowest * len(distances) + 1e-9))]) / max(1, int(lowest * len(distances) + 1e-9))


def scores(images, classes, real, theirs, ids=None, **options):
    shown = inputs(images, classes, reference=(real, theirs, [f"r{i:03d}" for i in range(len(real))]), ids=ids)
    return Outlier(**options).compare(shown)["outlier"]


@given(st.integers(1, 40), st.sampled_from([0.1, 0.3, 0.5, 1.0]), st.integers(0, 5))
def test_it_is_the_mean_of_the_lowest_distances(count, lowest, seed):
    real, images = directions(count, seed=seed), directions(7, seed=seed + 100)
    expected = [brute_force(image, real, lowest) for image in images]
    assert scores(images, [0] * 7, real, [0] * count, lowest=lowest) == pytest.approx(expected, abs=1e-6)


def test_an_image_is_not_compared_with_itself_nor_with_another_class():
    real, theirs = directions(30), np.arange(30) % 2
    ids = [f"r{i:03d}" for i in range(30)]
    found = scores(real, theirs, real, theirs, ids=ids)
    for i in range(30):
        others = [real[j] for j in range(30) if j != i and theirs[j] == theirs[i]]
        assert found[i] == pytest.approx(brute_force(real[i], others, 0.3), abs=1e-6)
    assert np.abs(found - scores(real, theirs, real, theirs)).min() > 0  # with itself among the others: lower


def test_a_planted_odd_one_has_the_top_score():
    images = np.vstack([directions(40, width=32, spread=0.05), directions(1, width=32, seed=9, spread=3)])
    found = scores(images, [0] * 41, images, [0] * 41, ids=[f"r{i:03d}" for i in range(41)])
    assert found.argmax() == 40 and found[40] > 2 * np.sort(found)[-2]


@pytest.mark.parametrize("others", [1, 2, 3])
def test_with_fewer_than_four_others_the_nearest_counts(others):
    real = directions(others)
    with np.errstate(all="ignore"):
        empty = np.sort(np.linalg.norm(X[0] - real, axis=1))[: int(0.3 * others)]
        assert len(empty) == 0  # the published interval: its mean is NaN
    (found,) = scores(directions(1, seed=5), [0], real, [0] * others)
    assert found == pytest.approx(np.linalg.norm(directions(1, seed=5) - real, axis=1).min(), abs=1e-6)


def test_alone_or_without_a_class():
    assert scores([X, Y], [0, 0], [X], [0], ids=["r000", "made"]).tolist() == pytest.approx([0, 2**0.5])
    assert np.isnan(scores([X, Y], [1, -1], [X], [0])).all()
    assert scores([X] * 3, [0] * 3, [X] * 3, [0] * 3).tolist() == pytest.approx([0] * 3)  # equal images are not odd


def test_permuting_the_images_permutes_the_scores():
    images, real = directions(25), directions(10, seed=1)
    order = np.random.default_rng(0).permutation(25)
    straight = scores(images, [0] * 25, real, [0] * 10)
    assert scores(images[order], [0] * 25, real, [0] * 10) == pytest.approx(straight[order], abs=1e-9)


def test_the_reference_is_a_fixed_subset_that_only_grows():
    real, images = directions(50), directions(4, seed=1)
    shown = inputs(images, [0] * 4, reference=(real, [0] * 50, [f"r{i:03d}" for i in range(50)]))
    few, more = (set(Outlier(reference=size)._chosen(shown, 0).tolist()) for size in (8, 16))
    assert len(few) == 8 and len(more) == 16 and few < more
    assert few != set(range(8))
    found = scores(images, [0] * 4, real, [0] * 50, reference=8)
    assert found == pytest.approx([brute_force(image, real[sorted(few)], 0.3) for image in images], abs=1e-6)


def test_chunks_do_not_matter(monkeypatch):
    images, real = directions(30), directions(12, seed=1)
    whole = scores(images, [0] * 30, real, [0] * 12)
    monkeypatch.setattr(outlier, "ROWS", 7)
    assert scores(images, [0] * 30, real, [0] * 12) == pytest.approx(whole, abs=1e-12)


def test_what_is_not_finite_has_no_score():
    assert np.isnan(oddness(X[None] * np.nan, np.stack([X, Y]), np.array([-1]), 0.3)).all()


def test_less_is_better():
    rule = Outlier(keep=0.5).rule()
    assert rule.apply(np.array([0.1, 0.9]), ["a", "b"], np.zeros(2, dtype=int), "all")[0].tolist() == [True, False]
