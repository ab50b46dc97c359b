"""EfficientAD: shapes and counts as published, and the closed forms of its losses and scales."""

from __future__ import annotations

import pytest
import torch

from augforge.algorithms.efficientad import Scale, hard_mean, scale_of, squared_distance
from augforge.models.networks.efficientad import Autoencoder, EfficientAd, PatchDescription, grid_of


def count(net: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_the_published_shapes_and_counts():
    teacher = PatchDescription(384, 384)
    assert count(teacher) == 2_694_144
    assert teacher(torch.zeros(1, 3, 256, 256)).shape == (1, 384, 56, 56)
    assert grid_of(256) == 56 and grid_of(64) == 8
    assert Autoencoder(384, 384, 256)(torch.zeros(1, 3, 256, 256)).shape == (1, 384, 56, 56)
    assert count(PatchDescription(384, 768)) == 2_694_144 + 384 * (256 * 16 + 1)


def test_a_place_sees_33_px_and_its_neighbour_begins_4_px_further():
    net, picture = PatchDescription(12, 12), torch.zeros(1, 3, 64, 64)
    before = net(picture)
    picture[..., 4 + 32, 4 + 32] = 1
    changed = (net(picture) - before).abs().amax(dim=1)[0] > 0
    assert changed[1, 1] and not changed[0, 0]  # place 1 sees px 4 to 36, place 0 px 0 to 32


@pytest.mark.parametrize("size", [64, 96, 128])
def test_smaller_pictures_have_smaller_grids(size):
    net = EfficientAd(size, 12).eval()
    assert net(torch.randn(2, 3, size, size)).shape == (2, grid_of(size), grid_of(size))


def test_a_hard_loss_of_share_0_is_the_plain_mean_and_of_999_the_largest_thousandth():
    errors = torch.rand(4, 10, 50, 50, dtype=torch.float64)  # in 32 bits the quantile may fall onto its neighbour
    assert torch.allclose(hard_mean(errors, 0), errors.mean())
    largest = errors.flatten().sort(descending=True).values
    assert torch.allclose(hard_mean(errors, 0.999), largest[:100].mean())
    assert hard_mean(torch.tensor([1.0, 5.0]), 0.999) == 5.0
    quantile = torch.quantile(errors.flatten()[:50_000], 0.999)
    few = errors.flatten()[:50_000]
    assert torch.allclose(hard_mean(few, 0.999), few[few >= quantile].mean())


def test_the_quantiles_become_0_and_a_tenth():
    values = torch.rand(20, 56, 56).square()
    scale = scale_of(values)
    assert torch.allclose(torch.as_tensor(scale.low), torch.quantile(values.flatten()[:], 0.9))
    scaled = scale(values).flatten()
    assert torch.quantile(scaled, 0.9).item() == pytest.approx(0, abs=1e-6)
    assert torch.quantile(scaled, 0.995).item() == pytest.approx(0.1, abs=1e-6)
    assert Scale(2.0, 4.0)(torch.tensor([2.0, 4.0, 6.0, 0.0])).tolist() == pytest.approx([0, 0.1, 0.2, -0.1])


def test_a_student_that_equals_the_teacher_scores_0():
    features = torch.randn(3, 8, 5, 5)
    maps = squared_distance(features, features.clone())
    assert maps.abs().max() == 0 and hard_mean((features - features).square()) == 0
    scaled = scale_of(maps)(maps)
    assert scaled.abs().max() == 0  # no division by 0, which would be no number


def test_a_perfect_pair_scores_0_as_a_whole():
    torch.manual_seed(0)
    net = EfficientAd(64, 12).eval()
    pictures = torch.randn(2, 3, 64, 64)
    net.learnt = lambda given: (net.taught(given), net.autoencoder(given))
    assert net(pictures).abs().max() == 0


def test_both_maps_count_for_half():
    torch.manual_seed(0)
    net = EfficientAd(64, 12).eval()
    net.scales = torch.tensor([[0.1, 0.3], [0.2, 0.5]])
    pictures = torch.randn(2, 3, 64, 64)
    first, second = net.raw_maps(pictures)
    expected = (0.1 * (first - 0.1) / 0.2 + 0.1 * (second - 0.2) / 0.3) / 2
    assert torch.allclose(net(pictures), expected, atol=1e-6)
