"""Losses over labels that may be mixed and weighted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from augforge.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def targets_of(labels: Tensor, weights: Tensor, classes: int) -> Tensor:
    """(b, c) one-hot labels (b,), each row times its weight (b,): mixing them mixes the weights along."""
    from torch.nn.functional import one_hot

    scaled: Tensor = one_hot(labels, classes).to(weights) * weights[:, None]
    return scaled


def soft_loss(logits: Tensor, targets: Tensor, counts: Tensor | None = None) -> Tensor:
    """Cross-entropy of logits (b, c) with weighted soft labels (b, c), the mean over the batch, a scalar.

    With the classes' sizes `counts` (c,), of logits + log sizes: Balanced Softmax (Ren et al., NeurIPS 2020, arXiv
    2007.10740), which makes up for them. The sizes are those of the real images, whatever was added to them. Equal
    sizes give the plain cross-entropy.
    """
    if counts is not None:
        logits = logits + counts.to(logits).log()
    loss: Tensor = -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()
    return loss


def sizes_for(loss: str, counts: Mapping[str, int]) -> Tensor | None:
    """(c,) what `soft_loss` takes: the real images of each class for balanced-softmax, else None.

    Raises:
        RecipeError: a class has no real image, so that its share is not known.
    """
    import torch

    if loss != "balanced-softmax":
        return None
    for label, count in counts.items():
        if not count:
            raise RecipeError(
                f"balanced-softmax needs real images of every class; {label!r} has none", "use --loss cross-entropy"
            )
    return torch.tensor(list(counts.values()), dtype=torch.float32)
