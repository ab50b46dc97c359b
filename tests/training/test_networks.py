"""The shared networks: published counts and shapes, losses in closed form, and the pool of past fakes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from augforge.models.networks.translation import (
    ImagePool,
    PatchDiscriminator,
    ResnetGenerator,
    discriminator_loss,
    generator_loss,
    initialise,
)


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(("norm", "published"), [("batch", 11_383_427), ("instance", 11_378_179)])
def test_generator_has_the_published_number_of_parameters(norm, published):
    with torch.device("meta"):
        assert count(ResnetGenerator(norm=norm)) == published


@pytest.mark.parametrize(("norm", "published"), [("batch", 2_765_633), ("instance", 2_764_737)])
def test_discriminator_has_the_published_number_of_parameters(norm, published):
    with torch.device("meta"):
        assert count(PatchDiscriminator(norm=norm)) == published


def test_discriminator_judges_30x30_patches_of_a_256_px_picture():
    with torch.no_grad():
        assert PatchDiscriminator()(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)


def test_a_patch_is_70_px_wide():
    net = PatchDiscriminator(4, norm="instance").double()
    for layer in net.layers:  # norms look at the whole picture
        if isinstance(layer, nn.InstanceNorm2d):
            layer.forward = lambda x: x
    picture = torch.randn(1, 3, 256, 256, dtype=torch.float64, requires_grad=True)
    net(picture)[0, 0, 15, 15].backward()
    seen = picture.grad.abs().sum(1)[0].nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [70, 70]


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("downs", [1, 2, 3])
def test_generator_keeps_size_and_stays_in_range(norm, downs):
    net = initialise(ResnetGenerator(4, 2, downs, norm, channels_in=2, channels_out=5), 3.0)
    made = net(10 * torch.randn(2, 2, 16, 24))
    assert made.shape == (2, 5, 16, 24)
    assert made.abs().max() <= 1 and made.abs().max() > 0.5


def test_features_are_those_of_the_flat_layers_and_not_changed_by_later_ones():
    net = ResnetGenerator(4, 9, norm="instance").eval()
    picture = torch.randn(1, 3, 16, 16)
    found = net.features(picture, (4, 8, 12, 16))
    assert [layer.shape[1] for layer in found] == [8, 16, 16, 16]
    for number, layer in zip((4, 8, 12, 16), found, strict=True):
        expected = picture
        for part in net.layers[: number + 1]:
            expected = part(expected)
        assert torch.equal(layer, expected)
    assert (found[1] < 0).any(), "the ReLU behind layer 8 must not have worked on what was kept"


def test_features_do_not_run_later_layers():
    net = ResnetGenerator(4, 2, norm="instance")
    net.layers[9].forward = None
    assert len(net.features(torch.zeros(1, 3, 16, 16), [4, 8])) == 2


def test_encoder_ends_with_the_residual_blocks():
    assert ResnetGenerator(4, 9).encoder_length == 19
    assert isinstance(ResnetGenerator(4, 3).layers[13], nn.ConvTranspose2d)


def test_initial_weights_are_kaiming_times_gain():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(64, 128, 3), nn.BatchNorm2d(128))
    initialise(net, 0.2)
    assert net[0].weight.std().item() == pytest.approx(0.2 * (2 / (64 * 9)) ** 0.5, rel=0.02)
    assert net[0].bias.abs().max() == 0
    assert net[1].weight.unique().tolist() == [1]


def test_lsgan_in_closed_form():
    real, fake = torch.tensor([1.0, 0.5]), torch.tensor([0.0, 0.4, 0.2])
    assert discriminator_loss(real, fake).item() == pytest.approx(0.5 * (0.25 / 2 + 0.2 / 3))
    assert discriminator_loss(torch.ones(3), torch.zeros(2)) == 0
    assert discriminator_loss(torch.zeros(3), torch.ones(2)) == 1  # the wrong way round, without the half, is 2
    assert generator_loss(torch.tensor([1.0, 0.0])).item() == pytest.approx(0.5)


def numbered(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1, 1)


def test_pool_gives_back_what_comes_until_it_is_full():
    pool = ImagePool(50)
    for number in range(50):
        assert pool.swap(numbered(number)).item() == number
    assert len(pool.kept) == 50


def test_full_pool_gives_an_older_one_half_the_time_and_keeps_the_new_one_instead():
    torch.manual_seed(0)
    pool, older = ImagePool(50), 0
    pool.swap(numbered(*range(50)))
    for number in range(50, 2050):
        before = {int(kept) for kept in pool.kept}
        given = int(pool.swap(numbered(number)))
        after = {int(kept) for kept in pool.kept}
        assert after == (before if given == number else before - {given} | {number})
        older += given != number
    assert 900 < older < 1100  # binomial, sigma 22


def test_pool_of_none_and_pool_without_gradient():
    assert ImagePool(0).swap(numbered(1, 2)).flatten().tolist() == [1, 2]
    assert not ImagePool(2).swap(numbered(1).requires_grad_()).requires_grad


def test_pool_goes_on_from_its_memory():
    torch.manual_seed(0)
    first, second = ImagePool(5), ImagePool(5)
    first.swap(numbered(*range(9)))
    second.load_state_dict(first.state_dict(), torch.device("cpu"))
    torch.manual_seed(1)
    expected = first.swap(numbered(*range(10, 30)))
    torch.manual_seed(1)
    assert torch.equal(second.swap(numbered(*range(10, 30))), expected)


def test_discriminator_in_half_precision_of_autocast_is_close():
    torch.manual_seed(0)
    net, picture = initialise(PatchDiscriminator(8)), torch.randn(2, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        half = net(picture)
    assert torch.allclose(half.float(), net(picture), atol=0.05)
