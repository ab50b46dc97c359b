"""The adapter that makes an image into a small map of its edges, as vectors that filters compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from augforge.models.devices import setting
from augforge.models.table import Model
from augforge.optional import require

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 128
"""Px to which an image is squashed, so that an image and its parent are compared cell by cell, whatever their sizes."""
GRID = 64
"""Cells of a side of the map: each has the surest edge of its 2 x 2 px."""


class EdgeMaps:
    """A detector of soft edges, such as HED, that embeds an image as its map: (4096,) numbers in [0, 1]."""

    def __init__(self, model: Model, device: str = "auto") -> None:
        require("torch", "safetensors", "scipy")
        import torch

        from augforge.models.edges import EdgeDetector

        self._detector = EdgeDetector(model.name, device)
        self.facts = {"model": model.facts(), **setting(self._detector.device, torch.float32)}

    def embed_images(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """(n, 4096) maps of n RGB images, row by row."""
        return np.stack([self._map(image) for image in images])

    def _map(self, image: Image) -> NDArray[np.float32]:
        from PIL.Image import Resampling

        edges = self._detector.edges(image.resize((SIDE, SIDE), Resampling.BILINEAR))
        step = SIDE // GRID
        cells: NDArray[np.float32] = edges.reshape(GRID, step, GRID, step).max(axis=(1, 3))
        return cells.ravel()
