"""Networks and losses of image-to-image GANs: the residual generator, the patch discriminator, LSGAN, the image pool.

Generator: Johnson et al., ECCV 2016, arXiv 1603.08155, in the form of CycleGAN (Zhu et al., ICCV 2017, arXiv
1703.10593). Discriminator: PatchGAN (Isola et al., CVPR 2017, arXiv 1611.07004). Loss: Mao et al., ICCV 2017, arXiv
1611.04076. Pool: Shrivastava et al., CVPR 2017, arXiv 1612.07828.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

Norm = Literal["batch", "instance"]
LEAK = 0.2


class ResidualBlock(nn.Module):
    """x + f(x), where f is two 3x3 convolutions with reflected borders; (b, c, h, w) to the same."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=_biased(norm)),
            _norm(norm, channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=_biased(norm)),
            _norm(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w)."""
        result: Tensor = x + self.layers(x)
        return result


class ResnetGenerator(nn.Module):
    """A picture (b, channels_in, h, w) in [-1, 1] to one (b, channels_out, h, w) in [-1, 1].

    A 7x7 stem, `downs` halvings, `blocks` residual blocks, `downs` doublings, a 7x7 output and tanh, all in one flat
    `layers`. The sides are divisible by 2**downs. With the defaults it has 11,383,427 parameters; with instance norm
    (no learned scale, so the convolutions keep their bias) 11,378,179.
    """

    def __init__(
        self,
        width: int = 64,
        blocks: int = 9,
        downs: int = 2,
        norm: Norm = "batch",
        channels_in: int = 3,
        channels_out: int = 3,
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(downs + 1)]
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), *_block(nn.Conv2d, channels_in, width, norm, kernel_size=7)]
        for before, after in pairwise(widths):
            layers += _block(nn.Conv2d, before, after, norm, kernel_size=3, stride=2, padding=1)
        layers += [ResidualBlock(widths[-1], norm) for _ in range(blocks)]
        self.encoder_length = len(layers)
        """How many of the layers come before the first doubling."""
        for after, before in reversed(list(pairwise(widths))):
            sizes = {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}
            layers += _block(nn.ConvTranspose2d, before, after, norm, **sizes)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, channels_out, 7), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels_out, h, w) in [-1, 1]."""
        result: Tensor = self.layers(x)
        return result

    def features(self, x: Tensor, numbers: Collection[int]) -> list[Tensor]:
        """What comes out of the layers of these numbers, counted from 0, in rising order; later layers do not run."""
        found = []
        for number, layer in enumerate(self.layers[: max(numbers) + 1]):
            x = layer(x)
            if number in numbers:
                # the ReLU behind a norm works in place, and would change what was kept
                found.append(x.clone() if number + 1 < len(self.layers) and _in_place(self.layers[number + 1]) else x)
        return found


class PatchDiscriminator(nn.Module):
    """How real every patch of a picture (b, c, h, w) looks: (b, 1, h', w'), near 1 real, near 0 fake.

    With three layers a patch is 70x70 px, and a 256 px picture has 30x30 of them. With the defaults it has 2,765,633
    parameters; with instance norm 2,764,737. Batch norm keeps no running statistics: nobody asks for them.
    """

    def __init__(self, width: int = 64, layers: int = 3, norm: Norm = "batch", channels_in: int = 3) -> None:
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(layers + 1)]
        parts: list[nn.Module] = [nn.Conv2d(channels_in, width, 4, 2, 1), nn.LeakyReLU(LEAK, inplace=True)]
        for level, (before, after) in enumerate(pairwise(widths), 1):
            stride = 2 if level < layers else 1
            parts += [
                nn.Conv2d(before, after, 4, stride, 1, bias=_biased(norm)),
                _norm(norm, after, running=False),
                nn.LeakyReLU(LEAK, inplace=True),
            ]
        self.layers = nn.Sequential(*parts, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(b, 1, h', w')."""
        result: Tensor = self.layers(x)
        return result


class ImagePool:
    """Past fakes: half of those that go in come out as an older one, which they replace.

    A discriminator that sees them cannot forget what it already knew. Draws from torch's own CPU generator.
    """

    def __init__(self, size: int = 50) -> None:
        self.size = size
        self.kept: list[Tensor] = []

    def swap(self, fakes: Tensor) -> Tensor:
        """(b, c, h, w), each either the fake itself or an older one; no gradient flows through."""
        return torch.stack([self._swap_one(fake) for fake in fakes.detach()])

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds: the fakes that are kept."""
        return {"kept": list(self.kept)}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take back what `state_dict` gave."""
        self.kept = [fake.to(device) for fake in state["kept"]]

    def _swap_one(self, fake: Tensor) -> Tensor:
        if len(self.kept) < self.size:
            self.kept.append(fake.clone())
            return fake
        if self.size == 0 or float(torch.rand(())) < 0.5:
            return fake
        place = int(torch.randint(self.size, ()))
        older, self.kept[place] = self.kept[place], fake.clone()
        return older


def initialise(net: nn.Module, gain: float = 0.2) -> nn.Module:
    """Kaiming-normal weights (fan in) times `gain`, biases 0, norms 1 and 0; draws from torch's own generator.

    He et al., ICCV 2015, arXiv 1502.01852. A small gain starts the output near the middle grey.
    """
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
            with torch.no_grad():
                module.weight *= gain
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net


def discriminator_loss(on_real: Tensor, on_fake: Tensor) -> Tensor:
    """LSGAN of the discriminator, scalar: half the sum of the mean squared distances to 1 (real) and to 0 (fake)."""
    return 0.5 * ((on_real - 1).square().mean() + on_fake.square().mean())


def generator_loss(on_fake: Tensor) -> Tensor:
    """LSGAN of the generator, scalar: the mean squared distance to 1."""
    return (on_fake - 1).square().mean()


def _block(kind: type[nn.Module], before: int, after: int, norm: Norm, **sizes: int) -> list[nn.Module]:
    return [kind(before, after, bias=_biased(norm), **sizes), _norm(norm, after), nn.ReLU(inplace=True)]


def _biased(norm: Norm) -> bool:
    """Batch norm has a shift of its own, which makes a bias before it superfluous."""
    return norm == "instance"


def _norm(norm: Norm, channels: int, running: bool = True) -> nn.Module:
    if norm == "instance":
        return nn.InstanceNorm2d(channels)
    return nn.BatchNorm2d(channels, track_running_stats=running)


def _in_place(layer: nn.Module) -> bool:
    return bool(getattr(layer, "inplace", False))
