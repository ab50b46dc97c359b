"""The features of VGG19 that the perceptual loss compares, from weights that the user brings."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import cast

import torch
from torch import Tensor, nn

from augforge.errors import ModelError

TAPS = (1, 6, 11, 20, 29)
"""relu1_1, relu2_1, … relu5_1 in torchvision's numbering of `vgg19().features`."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HINT = "give a file of torchvision's vgg19 (`features.0.weight` …), .safetensors or .pth; random weights judge nothing"


class Vgg19(nn.Module):
    """Outputs of relu1_1 to relu5_1 for pictures (b, 3, h, w) in [-1, 1]; Simonyan & Zisserman, ICLR 2015.

    Args:
        weights: a state of torchvision's `vgg19`, complete up to relu5_1; what comes after is not used.

    Raises:
        ModelError: a weight is missing or has another shape.
    """

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        from torchvision.models import vgg19

        with torch.device("meta"):
            self.features = cast(nn.Sequential, vgg19(weights=None, init_weights=False).features)[: TAPS[-1] + 1]
        wanted = {name: weights.get(name) for name in self.state_dict()}
        missing = [name for name, weight in wanted.items() if weight is None]
        if missing:
            raise ModelError(f"these are no weights of VGG19: {missing[0]} is missing", HINT)
        try:
            self.load_state_dict(wanted, assign=True)
        except RuntimeError as error:
            raise ModelError(f"these are no weights of VGG19: {str(error).splitlines()[-1].strip()}", HINT) from error
        for layer in self.features:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Five maps (b, c, h / 2**i, w / 2**i), fine to coarse."""
        flowing = ((pictures + 1) / 2 - self.get_buffer("mean")) / self.get_buffer("std")
        found = []
        for number, layer in enumerate(self.features):
            flowing = layer(flowing)
            if number in TAPS:
                found.append(flowing)
        return found


def load_vgg19(path: str | Path) -> Vgg19:
    """The features with the weights of a file. ModelError where there is none or it holds something else."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(path)
    if not path.is_file():
        raise ModelError(f"no file of VGG19 weights at {path}", HINT)
    try:
        weights = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (OSError, RuntimeError, SafetensorError, UnpicklingError, ValueError, EOFError) as error:
        raise ModelError(f"the VGG19 weights in {path} cannot be read: {str(error).splitlines()[0]}", HINT) from error
    if not isinstance(weights, dict):
        raise ModelError(f"{path} holds no weights by name", HINT)
    return Vgg19(weights)
