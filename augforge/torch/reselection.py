"""Another part of a dataset every few epochs: chosen by the network as it is, or at random, which is the baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from augforge.algorithms.selection import Selection, gradient_matching, largest, outer_products, random_subset
from augforge.data.ids import rng
from augforge.torch.losses import soft_targets
from augforge.torch.reading import collate

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

Choose = Callable[[int], Selection]
"""What makes choice `number`, from 0: the rows and the weight of each."""
WIDTH = 1024
"""Numbers that stand for a gradient; of larger ones they are random projections."""


class Reselected(Dataset[dict[str, Any]]):
    """The rows that `choose` chose, chosen anew every few epochs; each row's `weight` is multiplied by its choice's.

        data = as_tensors(load_from_disk("runs/birds/dataset"), size=64)
        chosen = Reselected(data, matching_gradients(model, data, head=model.fc, classes=4, share=0.3), every=5)
        for epoch in range(90):
            chosen.set_epoch(epoch)
            for batch in DataLoader(chosen, batch_size=32, shuffle=True, collate_fn=collate): ...

    Give the weights to the loss: they are a part of what was chosen.

    Args:
        data: what `as_tensors` gives.
        choose: such as `matching_gradients` or `at_random` give; any function of the number of the choice, from 0,
            whose answer has `indices` (k,) and `weights` (k,).
        every: how many epochs a choice stands.

    Raises:
        ValueError: `every` is under 1, or nothing was chosen.
    """

    def __init__(self, data: Any, choose: Choose, *, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"every is {every}: a choice stands for 1 epoch or more")
        self._data, self._choose, self._every, self._number = data, choose, every, -1
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins, from 0: chooses anew where another choice is due."""
        if epoch // self._every == self._number:
            return
        self._number = epoch // self._every
        self.selection = self._choose(self._number)
        if not len(self.selection.indices):
            raise ValueError(f"choice {self._number} has no rows")

    def __len__(self) -> int:
        return len(self.selection.indices)

    def __getitem__(self, place: int) -> dict[str, Any]:
        row = self._data[int(self.selection.indices[place])]
        return {**row, "weight": row.get("weight", 1.0) * float(self.selection.weights[place])}


def at_random(data: Any, *, share: float, seed: int = 0) -> Choose:
    """Another random `share` of each class in every choice: what a choice by the network has to beat.

    Args:
        data: what `as_tensors` gives, with `label`.
        share: of the rows, over 0 and at most 1.
        seed: the same gives the same choices.
    """
    budget = _budget(share, len(data))
    labels = [-1 if label is None else label for label in data.with_format(None)["label"]]

    def choose(number: int) -> Selection:
        keys = rng(seed, f"choice {number}").integers(2**64, size=len(labels), dtype=np.uint64)
        return random_subset(len(labels), budget, labels=labels, keys=keys)

    return choose


def matching_gradients(
    model: nn.Module, data: Any, *, classes: int, share: float, head: nn.Module | None = None, batch_size: int = 256
) -> Choose:
    """Rows and weights that match the gradients of all rows, of the network as it is when the choice is made.

    The gradient is that of the loss with respect to the last layer's weights: softmax minus the targets, times the
    row's `weight`, times what the layer is given. GradMatch (Killamsetty et al., ICML 2021), see
    `augforge.algorithms.selection.gradient_matching`.

    Args:
        model: called with the images (b, 3, h, w) in evaluation mode and without gradients; gives logits (b, classes),
            or has them in `logits`. It is asked anew for each choice, which takes a forward pass over `data`.
        data: what `as_tensors` gives, with `label` or `soft_label`. Rows without either are never chosen.
        classes: how many there are.
        share: of the rows, over 0 and at most 1.
        head: the last layer, such as `model.fc`, which is given (b, d). Without it the gradient is that of the logits
            alone, which was worth less (docs/selection.md).
        batch_size: rows in a forward pass.
    """
    budget = _budget(share, len(data))

    def choose(number: int) -> Selection:
        seen = _seen(model, DataLoader(data, batch_size=batch_size, collate_fn=collate), classes, head)
        residuals = (seen.shares - seen.targets) * seen.weights[:, None]
        gradients = residuals if head is None else outer_products(residuals, seen.given, width=WIDTH)
        rows = np.flatnonzero(seen.labels >= 0)
        found = gradient_matching(gradients[rows], min(budget, len(rows)), labels=seen.labels[rows])
        return replace(found, indices=rows[found.indices])

    return choose


def nearest_the_boundary(model: nn.Module, data: Any, *, classes: int, share: float, batch_size: int = 256) -> Choose:
    """Rows of each class that the network gets right by the smallest margin; of those that it gets wrong, if there are
    too few, those that it nearly gets right. All weights are 1.

    The margin is the probability of the row's class minus the largest other. What is wrong by far is left out first:
    mislabelled images, and generated ones that show something else. Arguments are those of `matching_gradients`.
    """
    budget = _budget(share, len(data))

    def choose(number: int) -> Selection:
        seen = _seen(model, DataLoader(data, batch_size=batch_size, collate_fn=collate), classes, None)
        rows = np.flatnonzero(seen.labels >= 0)
        margins = _margins(seen.shares[rows], seen.labels[rows])
        scores = np.where(margins > 0, 1 - margins, margins)
        found = largest(scores, min(budget, len(rows)), labels=seen.labels[rows], name="nearest-the-boundary")
        return replace(found, indices=rows[found.indices])

    return choose


def _margins(shares: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n,) the share (n, c) of each row's class minus the largest other, in [-1, 1]."""
    others = shares.copy()
    rows = np.arange(len(labels))
    others[rows, labels] = -1.0
    found: NDArray[np.float32] = shares[rows, labels] - others.max(axis=1)
    return found


@dataclass(frozen=True)
class _Seen:
    """What a network says of n rows.

    Attributes:
        shares: (n, c) softmax.
        targets: (n, c) what is true, all 0 for a row without a label.
        weights: (n,) of each row, 0 for one without a label.
        labels: (n,) the likeliest class, -1 without any.
        given: (n, d) what the last layer is given, (n, 0) where it is not asked for.
    """

    shares: NDArray[np.float32]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]
    labels: NDArray[np.int64]
    given: NDArray[np.float32]


def _seen(model: nn.Module, loader: Any, classes: int, head: nn.Module | None) -> _Seen:
    given: list[Tensor] = []
    shares, targets, weights = [], [], []
    with _watched(model, head, given), torch.no_grad():
        device = next(model.parameters()).device
        for batch in loader:
            answer = model(batch["image"].to(device))
            shares.append(getattr(answer, "logits", answer).float().softmax(1).cpu())
            targets.append(soft_targets(batch, classes))
            weights.append(_weights(batch, len(targets[-1])) * (targets[-1].sum(1) > 0))
    true = torch.cat(targets)
    labels = torch.where(true.sum(1) > 0, true.argmax(1), -1)
    inputs = torch.cat(given) if given else torch.zeros(len(true), 0)
    return _Seen(torch.cat(shares).numpy(), true.numpy(), torch.cat(weights).numpy(), labels.numpy(), inputs.numpy())


@contextmanager
def _watched(model: nn.Module, head: nn.Module | None, given: list[Tensor]) -> Iterator[None]:
    """The model in evaluation mode, and what `head` is given is put into `given`; afterwards all is as before."""

    def watch(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        given.append(inputs[0].float().cpu())

    training, handle = model.training, None if head is None else head.register_forward_pre_hook(watch)
    model.eval()
    try:
        yield
    finally:
        model.train(training)
        if handle is not None:
            handle.remove()


def _weights(batch: Mapping[str, Any], count: int) -> Tensor:
    return torch.as_tensor(batch["weight"]).float() if "weight" in batch else torch.ones(count)


def _budget(share: float, rows: int) -> int:
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}: give a number over 0, at most 1")
    return max(1, round(share * rows))
