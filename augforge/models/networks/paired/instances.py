"""Instances of a label map: which pixels belong together, where they meet, and means over each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

VOID = -1
"""The class of a pixel that has none."""


def label_classes(mask: NDArray[np.uint8], values: int) -> NDArray[np.int64]:
    """(h, w) class of every pixel, 0 to values - 1; VOID where the mask says 255, or a value that is not known."""
    classes = mask.astype(np.int64)
    classes[(mask == 255) | (mask >= values)] = VOID
    return classes


def components(classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """(h, w) numbers of instances, from 1: pixels of one class that touch along a side; 0 is void."""
    ids = np.zeros(classes.shape, np.int64)
    for value in np.unique(classes[classes != VOID]):
        parts, _ = ndimage.label(classes == value)
        ids[parts > 0] = parts[parts > 0] + ids.max()
    return ids


def seam(ids: NDArray[Any]) -> NDArray[np.bool_]:
    """(h, w), true where a pixel's instance differs from that of one of its four neighbours."""
    found = np.zeros(ids.shape, bool)
    below, beside = ids[1:] != ids[:-1], ids[:, 1:] != ids[:, :-1]
    found[1:] |= below
    found[:-1] |= below
    found[:, 1:] |= beside
    found[:, :-1] |= beside
    return found


def instance_mean(features: Tensor, ids: Tensor) -> Tensor:
    """(b, c, h, w): every pixel of an instance takes the mean of the features (b, c, h, w) over that instance.

    `ids` (b, h, w) are numbered from 1 within each image; void, 0, becomes zero.
    """
    means, places = _means(features, ids)
    return means[places].movedim(-1, 1) * (ids > 0).unsqueeze(1)


def codes_of(features: Tensor, ids: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """The means (k, c) of all k instances in a batch, and the class (k,) of each."""
    means, places = _means(features, ids)
    kinds = torch.full((len(means),), VOID, dtype=torch.int64, device=ids.device)
    kinds[places.flatten()] = torch.where(ids > 0, classes, VOID).flatten()
    return means[kinds != VOID], kinds[kinds != VOID]


def _means(features: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Means (n, c) of every number of every image, and where (b, h, w) in them each pixel finds its own."""
    stride = int(ids.max()) + 1
    places = ids + torch.arange(len(ids), device=ids.device).view(-1, 1, 1) * stride
    flat, rows = places.flatten(), features.movedim(1, -1).flatten(0, 2).float()
    sums = rows.new_zeros(len(ids) * stride, rows.shape[1]).index_add(0, flat, rows)
    counts = torch.bincount(flat, minlength=len(sums)).clamp(min=1)
    return sums / counts.unsqueeze(1), places
