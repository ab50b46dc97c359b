"""Style codes: found again whatever the order, chosen by index, filled into their regions."""

from __future__ import annotations

import numpy as np
import torch

from augforge.models.networks.paired.instances import VOID
from augforge.models.networks.paired.styles import MOST, StyleCodes, cluster


def points() -> tuple[torch.Tensor, torch.Tensor]:
    """Class 0 in three clumps of 30, 20 and 10; class 1 in two points; class 2 not at all."""
    random = torch.Generator().manual_seed(0)
    clumps = [(0.5, 30), (-0.5, 20), (0.0, 10)]
    own = torch.cat([torch.full((n, 3), at) + 0.001 * torch.randn(n, 3, generator=random) for at, n in clumps])
    features = torch.cat([own, torch.tensor([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])])
    return features, torch.tensor([0] * 60 + [1] * 2)


def test_codes_are_the_clumps_the_largest_first() -> None:
    found = cluster(*points(), regions=3, seed=0, most=3)
    assert found.codes.shape == (3, 3, 3) and found.counts() == [3, 2, 0]
    assert found.sizes.tolist() == [[30, 20, 10], [1, 1, 0], [0, 0, 0]]
    torch.testing.assert_close(found.codes[0, :, 0], torch.tensor([0.5, -0.5, 0.0]), atol=0.002, rtol=0)


def test_codes_are_the_same_every_time() -> None:
    features, classes = torch.rand(200, 3), torch.zeros(200, dtype=torch.int64)
    first, second = (cluster(features, classes, 1, seed=4) for _ in range(2))
    assert torch.equal(first.codes, second.codes) and torch.equal(first.sizes, second.sizes)
    assert first.counts() == [MOST] and int(first.sizes.sum()) == 200


def test_no_more_codes_than_distinct_points() -> None:
    features = torch.tensor([[0.0, 0.0]] * 5 + [[1.0, 1.0]] * 3)
    assert cluster(features, torch.zeros(8, dtype=torch.int64), 1, seed=0).counts() == [2]


def test_the_mean_code_is_the_mean_of_the_instances() -> None:
    features, classes = points()
    means = cluster(features, classes, regions=3, seed=0).means()
    torch.testing.assert_close(means[0], features[classes == 0].mean(0), atol=1e-5, rtol=0)
    torch.testing.assert_close(means[1], features[classes == 1].mean(0), atol=1e-5, rtol=0)
    assert not means[2].any()


def codes() -> StyleCodes:
    return StyleCodes(
        torch.tensor([[[1.0], [2.0]], [[5.0], [0.0]], [[0.0], [0.0]]]), torch.tensor([[3, 1], [1, 0], [0, 0]])
    )


def test_a_code_fills_the_region_of_its_class() -> None:
    classes = torch.tensor([[0, 1], [VOID, 2]])
    assert codes().fill(classes, {0: 1})[0].tolist() == [[2, 5], [0, 0]]
    assert codes().fill(classes, 1)[0].tolist() == [[2, 5], [0, 0]]  # class 1 has one code only
    assert codes().fill(classes, 0)[0].tolist() == [[1, 5], [0, 0]]
    assert codes().fill(classes)[0].tolist() == [[1.25, 5], [0, 0]]  # the mean over instances, not over codes


def test_codes_are_chosen_for_the_classes_that_have_some() -> None:
    drawn = [codes().choose(np.random.default_rng(seed)) for seed in range(40)]
    assert all(set(one) == {0, 1} and one[1] == 0 for one in drawn)
    assert {one[0] for one in drawn} == {0, 1}
    assert codes().choose(np.random.default_rng(3)) == codes().choose(np.random.default_rng(3))
