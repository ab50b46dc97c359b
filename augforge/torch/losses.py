"""What a training loop needs of the labels: soft ones, weights, and the sizes of the classes among real images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from augforge.errors import SourceError
from augforge.evaluate.losses import soft_loss

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor


def class_counts(data: Dataset) -> Tensor:
    """(classes,) float32, how many *real* images each class has: the prior of Balanced Softmax, whatever was added.

    Raises:
        SourceError: the dataset has no classes, or a class has no real image.
    """
    import torch
    from datasets import ClassLabel

    kind = data.features.get("label")
    if not isinstance(kind, ClassLabel):
        raise SourceError("the column 'label' has no classes", "a single label for each image is needed")
    plain = data.with_format(None)
    origins = plain["origin"] if "origin" in plain.column_names else ["real"] * len(plain)
    real = [label for label, origin in zip(plain["label"], origins, strict=True) if origin == "real"]
    known = torch.tensor([label for label in real if label is not None and label >= 0], dtype=torch.int64)
    counts = torch.bincount(known, minlength=kind.num_classes)
    if not counts.all():
        empty = kind.int2str(int((counts == 0).nonzero()[0]))
        raise SourceError(f"the class {empty!r} has no real image", "its share among real images is not known")
    return counts.float()


def soft_targets(batch: Mapping[str, Any], classes: int) -> Tensor:
    """(n, classes) float32, the distribution of each row of a batch: its soft label, or all on its label.

    Args:
        batch: what `collate` gives of rows with `label`, and `soft_label` where the dataset has it. A row without
            either gets zeros, and so no say in the loss.
        classes: how many there are.
    """
    import torch
    from torch.nn.functional import one_hot

    labels = torch.as_tensor(batch["label"])
    known = one_hot(labels.clamp(min=0), classes).float() * (labels >= 0)[:, None]
    soft = batch.get("soft_label")
    for row, shares in enumerate([] if soft is None else soft):
        if shares is not None:
            known[row] = torch.as_tensor(shares)
    return known


def soft_cross_entropy(
    logits: Tensor, targets: Tensor, *, weight: Tensor | None = None, counts: Tensor | None = None
) -> Tensor:
    """The mean cross-entropy of logits (n, classes) with soft targets (n, classes), a scalar.

    Args:
        logits: (n, classes) of the network.
        targets: as `soft_targets`.
        weight: (n,) of each row, as the column `weight`; all 1 if None. The mean is over rows, not over weights.
        counts: (classes,) as `class_counts`, for Balanced Softmax (Ren et al., NeurIPS 2020, arXiv 2007.10740): their
            logarithm is added to the logits while training. Predict with the plain logits.
    """
    scaled = targets if weight is None else targets * weight.to(targets)[:, None]
    return soft_loss(logits, scaled, counts)
