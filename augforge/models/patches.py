"""Feature maps of the networks that embed images: the patch tokens of a transformer's layers, or a CNN's last maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from augforge.data.preprocessing import Preprocessing, Seen
from augforge.errors import ModelError
from augforge.models.embedders import load_embedder
from augforge.models.table import Model
from augforge.optional import require

if TYPE_CHECKING:
    from torch import Tensor

Maps = list["Tensor"]
BATCH = 8
"""Fixed and padded, so that a map never depends on how many images were asked for."""
LAYERS = 4
"""As many layers of a transformer are taken, spread evenly and with the last: 6, 12, 18 and 24 of 24, as published."""
LEAST_STRIDE = 8
"""px of the input a cell: earlier maps of a CNN hold edges and colours, and too many cells."""


class PatchNetwork:
    """The feature maps of images by the model of a row.

    `layers` are counted from 1, None for the usual ones (see `LAYERS` and `LEAST_STRIDE`).

    Raises:
        ModelError: it cannot be loaded, it has no such layer, or its maps cannot be had.
    """

    def __init__(self, model: Model, device: str = "auto", layers: Sequence[int] | None = None) -> None:
        require("torch")
        tower = load_embedder(model, device)
        if tower.preprocessing is None:
            raise ModelError(
                f"{model.name!r} sees images in a way that its maps cannot be had in", "name another model"
            )
        self.preprocessing: Preprocessing = tower.preprocessing
        self.device, self.facts, self._name = tower.device, tower.facts, model.name
        self._maps = self._reader(getattr(tower.network, "trunk", tower.network), layers)

    def maps(self, seen: Seen) -> Maps:
        """Of each layer the features (n, d, h, w) of n images (n, s, s, 3) that `preprocessing` has looked at."""
        import torch

        parts: list[Maps] = []
        for start in range(0, len(seen), BATCH):
            few = seen[start : start + BATCH]
            full = np.concatenate([few, np.repeat(few[-1:], BATCH - len(few), axis=0)])
            with torch.inference_mode():
                found = self._maps(self.preprocessing.normalize(full, self.device))
            parts.append([layer[: len(few)].float() for layer in found])
        return [torch.cat(layer) for layer in zip(*parts, strict=True)]

    def _reader(self, net: Any, layers: Sequence[int] | None) -> Callable[[Tensor], Maps]:
        if hasattr(net, "forward_intermediates"):  # timm's networks and open_clip's own
            chosen = self._chosen(_count(net), layers, _strides(net))
            return lambda batch: _intermediates(net, batch, chosen)
        config: Any = getattr(net, "config", None)
        vision: Any = getattr(config, "vision_config", config)
        if hasattr(vision, "num_hidden_layers") and hasattr(vision, "patch_size"):  # a transformer of transformers
            chosen = self._chosen(vision.num_hidden_layers, layers, None)
            inner = getattr(net, "vision_model", net)
            return lambda batch: _hidden(inner, batch, chosen, int(vision.patch_size))
        raise ModelError(
            f"the patches of {self._name!r} cannot be had",
            "name a vision transformer (CLIP, DINOv2, …), or a network of timm",
        )

    def _chosen(self, count: int, layers: Sequence[int] | None, strides: Sequence[int] | None) -> list[int]:
        """The layers to read, counted from 0."""
        if layers is not None:
            if max(layers) > count:
                raise ModelError(f"{self._name!r} has {count} layers, and no layer {max(layers)}", "name others")
            return sorted({layer - 1 for layer in layers})
        if strides is not None:
            return [place for place, stride in enumerate(strides) if stride >= LEAST_STRIDE] or [count - 1]
        return sorted({math.ceil(number * count / LAYERS) - 1 for number in range(1, LAYERS + 1)})


def _count(net: Any) -> int:
    """How many layers a network has to read from."""
    if hasattr(net, "transformer"):
        return len(net.transformer.resblocks)
    return len(net.blocks) if _strides(net) is None else len(net.feature_info)


def _strides(net: Any) -> list[int] | None:
    """Of each map of a CNN, how many px of the input a side of its cells is; None of a transformer."""
    info = getattr(net, "feature_info", None)
    if info is None:
        return None
    strides = [int(each["reduction"]) for each in info]
    return None if len(set(strides)) == 1 else strides


def _intermediates(net: Any, batch: Tensor, layers: list[int]) -> Maps:
    found = net.forward_intermediates(batch, indices=layers, intermediates_only=True, output_fmt="NCHW")
    return list(found["image_intermediates"] if isinstance(found, dict) else found)


def _hidden(net: Any, batch: Tensor, layers: list[int], patch: int) -> Maps:
    """Hidden states without the tokens that stand for no patch (class, registers), which come first."""
    states = net(pixel_values=batch, output_hidden_states=True).hidden_states
    height, width = (side // patch for side in batch.shape[-2:])
    return [states[layer + 1][:, -height * width :].transpose(1, 2).unflatten(2, (height, width)) for layer in layers]
