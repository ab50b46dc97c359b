"""MuSc: mutual scoring of the patches of unlabelled images (Li et al., *MuSc: Zero-Shot Industrial Anomaly
Classification and Segmentation with Mutual Scoring of the Unlabeled Images*, ICLR 2024).

A patch of a normal image has a near twin in most other images, that of an anomaly has none. Feature maps are tensors
(n, d, h, w), one of each layer of a network, which may differ in d, h and w.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

AT_ONCE = 1 << 24
"""Distances that are held at a time."""
Floats = NDArray[np.float64]


def neighbourhoods(maps: Tensor, side: int) -> Tensor:
    """(n, h * w, d) the mean of the layer-normed features (n, d, h, w) around each patch, `side` x `side` patches.

    The aggregation of neighbourhoods (LNAMD). At a border the mean is that of the patches that there are.
    """
    from torch.nn import functional

    normed = functional.layer_norm(maps.permute(0, 2, 3, 1).float(), maps.shape[1:2]).permute(0, 3, 1, 2)
    pooled = functional.avg_pool2d(normed, side, stride=1, padding=side // 2, count_include_pad=False)
    return pooled.flatten(2).transpose(1, 2)


def nearest(patches: Tensor, others: Tensor) -> Tensor:
    """(p, m) the distance of each patch (p, d) to the nearest patch of each of m other images (m, q, d).

    No more than `AT_ONCE` distances are held at a time.
    """
    import torch

    m, q, d = others.shape
    step = max(1, AT_ONCE // max(1, len(patches) * q))
    parts = []
    for start in range(0, m, step):
        some = others[start : start + step]
        distances = torch.cdist(patches, some.reshape(-1, d))
        parts.append(distances.reshape(len(patches), len(some), q).amin(dim=2))
    return torch.cat(parts, dim=1)


def interval_mean(distances: Tensor, lowest: float) -> Tensor:
    """(p,) the mean of the `lowest` share of m distances (p, m), m >= 1.

    At least one counts: of fewer than four the published interval of 30 % is empty, and its mean is not a number.

    Raises:
        ValueError: there is no other image.
    """
    if not distances.shape[1]:
        raise ValueError("mutual scoring needs another image")
    counting = max(1, int(lowest * distances.shape[1] + 1e-9))
    return distances.topk(counting, dim=1, largest=False).values.mean(dim=1)


def anomaly_maps(
    images: Sequence[Tensor],
    others: Sequence[Tensor],
    itself: Sequence[int],
    *,
    sides: Sequence[int] = (1, 3, 5),
    lowest: float = 0.3,
) -> Tensor:
    """(n, h, w) how odd each patch of n images is beside m others: the mean over layers and neighbourhoods.

    Args:
        images: of each layer the features (n, d, h, w).
        others: of each layer the features (m, d, h, w) of the images that they are compared with, at least one each.
        itself: (n,) which of the others each image is, -1 for none; it does not count.
        sides: odd sides of the neighbourhoods, in patches.
        lowest: the share in (0, 1] of the distances to the others that counts.

    Returns:
        Euclidean distances of layer-normed features; the size of the largest map, to which smaller ones are resized.
    """
    import torch
    from torch.nn import functional

    size = max((tuple(layer.shape[-2:]) for layer in images), key=lambda side: side[0] * side[1])
    total = torch.zeros(len(itself), *size, device=images[0].device)
    for layer, beside in zip(images, others, strict=True):
        scored = torch.zeros(len(itself), *layer.shape[-2:], device=total.device)
        for side in sides:
            scored += _scored(neighbourhoods(layer, side), neighbourhoods(beside, side), itself, lowest).view_as(scored)
        total += functional.interpolate(scored[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    return total / (len(images) * len(sides))


def _scored(patches: Tensor, others: Tensor, itself: Sequence[int], lowest: float) -> Tensor:
    """(n, p) the interval means of the patches (n, p, d) of n images."""
    import torch

    rows = []
    for own, place in zip(patches, itself, strict=True):
        counted = [number for number in range(len(others)) if number != place]
        rows.append(interval_mean(nearest(own, others)[:, counted], lowest))
    return torch.stack(rows)


def rescored(scores: Floats, similarities: Floats, reference: Floats, sizes: Sequence[int] = (1, 2, 3)) -> Floats:
    """(n,) scores re-weighted by similar images (RsCIN), on the scale of the reference: 0 its lowest, 1 its highest.

    For each size k the mean over the image itself and the k - 1 most similar images of the reference, weighted by
    similarity (its own is 1; a negative one counts as 0), then the mean over the sizes. Where all scores of the
    reference are equal there is no scale, and they are only shifted.

    Args:
        scores: (n,) of the images.
        similarities: (n, m) cosines to the reference; -inf where an image is that one itself.
        reference: (m,) scores of the reference.
        sizes: numbers k >= 1; a neighbourhood larger than the reference is all of it.
    """
    if not len(reference):
        return np.zeros(len(scores))
    low, span = float(reference.min()), float(np.ptp(reference)) or 1.0
    own, theirs = (scores - low) / span, (reference - low) / span
    order = np.argsort(-similarities, axis=1, kind="stable")[:, : max(sizes) - 1]
    weights = np.maximum(np.take_along_axis(similarities, order, axis=1), 0)
    weighted = weights * theirs[order]
    means = [(own + weighted[:, : k - 1].sum(axis=1)) / (1 + weights[:, : k - 1].sum(axis=1)) for k in sizes]
    return np.asarray(np.mean(means, axis=0))
