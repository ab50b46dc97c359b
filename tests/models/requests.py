"""Requests for tests: pictures, embeddings and texts that differ from row to row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from augforge.algorithms.repaint import Jumps
from augforge.models.backends import Backend, Request

WORDS = ("a cat", "a dog", "a red house", "a boat", "")


def picture(seed: int, size: int = 32) -> Image.Image:
    """A smooth random RGB picture."""
    small = np.random.default_rng(seed).uniform(0, 255, (4, 4, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC)


def request_for(backend: Backend, count: int = 3, guidance: float = 3.0, steps: int = 3) -> Request:
    """A request of `count` rows with everything that `backend` can be conditioned on."""
    pictures = [picture(number) for number in range(count)]
    request = Request(
        prompts=[WORDS[number % len(WORDS)] for number in range(count)],
        negatives=[""] * count,
        seeds=[100 + number for number in range(count)],
        steps=steps,
        guidance=guidance,
        size=(32, 32),
    )
    if backend.labels:
        return replace(request, labels=[backend.labels[number % len(backend.labels)] for number in range(count)])
    if "embedding" in backend.carries:
        return replace(request, embeds=backend.embed(pictures, 4))
    if "control" in backend.carries:
        return replace(request, controls=[picture(20 + number) for number in range(count)])
    if "mask" in backend.carries:
        right = np.arange(32)[None].repeat(32, axis=0) > 12
        return replace(request, images=pictures, masks=[right] * count, jumps=Jumps(1, 2))
    if "image" in backend.carries:
        return replace(request, images=pictures, strength=0.7)
    return request


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The largest absolute difference."""
    return float(np.abs(one - other).max())
