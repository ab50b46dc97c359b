"""Datasets that augforge wrote, for PyTorch: rows as tensors, batches, and what a loss needs of the labels.

    from datasets import load_from_disk
    from torch.utils.data import DataLoader
    from augforge.torch import as_tensors, collate

    data = as_tensors(load_from_disk("runs/birds/dataset"), size=64)
    for batch in DataLoader(data["train"], batch_size=32, shuffle=True, collate_fn=collate):
        batch["image"], batch["label"]  # (32, 3, 64, 64) float32 in [0, 1], (32,) int64

Nothing is copied: each row is decoded when it is read, by the function that the stages use.
"""

from __future__ import annotations

from augforge.optional import require

require("torch", who="augforge.torch")

from augforge.torch.losses import class_counts, soft_cross_entropy, soft_targets  # noqa: E402  # after it was asked for
from augforge.torch.reading import NO_LABEL, as_tensors, collate  # noqa: E402
from augforge.torch.reselection import (  # noqa: E402
    Reselected,
    at_random,
    matching_gradients,
    nearest_the_boundary,
)
from augforge.torch.samplers import Curriculum, HalfSynthetic, Replaced  # noqa: E402

__all__ = [
    "NO_LABEL",
    "Curriculum",
    "HalfSynthetic",
    "Replaced",
    "Reselected",
    "as_tensors",
    "at_random",
    "class_counts",
    "collate",
    "matching_gradients",
    "nearest_the_boundary",
    "soft_cross_entropy",
    "soft_targets",
]
