"""The adapter for image-text models of open_clip: built-in, local directory, hub id or `arch/pretrained`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from augforge.errors import ModelError
from augforge.models.devices import pick_device, setting
from augforge.models.hub import failure
from augforge.models.pickles import refuse_pickled
from augforge.models.table import Model
from augforge.optional import require

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

BATCH = 64  # fixed and padded, so that an embedding never depends on how many images were asked for


READ_FIRST = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
"""What open_clip reads of a directory, whatever else is in it."""


class ImageText:
    """A CLIP-like model: images and texts become vectors of unit length, float32."""

    def __init__(self, model: Model, device: str = "auto") -> None:
        require("open_clip", "torch")
        import open_clip
        import torch

        self.device = pick_device(device)
        if model.directory is not None:
            refuse_pickled(model.directory, READ_FIRST)
        try:
            net, _, self._preprocess = open_clip.create_model_and_transforms(**_names(model), device=self.device)
            self._tokenize = open_clip.get_tokenizer(_names(model)["model_name"])
        except (OSError, RuntimeError, ValueError, FileNotFoundError) as error:
            why = str(error) if model.directory is not None else failure(error)
            raise ModelError(f"model {model.name!r} cannot be loaded: {why}", _hint(model)) from error
        self._torch = torch
        self._net: Any = net.eval()
        self.facts = {"model": model.facts(), **setting(self.device, torch.float32, "open_clip_torch")}

    def embed_images(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """(n, d) embeddings of n RGB images, of unit length."""
        return self._embed([self._preprocess(image) for image in images], self._net.encode_image)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, d) embeddings of n texts, of unit length."""
        return self._embed(list(self._tokenize(list(texts))), self._net.encode_text)

    def _embed(self, inputs: list[Any], encode: Any) -> NDArray[np.float32]:
        parts = []
        for start in range(0, len(inputs), BATCH):
            batch = inputs[start : start + BATCH]
            padded = self._torch.stack(batch + [batch[-1]] * (BATCH - len(batch))).to(self.device)
            with self._torch.inference_mode():
                vectors = encode(padded, normalize=True)[: len(batch)]
            parts.append(vectors.float().cpu().numpy())
        return np.concatenate(parts)


def _names(model: Model) -> dict[str, str]:
    if model.location.startswith("hub:"):
        return {"model_name": "hf-hub:" + model.location.removeprefix("hub:")}
    if model.loader_names_weights:
        architecture, _, pretrained = model.location.partition("/")
        return {"model_name": architecture, "pretrained": pretrained}
    return {"model_name": f"local-dir:{model.location}"}


def _hint(model: Model) -> str:
    if model.directory is None:
        return "its weights come from a model hub: is it in reach, or are they in the local cache?"
    return f"are the files in {model.directory} complete?"
