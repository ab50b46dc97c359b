"""Networks learn, see every pixel, and are the same for the same seed."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from augforge.evaluate.classical import rand_augment
from augforge.evaluate.network import Views, shifted, small_resnet

RAMP = torch.arange(16, dtype=torch.uint8).view(1, 1, 1, 16).expand(64, 3, 16, 16)


def test_the_small_network_sees_32_to_96_px():
    net = small_resnet(7).eval()
    assert 200_000 < sum(p.numel() for p in net.parameters()) < 400_000
    for side in (32, 96):
        assert net(torch.zeros(2, 3, side, side)).shape == (2, 7)
    assert net.forward_features(torch.zeros(1, 3, 32, 32)).shape[-1] == 2


def test_the_small_network_learns():
    torch.manual_seed(0)
    net = small_resnet(2)
    images, labels = torch.randn(32, 3, 16, 16), torch.arange(32) % 2
    images[labels == 1, 0] += 1
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3)
    for _ in range(15):
        optimizer.zero_grad()
        loss = cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2


def test_shifts_are_bounded_and_flips_can_be_forbidden():
    moved = shifted(RAMP, np.random.default_rng(0), flip=False)
    first = moved[:, 0, 0, 5].float() - 5
    assert first.min() == -2 and first.max() == 2  # an eighth of 16
    assert (moved[:, 0, 0, 9].float() > moved[:, 0, 0, 5].float()).all()
    flipped = shifted(RAMP, np.random.default_rng(0), flip=True)
    share = (flipped[:, 0, 0, 9].float() < flipped[:, 0, 0, 5].float()).float().mean()
    assert 0.3 < share < 0.7


def test_only_the_classical_arm_goes_through_randaugment():
    seen = np.random.default_rng(0).integers(0, 255, (8, 16, 16, 3), dtype=np.uint8)
    plain, classical = (
        Views(seen, (0.5,) * 3, (0.25,) * 3, False, wanted, "cpu").drawn(np.arange(8), np.random.default_rng(1))
        for wanted in (None, rand_augment)
    )
    again = Views(seen, (0.5,) * 3, (0.25,) * 3, False, rand_augment, "cpu").drawn(
        np.arange(8), np.random.default_rng(1)
    )
    assert torch.equal(again, classical) and not torch.allclose(plain, classical)
    assert plain.min() > -2.01 and plain.max() < 2.01
