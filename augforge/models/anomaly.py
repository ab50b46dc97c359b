"""The adapter for models that find what is odd in a picture: EfficientAD, trained here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augforge.data.preprocessing import Preprocessing, Seen
from augforge.errors import ModelError
from augforge.models.devices import pick_device, setting
from augforge.models.directory import read_model
from augforge.models.table import Model
from augforge.optional import require

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
STRIDE, REACH = 4, 33
"""A place of a map sees squares of `REACH` px, `STRIDE` px from the next."""
POOLED = 2
"""Places a side that one number of a stored map stands for: the largest of them."""
BATCH = 8
"""Fixed and padded, so that a map never depends on how many images were asked for."""
WHITE = 0.1
"""Where a map is half as bright as it can be: one of 200 places of good images is so odd."""
Maps = NDArray[np.float32]


def seen_as(size: int) -> Preprocessing:
    """How EfficientAD sees: the whole picture as a square of `size` px."""
    return Preprocessing(size, MEAN, STD, None, Image.Resampling.BILINEAR)


class AnomalyDetector:
    """A trained EfficientAD on its device."""

    def __init__(self, model: Model, device: str = "auto") -> None:
        require("torch")
        import torch

        from augforge.models.networks.efficientad import load_efficientad

        if model.directory is None:
            raise ModelError(
                f"{model.name!r} is no directory on this disk", "give what augforge train efficientad wrote"
            )
        self.device = pick_device(device)
        trained = read_model(Path(model.directory))
        try:
            net = load_efficientad(trained.facts, trained.weights)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"the model in {model.directory} is damaged: {error}", "train it again") from error
        self._net = net.to(self.device).eval().requires_grad_(False)
        self.preprocessing = seen_as(net.size)
        self.facts: dict[str, Any] = {"model": model.facts(), **setting(self.device, torch.float32)}

    def maps(self, seen: Seen) -> Maps:
        """(n, g, g) the anomaly maps of n images that `preprocessing` has looked at."""
        import torch

        parts = []
        for start in range(0, len(seen), BATCH):
            few = seen[start : start + BATCH]
            full = np.concatenate([few, np.repeat(few[-1:], BATCH - len(few), axis=0)])
            with torch.inference_mode():
                found = self._net(self.preprocessing.normalize(full, self.device))
            parts.append(found[: len(few)].float().cpu().numpy())
        return np.concatenate(parts)

    def embed_preprocessed(self, seen: Seen) -> Maps:
        """(n, h * w) the maps, of every 2 x 2 places the largest; so every model that makes vectors is asked."""
        return pooled(self.maps(seen)).reshape(len(seen), -1)

    def embed_images(self, images: Sequence[Image.Image]) -> Maps:
        """The same of n RGB images, n >= 1."""
        return self.embed_preprocessed(np.stack([self.preprocessing.resize_and_crop(image) for image in images]))


def pooled(maps: Maps) -> Maps:
    """(n, ceil(g / 2), ceil(g / 2)) of every 2 x 2 places of maps (n, g, g) the largest."""
    odd = maps.shape[1] % POOLED
    padded = np.pad(maps, ((0, 0), (0, odd), (0, odd)), constant_values=-np.inf)
    side = padded.shape[1] // POOLED
    found: Maps = padded.reshape(len(maps), side, POOLED, side, POOLED).max(axis=(2, 4))
    return found


def brightness(maps: Maps) -> Maps:
    """How bright places are drawn, in [0, 1): 0 where nothing is odd, a half where one of 200 good ones is as odd."""
    above = np.maximum(maps, 0)
    return (above / (above + WHITE)).astype(np.float32)


def laid_over(heat: Maps, width: int, height: int, stride: int = STRIDE) -> Image.Image:
    """A grey picture of `width` x `height` px, as bright as a map (g, g) in the middle of what each place sees.

    The outermost px are in the middle of no place: there it is black, as published. `stride` is that of the map in px
    of what the network sees, twice as much of a pooled one.
    """
    covered = len(heat) * stride
    side = covered + REACH - 1  # px of what the network sees; the first place has its middle at half of its reach
    first = (REACH - STRIDE) / 2
    levels = Image.fromarray(np.rint(255 * brightness(heat)).astype(np.uint8))
    inside = max(1, round(width * covered / side)), max(1, round(height * covered / side))
    canvas = Image.new("L", (width, height))
    at = (round(width * first / side), round(height * first / side))
    canvas.paste(levels.resize(inside, Image.Resampling.BILINEAR), at)
    return canvas


def coloured(heat: Maps, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(h, w, 3) a picture in grey with its map (g, g) in red over it."""
    height, width = picture.shape[:2]
    share = np.asarray(laid_over(heat, width, height), dtype=np.float32)[..., None] / 255
    grey = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)
    drawn: NDArray[np.uint8] = np.rint(grey * (1 - share) + share * np.array([230, 40, 20])).astype(np.uint8)
    return drawn
