"""Balanced softmax, half-and-half batches and mixes from known answers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from augforge.errors import RecipeError
from augforge.evaluate.batches import half_and_half
from augforge.evaluate.losses import binary_loss, sizes_for, soft_loss, weighted
from augforge.evaluate.mixes import mixer, paste, resize_mix

LOGITS = torch.tensor([[1.0, 2.0, 0.5], [0.1, -1.0, 3.0]])
LABELS = torch.tensor([0, 2])


def one_hot(weights=(1.0, 1.0)):
    return weighted(torch.eye(3)[LABELS], torch.tensor(weights))[:, :3]


def test_without_sizes_it_is_the_cross_entropy():
    assert soft_loss(LOGITS, one_hot()).item() == pytest.approx(cross_entropy(LOGITS, LABELS).item(), rel=1e-6)


def test_balanced_softmax_with_equal_sizes_is_the_cross_entropy():
    equal = torch.tensor([7.0, 7.0, 7.0])
    assert soft_loss(LOGITS, one_hot(), equal).item() == pytest.approx(cross_entropy(LOGITS, LABELS).item(), rel=1e-6)


def test_balanced_softmax_is_the_published_formula():
    counts = torch.tensor([100.0, 10.0, 1.0])
    powers = counts * LOGITS.exp()  # n_c exp(z_c) / sum n_j exp(z_j)
    expected = -(powers[[0, 1], LABELS] / powers.sum(1)).log().mean()
    assert soft_loss(LOGITS, one_hot(), counts).item() == pytest.approx(expected.item(), rel=1e-6)
    divided = -((LOGITS - counts.log()).log_softmax(1)[[0, 1], LABELS]).mean()  # the sign the other way round
    assert soft_loss(LOGITS, one_hot(), counts).item() != pytest.approx(divided.item(), rel=0.1)


def test_a_weight_scales_the_loss_of_its_image():
    losses = cross_entropy(LOGITS, LABELS, reduction="none")
    assert soft_loss(LOGITS, one_hot((2.0, 0.0))).item() == pytest.approx(2 * losses[0].item() / 2, rel=1e-6)


def test_balanced_softmax_takes_the_real_counts_and_needs_some_of_each():
    assert sizes_for("balanced-softmax", {"a": 5, "b": 2}).tolist() == [5.0, 2.0]
    assert sizes_for("cross-entropy", {"a": 5, "b": 0}) is None
    with pytest.raises(RecipeError, match="'b' has none"):
        sizes_for("balanced-softmax", {"a": 5, "b": 0})


def test_batches_are_exactly_half_real_whatever_the_numbers():
    real, others = np.arange(3), np.arange(100, 150)
    batches = list(half_and_half(real, others, 8, 25, np.random.default_rng(0)))
    assert all((batch < 100).sum() == 4 and (batch >= 100).sum() == 4 for batch in batches)
    made = [row for batch in batches for row in batch if row >= 100]
    assert Counter(made) == dict.fromkeys(range(100, 150), 2)  # 100 places are two whole passes over 50
    assert set(np.concatenate(batches)[np.concatenate(batches) < 100]) == {0, 1, 2}


def test_without_others_all_of_a_batch_is_real():
    (batch,) = half_and_half(np.arange(3), np.zeros(0, dtype=np.int64), 8, 1, np.random.default_rng(0))
    assert len(batch) == 8 and (batch < 3).all()


def test_a_batch_needs_two_halves():
    with pytest.raises(ValueError, match="two halves"):
        next(half_and_half(np.arange(3), np.arange(3), 7, 1, np.random.default_rng(0)))


@pytest.mark.parametrize(("share", "area"), [(0.1, 0.0096), (0.5, 0.25), (0.8, 0.6386)])
def test_resizemix_labels_say_the_exact_area(share, area):
    images = torch.stack([torch.zeros(3, 224, 224), torch.ones(3, 224, 224)])
    side = int(224 * share)
    mixed, labels = paste(images, torch.eye(2), (5, 9, side, side))
    assert labels[0, 1].item() == pytest.approx(area, abs=1e-4)
    assert mixed[0].mean().item() == pytest.approx(labels[0, 1].item(), abs=1e-6)  # the share of changed pixels
    assert (1 - mixed[1]).mean().item() == pytest.approx(labels[1, 0].item(), abs=1e-6)


def test_resizemix_shows_the_whole_source():
    source = torch.zeros(1, 32, 32)
    source[0, :8, :8] = source[0, -8:, -8:] = 1.0  # two corners
    mixed, _ = paste(torch.stack([torch.zeros(1, 32, 32), source]), torch.eye(2), (4, 6, 16, 16))
    assert mixed[0, 0, 4, 6].item() > 0.9 and mixed[0, 0, 19, 21].item() > 0.9
    assert mixed[0, 0, :4].abs().sum() == 0


def test_resizemix_draws_every_allowed_size():
    torch.manual_seed(0)
    images = torch.stack([torch.zeros(1, 20, 20), torch.ones(1, 20, 20)])
    areas = {round(resize_mix(images, torch.eye(2))[1][0, 1].item() * 400) for _ in range(300)}
    assert min(areas) == 4 and max(areas) == 225  # sides of 2 and 15; 16 needs tau = 0.8 itself


@pytest.mark.parametrize("name", ["mixup", "cutmix", "resizemix"])
def test_mixes_carry_the_weights_along(name):
    torch.manual_seed(1)
    targets = weighted(torch.eye(3)[[0, 1, 2, 0]], torch.tensor([1.0, 2.0, 3.0, 4.0]))
    images, mixed = mixer(name, 4)(torch.rand(4, 3, 8, 8), targets)
    assert images.shape == (4, 3, 8, 8)
    assert mixed.sum(dim=0)[3].item() == pytest.approx(10.0, rel=1e-5)
    assert torch.allclose(mixed[:, :3].sum(dim=1), mixed[:, 3])
    assert not torch.allclose(mixed, targets)


def test_several_labels_have_a_binary_loss_each():
    targets, weights = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]), torch.tensor([2.0, 0.5])
    each = binary_cross_entropy_with_logits(LOGITS, targets, reduction="none")
    given = weighted(targets, weights)
    assert binary_loss(LOGITS, given[:, :3], given[:, 3]).item() == pytest.approx(
        (each * weights[:, None]).mean().item()
    )
