"""The losses of pix2pixHD, all scalar: least-squares GAN, feature matching, and a perceptual distance.

Wang et al., CVPR 2018, arXiv 1711.11585; LSGAN: Mao et al., ICCV 2017; perceptual loss: Johnson et al., ECCV 2016.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from augforge.models.networks.paired.networks import Features

PERCEPTUAL_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


def adversarial(judged: Features, real: bool) -> Tensor:
    """Mean squared distance of the logits from 1 (real) or 0, summed over the scales."""
    target = 1.0 if real else 0.0
    return torch.stack([(layers[-1].float() - target).square().mean() for layers in judged]).sum()


def discrimination(of_real: Features, of_fake: Features) -> Tensor:
    """What the discriminator minimises: half of what it misjudges of both kinds."""
    return (adversarial(of_real, True) + adversarial(of_fake, False)) / 2


def feature_matching(of_real: Features, of_fake: Features) -> Tensor:
    """How far the layers' outputs for a fake are from those for its real picture, without the logits.

    The sum over scales and layers of the mean absolute difference, times 4 / (layers + 1) and 1 / scales, where
    `layers` counts those with stride 2. The real side takes no gradient.
    """
    parts = [
        F.l1_loss(fake.float(), real.detach().float()) * 4 / (len(reals) - 1)
        for reals, fakes in zip(of_real, of_fake, strict=True)
        for real, fake in zip(reals[:-1], fakes[:-1], strict=True)
    ]
    return torch.stack(parts).sum() / len(of_real)


def perceptual(of_real: Sequence[Tensor], of_fake: Sequence[Tensor]) -> Tensor:
    """The weighted mean absolute differences of five layers of a classifier; the real side takes no gradient."""
    parts = [
        weight * F.l1_loss(fake.float(), real.detach().float())
        for weight, real, fake in zip(PERCEPTUAL_WEIGHTS, of_real, of_fake, strict=True)
    ]
    return torch.stack(parts).sum()
