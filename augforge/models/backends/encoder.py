"""A CLIP image encoder, always run in fixed padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from augforge.errors import ModelError
from augforge.models.backends.options import Options

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image


class ImageEncoder:
    """transformers' CLIPVisionModelWithProjection with its processor.

    A subclass whose network gives something else than one vector an image says so by `width` and `_encode`.
    """

    def __init__(self, net: Any, processor: Any) -> None:
        self.net = net
        self.processor = processor

    @property
    def size(self) -> int:
        """The side, in px, of the square picture that it looks at."""
        return int(self.net.config.image_size)

    @property
    def width(self) -> int:
        """D, the length of an embedding."""
        return int(self.net.config.projection_dim)

    @property
    def shape(self) -> tuple[int, ...]:
        """What an embedding is to the decoder: a vector (D,), or tokens (T, D)."""
        return (self.width,)

    def embed(self, images: Sequence[Image], batch: int) -> NDArray[np.float32]:
        """(n, D) embeddings of n RGB images, always computed `batch` at a time, the last batch padded."""
        import torch

        parts = []
        for start in range(0, len(images), batch):
            part = list(images[start : start + batch])
            padded = part + [part[-1]] * (batch - len(part))
            pixels = self.processor(images=padded, return_tensors="pt").pixel_values
            with torch.no_grad():
                parts.append(self._encode(pixels)[: len(part)].float().cpu().numpy())
        return np.concatenate(parts) if parts else np.zeros((0, self.width), np.float32)

    def of_zeros(self) -> Any:
        """(1, D) tensor: the embedding of an input of zeros, "no image" to decoders of the unCLIP kind."""
        import torch

        with torch.no_grad():
            return self._encode(torch.zeros(1, 3, self.size, self.size))

    def _encode(self, pixels: Any) -> Any:
        return self.net(pixels.to(self.net.device, self.net.dtype)).image_embeds


class HiddenStates(ImageEncoder):
    """The hidden states before the last layer, the class token among them: (T, D) as one vector of T * D."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, D)."""
        config = self.net.config
        return ((config.image_size // config.patch_size) ** 2 + 1, int(config.hidden_size))

    @property
    def width(self) -> int:
        """T * D."""
        return int(np.prod(self.shape))

    def _encode(self, pixels: Any) -> Any:
        seen = self.net(pixels.to(self.net.device, self.net.dtype), output_hidden_states=True)
        return seen.hidden_states[-2].flatten(1)


def load_encoder(folder: Path, processor: Path | None, dtype: Any, options: Options) -> ImageEncoder:
    """The image encoder saved in `folder`, on the CPU.

    Args:
        folder: with `config.json` and the weights.
        processor: with `preprocessor_config.json`; None makes the usual one of the encoder's size.
        dtype: the torch.dtype of the weights.
        options: the variant, and whether pickles may be read.

    Raises:
        ModelError: there is no such encoder.
    """
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    kept = None if options.allow_pickle else True
    try:
        net = CLIPVisionModelWithProjection.from_pretrained(
            folder, dtype=dtype, variant=_variant(folder, options), use_safetensors=kept
        )
        if processor is not None:
            return ImageEncoder(net.eval(), CLIPImageProcessor.from_pretrained(processor))
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"no image encoder can be loaded from {folder}: {error}", "give the encoder that the model was trained with"
        ) from error
    side = net.config.image_size
    return ImageEncoder(
        net.eval(), CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    )


def _variant(folder: Path, options: Options) -> str | None:
    """The variant where this folder has it: encoders beside a model are often stored in one precision only."""
    return options.variant if options.variant and any(folder.glob(f"*.{options.variant}.*")) else None
