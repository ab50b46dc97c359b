"""The adapter for ImageReward: how well people would like an image as an answer to its prompt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from augforge.data.preprocessing import Preprocessing
from augforge.models.devices import pick_device, setting
from augforge.models.pretrained import open_pretrained
from augforge.models.table import Model
from augforge.optional import require

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

BATCH = 16
"""Pairs at a time: fixed and padded, so that a score never depends on how many were asked for."""
LONGEST = 35
"""Tokens of a prompt that are read, as published."""
MEAN, STD = 0.16717362830052426, 1.0333394966054072
"""What is taken from the head's answer and what it is divided by, as published; config.json may say others."""
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class Reward:
    """ImageReward, opened from a directory with config.json, model.safetensors and the files of BERT's tokenizer.

    Args:
        model: the row of the model.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".

    Raises:
        ModelError: its weights are of another network, or missing.
    """

    def __init__(self, model: Model, device: str = "auto") -> None:
        require("torch", "transformers", "safetensors")
        import torch

        self.device = pick_device(device)
        self._net, self._tokenizer, facts = open_pretrained(model, "model of ImageReward's kind", _load)
        self._net = self._net.to(self.device).eval()
        self._mean, self._std = float(facts.get("mean", MEAN)), float(facts.get("std", STD))
        side = int(self._net.vision.config.image_size)
        self._seen = Preprocessing(side, CLIP_MEAN, CLIP_STD, side)
        self.facts = {"model": model.facts(), **setting(self.device, torch.float32, "transformers")}

    def score(self, images: Sequence[Image], prompts: Sequence[str]) -> NDArray[np.float64]:
        """(n,) how well people would like each of n RGB images for its prompt: about -2 to 2, mean 0 over its data."""
        import torch

        scores = np.zeros(len(images))
        for start in range(0, len(images), BATCH):
            places = list(range(start, min(start + BATCH, len(images))))
            full = places + [places[-1]] * (BATCH - len(places))
            told = self._tokenizer(
                [prompts[place] for place in full],
                padding="max_length",
                truncation=True,
                max_length=LONGEST,
                return_tensors="pt",
            ).to(self.device)
            seen = np.stack([self._seen.resize_and_crop(images[place]) for place in full])
            with torch.inference_mode():
                found = (
                    self._net(self._seen.normalize(seen, self.device), told.input_ids, told.attention_mask)
                    .double()
                    .cpu()
                    .numpy()
                )
            scores[places] = (found[: len(places)] - self._mean) / self._std
        return scores


def _load(folder: Path) -> tuple[Any, Any, dict[str, Any]]:
    """The network, the tokenizer and what config.json says."""
    from safetensors.torch import load_file
    from transformers import BertTokenizer

    from augforge.models.networks.image_reward import image_reward

    facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    heads = facts.get("heads")
    net = image_reward(load_file(folder / "model.safetensors"), None if heads is None else (heads[0], heads[1]))
    return net, BertTokenizer.from_pretrained(folder), dict(facts)
