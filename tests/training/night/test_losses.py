"""Losses in closed form, and what their wrong variants would say."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from augforge.training.night.losses import PatchHeads, detector_loss, draw_places, edge_loss, patch_nce, patches_at


def test_detector_loss_sums_two_distances_before_the_sigmoid():
    maps = [torch.full((1, 1, 2, 2), value) for value in (3.0, -1.0, 1.0)]
    assert detector_loss(*maps).item() == pytest.approx(2 + 2)
    assert detector_loss(maps[2], maps[2], maps[2]) == 0


def test_edge_loss_is_a_distance_after_the_sigmoid():
    far, near = torch.full((1, 1, 2, 2), 40.0), torch.full((1, 1, 2, 2), 20.0)
    assert edge_loss(far, near) < 1e-6, "before the sigmoid it would be 20"
    assert edge_loss(far, -far).item() == pytest.approx(1)


def orthonormal(count: int) -> torch.Tensor:
    return torch.eye(count)[None]


@pytest.mark.parametrize("count", [2, 16, 256])
def test_patch_nce_of_orthonormal_features_in_closed_form(count):
    same = orthonormal(count)
    assert patch_nce([same], [same]).item() == pytest.approx(
        math.log(1 + (count - 1) * math.exp(-1 / 0.07)), rel=1e-3, abs=1e-6
    )
    assert patch_nce([same], [same], 0.5).item() == pytest.approx(math.log(1 + (count - 1) * math.exp(-2)), rel=1e-4)
    shifted = same.roll(1, 1)
    assert patch_nce([same], [shifted]).item() == pytest.approx(
        math.log(1 + (count - 1) * math.exp(-1 / 0.07)) + 1 / 0.07, rel=1e-3
    )


def test_patch_nce_without_information_is_the_logarithm_of_the_count():
    alike = F.normalize(torch.ones(2, 8, 4), dim=-1)
    assert patch_nce([alike], [alike]).item() == pytest.approx(math.log(8), rel=1e-5)


def test_patch_nce_is_least_for_the_right_order():
    torch.manual_seed(0)
    vectors = F.normalize(torch.randn(2, 32, 16), dim=-1)
    best = patch_nce([vectors], [vectors])
    for _ in range(5):
        assert patch_nce([vectors], [vectors[:, torch.randperm(32)]]) > best + 1


def test_patch_nce_compares_within_one_picture_and_averages_layers():
    torch.manual_seed(0)
    one, other = (F.normalize(torch.randn(1, 8, 4), dim=-1) for _ in range(2))
    alone = [patch_nce([vectors], [vectors]) for vectors in (one, other)]
    both = torch.cat([one, other])
    assert torch.allclose(patch_nce([both], [both]), torch.stack(alone).mean())
    assert torch.allclose(patch_nce([one, other], [one, other]), torch.stack(alone).mean())


def test_keys_are_constants():
    queries, keys = (F.normalize(torch.randn(1, 8, 4), dim=-1).requires_grad_() for _ in range(2))
    patch_nce([queries], [keys]).backward()
    assert queries.grad is not None and keys.grad is None


def test_places_are_different_ones_and_patches_are_the_features_there():
    layer = torch.randn(2, 3, 4, 5)
    (places,) = draw_places([layer], 7)
    assert len(places.unique()) == 7 and places.max() < 20
    assert len(draw_places([layer])[0]) == 20, "no more than there are"
    (patches,) = patches_at([layer], [places])
    for number, place in enumerate(places):
        assert torch.equal(patches[:, number], layer[:, :, place // 5, place % 5])


def test_heads_give_unit_vectors():
    found = PatchHeads([3, 5])([torch.randn(2, 7, 3), torch.randn(2, 7, 5)])
    assert [tuple(vectors.shape) for vectors in found] == [(2, 7, 256)] * 2
    assert all(torch.allclose(vectors.norm(dim=-1), torch.ones(2, 7), atol=1e-5) for vectors in found)
