"""Published parameter counts and shapes, and what of a network depends on what."""

from __future__ import annotations

import pytest
import torch

from augforge.models.networks.paired.networks import (
    GlobalGenerator,
    LocalEnhancer,
    MultiscaleDiscriminator,
    StyleEncoder,
    halve,
    initialise,
)


def parameters(net: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(("channels", "count"), [(3, 182_443_267), (36, 182_546_755)])
def test_the_global_generator_has_the_published_number_of_parameters(channels: int, count: int) -> None:
    with torch.device("meta"):
        net = GlobalGenerator(channels)
        assert net(torch.empty(2, channels, 512, 256)).shape == (2, 3, 512, 256)
    assert parameters(net) == count


@pytest.mark.parametrize("scales", [1, 2, 3])
def test_the_discriminator_has_the_published_number_of_parameters_a_scale(scales: int) -> None:
    with torch.device("meta"):
        net = MultiscaleDiscriminator(6, scales=scales)
        features = net(torch.empty(1, 6, 256, 256))
    assert parameters(net) == scales * 2_767_809
    assert len(features) == scales and all(len(layers) == 5 for layers in features)
    assert features[0][-1].shape == (1, 1, 35, 35)
    assert [layers[0].shape[-1] for layers in features] == [129, 65, 33][:scales]


def test_the_enhancer_adds_to_the_features_of_the_global_generator_at_half_the_size() -> None:
    with torch.device("meta"):
        net = LocalEnhancer(GlobalGenerator(36), 36)
        assert net.coarse.features(torch.empty(1, 36, 128, 256)).shape == (1, 64, 128, 256)
        assert net.stem(torch.empty(1, 36, 256, 512)).shape == (1, 64, 128, 256)
        assert net(torch.empty(1, 36, 256, 512)).shape == (1, 3, 256, 512)
    # stem 7x7 36->32 and 3x3 32->64; three residual blocks of 64; 3x3 64->32; 7x7 32->3
    enhancer = (36 * 49 + 1) * 32 + (32 * 9 + 1) * 64 + 6 * (64 * 9 + 1) * 64 + (64 * 9 * 32 + 32) + (32 * 49 + 1) * 3
    assert parameters(net) == 182_546_755 + enhancer


def test_the_enhancer_sees_the_condition_and_the_coarse_features() -> None:
    torch.manual_seed(0)
    net = LocalEnhancer(GlobalGenerator(2, width=8, downs=2, blocks=1), 2, width=4, blocks=1)
    condition = torch.randn(1, 2, 32, 32)
    before = net(condition)
    for parameter in net.coarse.output.parameters():
        torch.nn.init.constant_(parameter, 7.0)
    assert torch.equal(net(condition), before)  # the coarse output layer has no part in it
    for parameter in net.coarse.trunk.parameters():
        parameter.data.mul_(-1.0)
    assert not torch.allclose(net(condition), before, atol=1e-3)


def test_outputs_are_in_range_and_do_not_depend_on_the_batch() -> None:
    torch.manual_seed(0)
    net = GlobalGenerator(3, width=8, downs=2, blocks=2)
    pictures = torch.randn(3, 3, 32, 32) * 5
    together = net(pictures)
    assert together.abs().max() <= 1
    torch.testing.assert_close(together[1:2], net(pictures[1:2]), atol=1e-5, rtol=0)


def test_normalisation_has_no_learned_scale_and_no_memory() -> None:
    for net in (GlobalGenerator(3, width=8), MultiscaleDiscriminator(6, width=8), StyleEncoder(width=8)):
        assert not list(net.buffers())
        assert {parameter.ndim for parameter in net.parameters()} == {1, 4}
        norms = [module for module in net.modules() if isinstance(module, torch.nn.InstanceNorm2d)]
        assert norms and not any(norm.affine for norm in norms)


def test_halving_takes_the_mean_over_what_exists() -> None:
    ones = torch.ones(1, 1, 6, 7)
    torch.testing.assert_close(halve(ones), torch.ones(1, 1, 3, 4))  # counting the padding would darken the border
    ramp = torch.arange(9.0).view(1, 1, 3, 3)
    torch.testing.assert_close(halve(ramp)[0, 0], torch.tensor([[2.0, 3.0], [5.0, 6.0]]))


def test_weights_begin_small() -> None:
    torch.manual_seed(0)
    net = GlobalGenerator(3, width=16, downs=2, blocks=1)
    initialise(net)
    weights = torch.cat([p.flatten() for p in net.parameters() if p.ndim == 4]).detach()
    assert abs(float(weights.std()) - 0.02) < 2e-4
    assert all((p == 0).all() for p in net.parameters() if p.ndim == 1)
