"""The adapter for text detectors of transformers (PP-OCR): how much of a picture is text, at several certainties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augforge.errors import ModelError
from augforge.models.devices import pick_device, quiet, setting
from augforge.models.pickles import refuse_pickled
from augforge.models.table import Model
from augforge.models.vision import model_folder
from augforge.optional import require

Vectors = NDArray[np.float32]
TENTHS = tuple(range(1, 10))
"""Tenths of a probability over which a place counts as text: one number of a vector for each."""


class TextDetector:
    """A network that says of every place how likely there is text.

    Its vectors (9,) are the shares of the picture that are text with a probability of over 0.1, 0.2, ... 0.9, so that
    another threshold needs no other look. Pictures go through the processor of the model and the network one by one,
    each in its own size.
    """

    def __init__(self, model: Model, device: str = "auto") -> None:
        require("torch", "transformers")
        import torch
        import transformers

        quiet()
        folder = model_folder(model)
        refuse_pickled(folder)
        self.device = pick_device(device)
        try:
            loader = transformers.AutoModelForObjectDetection
            net, info = loader.from_pretrained(folder, output_loading_info=True, use_safetensors=True)
            self._processor: Any = transformers.AutoImageProcessor.from_pretrained(folder)
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"model {model.name!r} cannot be loaded: {error}", f"is {folder} complete?") from error
        if lost := sorted(info["missing_keys"]):
            raise ModelError(f"{len(lost)} tensors of {model.name!r} are missing, {lost[0]} for one", "is it complete?")
        self._net = net.to(self.device).eval()
        self.facts = {"model": model.facts(), **setting(self.device, torch.float32, "transformers")}

    def embed_images(self, images: Sequence[Image.Image]) -> Vectors:
        """(n, 9) shares in [0, 1] of n RGB images, n >= 1."""
        return np.stack([shares_of(self._map(image)) for image in images])

    def _map(self, image: Image.Image) -> Vectors:
        """(h, w) the probability of text, of a picture as the processor resizes it."""
        import torch

        seen = self._processor(images=image, return_tensors="pt")["pixel_values"].to(self.device)
        with torch.inference_mode():
            found: Vectors = self._net(pixel_values=seen).last_hidden_state[0, 0].float().cpu().numpy()
        return found


def shares_of(likely: Vectors) -> Vectors:
    """(9,) which share of places (h, w) has a probability of over 0.1, 0.2, ... 0.9."""
    return np.array([(likely > tenths / 10).mean() for tenths in TENTHS], dtype=np.float32)
