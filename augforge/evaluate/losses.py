"""Losses over labels that may be mixed and weighted, and over pairs of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from augforge.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

MARGIN, HARDEST = 0.75, 5
"""How far apart the contrastive loss wants different classes, in [0, 2], and how many it looks at for each image."""
LEAST, FAR = 1e-6, 2.0
"""Under the root, so that its slope is finite; and the largest distance that vectors of length 1 have."""


def weighted(targets: Tensor, weights: Tensor) -> Tensor:
    """(b, c + 1) targets (b, c), each row times its weight (b,), and that weight: so a mix mixes the weights along."""
    import torch

    return torch.cat([targets * weights[:, None], weights[:, None]], dim=1)


def binary_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Binary cross-entropy of logits (b, c), the mean over classes and over the batch, a scalar.

    Args:
        logits: (b, c).
        targets: (b, c) which classes each image shows, times its weight.
        weights: (b,).
    """
    from torch.nn.functional import logsigmoid

    loss: Tensor = -(targets * logsigmoid(logits) + (weights[:, None] - targets) * logsigmoid(-logits)).mean()
    return loss


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


def contrastive_loss(vectors: Tensor, partners: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """The contrastive loss of Radenovic et al. (TPAMI 2019, arXiv 1711.02512) with hard negatives, a scalar.

    Of each image: half its squared distance to its partner, and for the `HARDEST` nearest vectors of other classes half
    the square of what their distance lacks of `MARGIN`; the mean over images times their weights. Negatives are those
    of the batch, where the paper searches a pool of thousands before every epoch.

    Args:
        vectors: (b, d) of length 1.
        partners: (b, d) of length 1, each of another image of the same class.
        labels: (b,) numbers of classes.
        weights: (b,).
    """
    import torch

    both, names = torch.cat([vectors, partners]), torch.cat([labels, labels])
    apart = (2 - 2 * vectors @ both.T).clamp(min=LEAST).sqrt()
    same = labels[:, None] == names[None]
    nearest = apart.masked_fill(same, FAR).topk(min(HARDEST, len(names)), largest=False).values
    pulled = (vectors - partners).square().sum(dim=1)
    pushed = (MARGIN - nearest).clamp(min=0).square().sum(dim=1)
    loss: Tensor = (weights * (pulled + pushed) / 2).mean()
    return loss
