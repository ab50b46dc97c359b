"""What a classifier learns of labels: the one class of an image, its several classes, or the share of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from augforge.data.classes import shares_of
from augforge.data.ledger import Indices, Ledger
from augforge.evaluate.losses import binary_loss, sizes_for, soft_loss
from augforge.evaluate.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor

    from augforge.evaluate.learners import Answers

Targets = NDArray[np.float32]


def label_shares(ledger: Ledger, rows: Indices, classes: Sequence[str]) -> Targets:
    """(n, c) what each of `rows` counts for each of `classes`: 1 of its label and of several, or its share."""
    numbers = {label: number for number, label in enumerate(classes)}
    found = np.zeros((len(rows), len(numbers)), dtype=np.float32)
    for place, sample in enumerate(ledger.samples(rows)):
        for label, share in shares_of(sample.label, sample.annotations).items():
            found[place, numbers[label]] = share
    return found


class Goal(ABC):
    """What the outputs (n, c) of a classifier are to be, and what they say."""

    @abstractmethod
    def targets(self, ledger: Ledger, rows: Indices) -> Targets:
        """(n, c) of the samples at `rows` (n,)."""

    @abstractmethod
    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Of logits (b, c), targets (b, c) times weights, and weights (b,): a scalar."""

    def answers(self, logits: NDArray[np.float32]) -> Answers:
        """(n, …) what outputs (n, c) say, as the task reads it."""
        return logits


class OneClass(Goal):
    """One class; answers are numbers (n,). `counts` are the real images of each, for balanced softmax."""

    def __init__(self, settings: Settings, counts: Mapping[str, int]) -> None:
        self._sizes = sizes_for(settings.loss, counts)

    def targets(self, ledger: Ledger, rows: Indices) -> Targets:
        """One-hot."""
        return np.eye(len(ledger.classes), dtype=np.float32)[ledger.class_index(rows)]

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Cross-entropy, or Balanced Softmax."""
        return soft_loss(logits, targets, self._sizes)

    def answers(self, logits: NDArray[np.float32]) -> Answers:
        """(n,) the class with the largest output."""
        said: Answers = logits.argmax(axis=1)
        return said


class SeveralClasses(Goal):
    """Any number of classes; answers are logits (n, c)."""

    def targets(self, ledger: Ledger, rows: Indices) -> Targets:
        """1 of each class that the image shows."""
        return (label_shares(ledger, rows, ledger.classes) > 0).astype(np.float32)

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Binary cross-entropy."""
        return binary_loss(logits, targets, weights)


class Distribution(Goal):
    """A share of each class; answers are logits (n, c)."""

    def targets(self, ledger: Ledger, rows: Indices) -> Targets:
        """The shares, made to sum to 1."""
        shares = label_shares(ledger, rows, ledger.classes)
        whole: Targets = shares / shares.sum(axis=1, keepdims=True)
        return whole

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Cross-entropy with the shares."""
        return soft_loss(logits, targets)
