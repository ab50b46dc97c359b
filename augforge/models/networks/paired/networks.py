"""The networks of pix2pixHD: a coarse-to-fine generator, discriminators on a pyramid, and an encoder of styles.

Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs", CVPR 2018,
arXiv 1711.11585. Normalisation is InstanceNorm without learned scale, so an output never depends on its batch.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

Features = list[list[Tensor]]
"""For every scale the output (b, c, h, w) of every layer; the last one is the map of logits (b, 1, h, w)."""


def halve(pixels: Tensor) -> Tensor:
    """(b, c, h/2, w/2), rounded up: means of 3x3 windows, over the pixels that exist."""
    return F.avg_pool2d(pixels, 3, stride=2, padding=1, count_include_pad=False)


def initialise(net: nn.Module) -> None:
    """Draw the weights of all convolutions from N(0, 0.02), with biases of zero."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class Residual(nn.Module):
    """x plus two 3x3 convolutions of it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            *_block(nn.Conv2d(width, width, 3), width, pad=1), *_block(nn.Conv2d(width, width, 3), width, pad=1)[:-1]
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to the same shape."""
        return x + cast(Tensor, self.path(x))


class GlobalGenerator(nn.Module):
    """A condition (b, channels_in, h, w) becomes a picture (b, channels_out, h, w) in [-1, 1].

    A 7x7 stem, `downs` halvings that double the width, `blocks` residual blocks, as many doublings, a 7x7 output.
    The sides must be divisible by 2**downs. 182 443 267 parameters with 3 channels in and the published sizes.
    """

    def __init__(
        self, channels_in: int, channels_out: int = 3, width: int = 64, downs: int = 4, blocks: int = 9
    ) -> None:
        super().__init__()
        widths = [width << level for level in range(downs + 1)]
        self.trunk = nn.Sequential(
            *_stem(channels_in, width),
            *(layer for pair in pairwise(widths) for layer in _down(*pair)),
            *(Residual(widths[-1]) for _ in range(blocks)),
            *(layer for pair in pairwise(widths[::-1]) for layer in _up(*pair)),
        )
        self.output = _output(width, channels_out)

    def features(self, condition: Tensor) -> Tensor:
        """(b, width, h, w): what the output layer is given."""
        return cast(Tensor, self.trunk(condition))

    def forward(self, condition: Tensor) -> Tensor:
        """(b, channels_out, h, w) in [-1, 1]."""
        return cast(Tensor, self.output(self.features(condition)))


class LocalEnhancer(nn.Module):
    """A generator at twice the size around a global one, which works on the halved condition.

    The last features of `coarse` are added to those of a stem with stride 2; what follows is residual blocks, one
    doubling and the output. `coarse` must be twice as wide. Its own output layer serves only while it is trained
    by itself. The sides must be divisible by 2 * 2**downs of `coarse`.
    """

    def __init__(
        self, coarse: GlobalGenerator, channels_in: int, channels_out: int = 3, width: int = 32, blocks: int = 3
    ) -> None:
        super().__init__()
        self.coarse = coarse
        self.stem = nn.Sequential(*_stem(channels_in, width), *_down(width, 2 * width))
        self.tail = nn.Sequential(
            *(Residual(2 * width) for _ in range(blocks)), *_up(2 * width, width), *_output(width, channels_out)
        )

    def forward(self, condition: Tensor) -> Tensor:
        """(b, channels_in, h, w) to (b, channels_out, h, w) in [-1, 1]."""
        return cast(Tensor, self.tail(self.stem(condition) + self.coarse.features(halve(condition))))


class PatchDiscriminator(nn.Module):
    """Judges overlapping patches: kernels of 4 with padding 2, `layers` of them with stride 2.

    2 767 809 parameters and (35, 35) logits of a (256, 256) picture, with 6 channels in and the published sizes.
    """

    def __init__(self, channels_in: int, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        widths = [width << min(level, 3) for level in range(layers + 1)]
        first = nn.Sequential(_judge(channels_in, width, 2), nn.LeakyReLU(0.2, inplace=True))
        middle = [
            nn.Sequential(_judge(before, after, 1 if level == layers else 2), _norm(after), nn.LeakyReLU(0.2, True))
            for level, (before, after) in enumerate(pairwise(widths), start=1)
        ]
        self.layers = nn.ModuleList([first, *middle, _judge(widths[-1], 1, 1)])

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """The output of every layer for (b, c, h, w), logits last."""
        outputs: list[Tensor] = []
        for layer in self.layers:
            outputs.append(layer(outputs[-1] if outputs else pixels))
        return outputs


class MultiscaleDiscriminator(nn.Module):
    """The same discriminator, with weights of its own, at every level of an image pyramid."""

    def __init__(self, channels_in: int, width: int = 64, layers: int = 3, scales: int = 2) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(channels_in, width, layers) for _ in range(scales))

    def forward(self, pixels: Tensor) -> Features:
        """Features of (b, c, h, w): full size first."""
        found: Features = []
        for level, net in enumerate(self.scales):
            pixels = halve(pixels) if level else pixels
            found.append(net(pixels))
        return found


class StyleEncoder(nn.Module):
    """A picture (b, channels_in, h, w) becomes features (b, channels_out, h, w) in [-1, 1].

    They are the style only once they are averaged within each instance: see `instances.instance_mean`.
    """

    def __init__(self, channels_in: int = 3, channels_out: int = 3, width: int = 16, downs: int = 4) -> None:
        super().__init__()
        self.net = GlobalGenerator(channels_in, channels_out, width, downs, blocks=0)

    def forward(self, picture: Tensor) -> Tensor:
        """(b, channels_out, h, w) in [-1, 1]."""
        return cast(Tensor, self.net(picture))


def _norm(width: int) -> nn.Module:
    return nn.InstanceNorm2d(width, affine=False)


def _block(convolution: nn.Module, width: int, pad: int = 0) -> list[nn.Module]:
    padding: list[nn.Module] = [nn.ReflectionPad2d(pad)] if pad else []
    return [*padding, convolution, _norm(width), nn.ReLU(inplace=True)]


def _stem(channels: int, width: int) -> list[nn.Module]:
    return _block(nn.Conv2d(channels, width, 7), width, pad=3)


def _down(before: int, after: int) -> list[nn.Module]:
    return _block(nn.Conv2d(before, after, 3, stride=2, padding=1), after)


def _up(before: int, after: int) -> list[nn.Module]:
    return _block(nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1), after)


def _output(width: int, channels: int) -> nn.Sequential:
    return nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7), nn.Tanh())


def _judge(before: int, after: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 4, stride=stride, padding=2)
