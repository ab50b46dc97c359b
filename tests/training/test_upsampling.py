"""Enlarging and then convolving: as many parameters as published, and no grid; transposed convolutions leave one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from augforge.algorithms.metrics import grid_ratio
from augforge.io.sample_sets.streets import draw_scene
from augforge.models.networks.paired.networks import GlobalGenerator, LocalEnhancer
from augforge.models.networks.paired.networks import initialise as initialise_paired
from augforge.models.networks.translation import ResnetGenerator, initialise
from augforge.models.networks.upsampling import ResizeConv2d, Upsampling, with_upsampling

REAL = [draw_scene("day", number).image[:64, :64] for number in range(12)]


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(("norm", "published"), [("batch", 11_383_427), ("instance", 11_378_179)])
def test_the_night_generator_keeps_the_published_number_of_parameters(norm, published):
    with torch.device("meta"):
        assert parameters(with_upsampling(ResnetGenerator(norm=norm), "resize")) == published


def test_pix2pixhd_keeps_the_published_number_of_parameters_and_its_shapes():
    with torch.device("meta"):
        net = with_upsampling(GlobalGenerator(3), "resize")
        assert parameters(net) == 182_443_267
        assert net(torch.empty(1, 3, 64, 128)).shape == (1, 3, 64, 128)


def test_every_transposed_convolution_is_replaced_and_none_without_being_asked():
    def kinds(net: nn.Module) -> tuple[int, int]:
        found = [type(module) for module in net.modules()]
        return found.count(ResizeConv2d), found.count(nn.ConvTranspose2d)

    def enhancer() -> nn.Module:
        return LocalEnhancer(GlobalGenerator(2, width=8, downs=2, blocks=1), 2, width=4, blocks=1)

    assert kinds(with_upsampling(enhancer(), "resize")) == (3, 0)
    assert kinds(with_upsampling(enhancer(), "transposed")) == (0, 3)


def even_beside_odd(layer: nn.Module) -> float:
    """The largest difference between the two pixels of each pair, where the input is the same everywhere."""
    with torch.no_grad():
        made = layer(torch.ones(1, 8, 8, 8))[..., 2:-2, 2:-2]
    return float((made[..., ::2] - made[..., 1::2]).abs().max())


def test_a_constant_stays_constant_which_transposed_convolutions_make_a_checkerboard():
    torch.manual_seed(0)
    assert even_beside_odd(initialise(nn.Sequential(ResizeConv2d(8, 4)))) < 1e-6
    transposed = nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1)
    assert even_beside_odd(initialise(nn.Sequential(transposed))) > 0.01


def test_both_initialisations_reach_the_new_layers():
    torch.manual_seed(0)
    layer = ResizeConv2d(64, 32)
    initialise_paired(nn.Sequential(layer))
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05) and not layer.bias.any()
    initialise(nn.Sequential(layer), 0.2)
    assert layer.weight.std().item() == pytest.approx(0.2 * (2 / (64 * 9)) ** 0.5, rel=0.05)


def smooth_pictures(count: int = 6, side: int = 64) -> torch.Tensor:
    """(count, 3, side, side) in [-1, 1], without any detail finer than 8 px."""
    coarse = torch.rand(count, 3, side // 16, side // 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(-1, 1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "make", [lambda: GlobalGenerator(3, width=8, downs=2, blocks=1), lambda: ResnetGenerator(8, 1)]
)
def test_the_grid_of_a_fresh_network_is_that_of_its_transposed_convolutions(make, seed):
    def grid(upsampling: Upsampling) -> float:
        torch.manual_seed(seed)
        net = with_upsampling(make(), upsampling)
        initialise(net, 1.0)
        with torch.no_grad():
            drawn = net(smooth_pictures()).permute(0, 2, 3, 1).numpy()
        return grid_ratio(drawn, REAL)

    assert grid("resize") < 3 < 6 < grid("transposed")
