"""The network of SSCD, a copy detector: a ResNet whose last maps are pooled by a generalised mean, and a linear layer.

*A Self-Supervised Descriptor for Image Copy Detection* (Pizzi et al., CVPR 2022).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

STAGES = 4
LEAST = 1e-6
"""What activations are raised to before the power, as published."""


class CopyDetector(nn.Module):
    """(n, 3, s, s) to (n, d), not yet of unit length."""

    def __init__(self, backbone: nn.Module, width: int, out: int, power: float) -> None:
        super().__init__()
        self.backbone, self.power = backbone, power
        self.fc = nn.Linear(width, out)

    def forward(self, pictures: Tensor) -> Tensor:
        """The descriptors."""
        descriptors: Tensor = self.fc(generalised_mean(self.backbone(pictures), self.power))
        return descriptors


def generalised_mean(maps: Tensor, power: float) -> Tensor:
    """(n, c) of maps (n, c, h, w): the mean of the values to the `power`, to its root; 1 is the mean."""
    return maps.clamp(min=LEAST).pow(power).mean(dim=(2, 3)).pow(1 / power)


def copy_detector(weights: Mapping[str, Tensor], power: float) -> CopyDetector:
    """The network that tensors under torchvision's names for a ResNet are of, with or without `backbone.` before.

    Its depth and widths are read from the tensors.

    Raises:
        KeyError, RuntimeError: they are of another network.
    """
    from timm.models.resnet import BasicBlock, Bottleneck, ResNet

    plain = {name.removeprefix("backbone."): tensor for name, tensor in weights.items()}
    head = {name: plain.pop(f"fc.{name}") for name in ("weight", "bias")}
    deep = "layer1.0.conv3.weight" in plain
    depths = [
        len({name.split(".")[1] for name in plain if name.startswith(f"layer{n}.")}) for n in range(1, STAGES + 1)
    ]
    channels = tuple(len(plain[f"layer{number}.0.conv1.weight"]) for number in range(1, STAGES + 1))
    backbone = ResNet(
        Bottleneck if deep else BasicBlock, tuple(depths), num_classes=0, global_pool="", channels=channels
    )
    out, width = head["weight"].shape
    net = CopyDetector(backbone, width, out, power)
    backbone.load_state_dict(plain)
    net.fc.load_state_dict(head)
    return net
