"""How much a learner would get from an image: its loss, its margin, or how its gradient varies over its training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.calibration import probabilities

Logits = NDArray[np.floating[Any]]
Columns = NDArray[np.int64]
Scores = NDArray[np.float64]
LEAST = 1e-12
"""The least probability, whose logarithm is still a number."""


def losses_of(logits: Logits, truth: Columns) -> Scores:
    """(n,) the cross-entropy of logits (n, c) and the true columns (n,), in nats."""
    own = probabilities(logits)[np.arange(len(logits)), truth]
    found: Scores = -np.log(np.maximum(own, LEAST))
    return found


def margins_of(logits: Logits, truth: Columns) -> Scores:
    """(n,) the probability of the true column minus the largest other, in [-1, 1]; NaN with a single column."""
    found = probabilities(logits)
    if found.shape[1] < 2:
        return np.full(len(found), np.nan)
    rows = np.arange(len(found))
    own = found[rows, truth]
    found[rows, truth] = -np.inf
    margins: Scores = own - found.max(axis=1)
    return margins


def variances_of(logits: Sequence[Logits], truth: Columns) -> Scores:
    """(n,) how the gradient with respect to the logits varies over k states of a training, logits (n, c) of each.

    The gradient of the cross-entropy is softmax - onehot; its variance over the states (divided by k) is averaged
    over the columns. The variance of gradients of Agarwal et al. (CVPR 2022) is that of input pixels; this one needs no
    backward pass.

    Raises:
        ValueError: fewer than two states, which vary in nothing.
    """
    if len(logits) < 2:
        raise ValueError("a variance needs the logits of two states of a training")
    gradients = np.stack([probabilities(state) for state in logits])
    gradients[:, np.arange(len(truth)), truth] -= 1
    variances: Scores = gradients.var(axis=0).mean(axis=1)
    return variances
