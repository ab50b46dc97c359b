"""What a learner is, and the training that all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from augforge.data.ids import key, rng, seed_of
from augforge.evaluate.arms import Arm
from augforge.evaluate.batches import half_and_half
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.losses import sizes_for, soft_loss, targets_of
from augforge.evaluate.mixes import mixer
from augforge.evaluate.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor, nn

Predictions = NDArray[np.int64]
Feed = Callable[[NDArray[np.int64], np.random.Generator], "Tensor"]
"""Rows (b,) of what is learned from, to the network's inputs (b, ...) on its device."""


class Learner(ABC):
    """Learns from arms. `prepare` is told once of all that will be looked at, so that it is loaded together."""

    @abstractmethod
    def prepare(self, arms: Sequence[Arm], held_out: Sequence[HeldOut]) -> None:
        """Read what is needed of the arms' images, and of those to judge by."""

    @abstractmethod
    def predict(self, arm: Arm, seed: int, held_out: Sequence[HeldOut]) -> list[Predictions]:
        """Train on `arm` and say the class of every image of each of `held_out`: (n,) numbers of the run's classes.

        The same seed gives every arm the same beginning.
        """


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What one training learns from, n images: `labels` (n,), `weights` (n,), `real` (n,) bool.

    `counts` are the real images of each of the run's classes.
    """

    labels: NDArray[np.int64]
    weights: NDArray[np.float64]
    real: NDArray[np.bool_]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The steps of AdamW, and its learning rate at the first of them."""

    steps: int
    rate: float


def fit(net: nn.Module, data: TrainingData, feed: Feed, settings: Settings, seed: int, schedule: Schedule) -> None:
    """Train `net` in place: AdamW, a cosine to 0, batches half real."""
    import torch

    steps, classes = schedule.steps, len(data.counts)
    optimizer = torch.optim.AdamW(net.parameters(), lr=schedule.rate, weight_decay=0.01)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    sizes = sizes_for(settings.loss, data.counts)
    random = rng(seed_of(key("evaluate", seed)), "batches")
    mix = mixer(settings.mix, classes)
    labels, weights = torch.from_numpy(data.labels), torch.from_numpy(data.weights).float()
    real, others = np.flatnonzero(data.real), np.flatnonzero(~data.real)
    net.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(key("evaluate", seed, "mix")))
        for rows in half_and_half(real, others, settings.batch, steps, random):
            inputs = feed(rows, random)
            inputs, targets = mix(inputs, targets_of(labels[rows], weights[rows], classes).to(inputs.device))
            loss = soft_loss(net(inputs).float(), targets, sizes)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch says nothing of it
            optimizer.step()
            cosine.step()
    net.eval()
