"""Image-text models of transformers (CLIP, SigLIP, SigLIP 2, PickScore): one directory embeds images and texts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from augforge.errors import ModelError
from augforge.models.image_text import BATCH

if TYPE_CHECKING:
    from torch import Tensor

Vectors = NDArray[np.float32]

VOCABULARIES = ("tokenizer.json", "vocab.json", "spiece.model", "tokenizer.model", "vocab.txt")
"""Where tokenizers keep their words. Without any, transformers makes up an empty one, to which all texts are alike."""


class TextTower:
    """The texts' half of an image-text model of transformers.

    Every text is padded to the length that the model was trained with, and every batch to `BATCH` texts, so that a
    vector depends on nothing but its text.
    """

    def __init__(self, net: Any, folder: Path, device: str) -> None:
        self._net, self._folder, self._device = net, folder, device
        self._length = int(net.config.text_config.max_position_embeddings)

    @cached_property
    def _tokenizer(self) -> Any:
        """What reads texts; ModelError where the directory has none. Loaded when it is asked, as images need none."""
        from transformers import AutoTokenizer

        hint = "save the tokenizer that the model was trained with beside it (AutoTokenizer, save_pretrained)"
        if not any((self._folder / name).is_file() for name in VOCABULARIES):
            raise ModelError(f"{self._folder} has no tokenizer: none of {', '.join(VOCABULARIES)}", hint)
        try:
            return AutoTokenizer.from_pretrained(self._folder)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ModelError(f"the tokenizer in {self._folder} cannot be loaded: {error}", hint) from error

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """(n, d) embeddings of n texts, of unit length."""
        import torch

        parts = []
        for start in range(0, len(texts), BATCH):
            few = list(texts[start : start + BATCH])
            with torch.inference_mode():
                vectors = self._features(few + few[-1:] * (BATCH - len(few)))[: len(few)]
            parts.append(torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy())
        return np.concatenate(parts)

    def _features(self, texts: list[str]) -> Tensor:
        """(n, d) what the model says of n texts."""
        read = self._tokenizer(
            texts, padding="max_length", truncation=True, max_length=self._length, return_tensors="pt"
        ).to(self._device)
        masks = {"attention_mask": read["attention_mask"]} if "attention_mask" in read else {}
        found = self._net.get_text_features(input_ids=read["input_ids"], **masks)
        vectors: Tensor = getattr(found, "pooler_output", found)
        return vectors
