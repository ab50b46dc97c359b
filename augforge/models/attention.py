"""What a vision transformer looks at: the attention of its class token to the patches, in its last block.

Vision transformers of timm and of transformers, from a directory or the hub.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from augforge.errors import ModelError
from augforge.models.devices import pick_device, quiet, setting
from augforge.models.hub import check_at_hand
from augforge.models.pickles import refuse_pickled
from augforge.models.tasks import vision_backend
from augforge.models.vision import model_folder, processor_preprocessing, timm_preprocessing
from augforge.optional import require

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from augforge.data.preprocessing import Preprocessing
    from augforge.models.table import Model

Attend = Callable[["Tensor"], "Tensor"]
HINT = "give a plain vision transformer with a class token, such as timm's vit_* and deit_*"


class PatchAttention:
    """A vision transformer that tells how much its class token attends to each patch of an image.

    The whole image is squashed to the side of the model and nothing is cropped, so that every part of it is seen.
    """

    def __init__(self, model: Model, preprocessing: Preprocessing, attend: Attend, device: str, library: str) -> None:
        import torch

        self._preprocessing, self._attend, self._device = replace(preprocessing, resize=None), attend, device
        self.facts = {"model": model.facts(), **setting(device, torch.float32, library)}

    def attend(self, image: Image.Image) -> NDArray[np.float64]:
        """(rows, columns) the attention to each patch of an RGB image, averaged over the heads; the sum is 1."""
        import torch

        seen = self._preprocessing.resize_and_crop(image)[None].copy()
        with torch.inference_mode():
            heads = self._attend(self._preprocessing.normalize(seen, self._device))[0]
        flat: NDArray[np.float64] = heads.double().mean(0).cpu().numpy()
        side = math.isqrt(len(flat))
        shares: NDArray[np.float64] = flat.reshape(side, side) / flat.sum()
        return shares


def open_attention(model: Model, device: str = "auto") -> PatchAttention:
    """The vision transformer of a row.

    Raises:
        ModelError: it cannot be loaded, or has no class token that attends to a square of patches.
    """
    check_at_hand(model, "attention")
    folder = model_folder(model)
    refuse_pickled(folder)
    opened = {"timm": _open_timm, "transformers": _open_transformers}.get(vision_backend(folder) or "")
    if opened is None:
        raise ModelError(f"{model.name!r} is no vision transformer of timm or transformers", HINT)
    try:
        return opened(model, folder, pick_device(device))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"no attention can be had of the model {model.name!r}: {error}", HINT) from error


def _open_timm(model: Model, folder: Path, device: str) -> PatchAttention:
    require("timm")
    import timm

    net = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).to(device).eval()
    preprocessing = timm_preprocessing(timm.data.resolve_model_data_config(net))
    first = _first_patch(net.num_prefix_tokens, net.cls_token is not None)
    _square(net.patch_embed.num_patches)
    attention: Any = net.blocks[-1].attn
    attention.fused_attn = False  # so that the weights are computed on their own, and pass through the dropout
    seen: list[Tensor] = []
    attention.attn_drop.register_forward_hook(lambda _module, given, _made: seen.append(given[0]))

    def attend(batch: Tensor) -> Tensor:
        seen.clear()
        net(batch)
        return seen[-1][:, :, 0, first:]

    return PatchAttention(model, preprocessing, attend, device, "timm")


def _open_transformers(model: Model, folder: Path, device: str) -> PatchAttention:
    require("transformers")
    import transformers

    quiet()
    facts = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    whole, info = transformers.AutoModel.from_pretrained(
        folder, output_loading_info=True, use_safetensors=True, attn_implementation="eager"
    )
    net = getattr(whole, "vision_model", whole)
    if lost := sorted(name for name in info["missing_keys"] if "pooler." not in name):
        raise ValueError(f"{len(lost)} of its tensors are missing, {lost[0]} for one")
    net = net.to(device).eval()
    config = net.config
    patches = _square((int(config.image_size) // int(config.patch_size)) ** 2)
    if processor_preprocessing(facts).size != int(config.image_size):
        raise ValueError(f"its pictures are not of {config.image_size} px")

    def attend(batch: Tensor) -> Tensor:
        weights: Tensor = net(pixel_values=batch, output_attentions=True).attentions[-1]
        return weights[:, :, 0, _first_patch(weights.shape[-1] - patches) :]

    import torch

    with torch.inference_mode():
        attend(torch.zeros(1, 3, config.image_size, config.image_size, device=device))
    return PatchAttention(model, processor_preprocessing(facts), attend, device, "transformers")


def _first_patch(before: int, has_class_token: bool = True) -> int:
    """The place of the first patch among the tokens, after `before` others, of which the first is the class token."""
    if before < 1 or not has_class_token:
        raise ValueError("it has no class token")
    return before


def _square(patches: int) -> int:
    if math.isqrt(patches) ** 2 != patches:
        raise ValueError(f"its {patches} patches are no square")
    return patches
