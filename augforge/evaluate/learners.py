"""What a learner is, and the training that all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from augforge.data.ids import key, rng, seed_of
from augforge.data.ledger import Indices, Ledger
from augforge.errors import RecipeError
from augforge.evaluate.arms import Arm
from augforge.evaluate.batches import Children, children_of, half_and_half, with_replacement
from augforge.evaluate.goals import Goal
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.losses import weighted
from augforge.evaluate.mixes import mixer
from augforge.evaluate.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor, nn

Answers = NDArray[Any]
"""(n, …) what one training says of each of n images, or how right it is, as the task reads it."""
Feed = Callable[[NDArray[np.int64], np.random.Generator], "Tensor"]
"""Rows (b,) of what is learned from, to the network's inputs (b, ...) on its device."""
LossOf = Callable[[NDArray[np.int64], np.random.Generator], "Tensor"]
"""Rows (b,) of what is learned from, to the loss of a batch of them, a scalar."""


class Learner(ABC):
    """Learns from arms. `prepare` is told once of all that will be looked at, so that it is loaded together."""

    @abstractmethod
    def prepare(self, arms: Sequence[Arm], held_out: Sequence[HeldOut]) -> None:
        """Read what is needed of the arms' images, and of those to judge by."""

    @abstractmethod
    def predict(self, arm: Arm, seed: int, held_out: Sequence[HeldOut]) -> list[Answers]:
        """Train on `arm` and answer for every image of each of `held_out`: (n, …), as the task reads answers.

        The same seed gives every arm the same beginning.
        """


@dataclass(frozen=True, slots=True)
class Batches:
    """Batches of `size` of n images, half `real` (n,), or real ones of which a `share` is replaced by `children`."""

    real: NDArray[np.bool_]
    size: int
    share: float = 0.0
    children: Children = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, name: str, *parts: tuple[Ledger, Indices]) -> Batches:
        """Those of the samples in ledgers that the arm `name` has, one part after the other.

        Raises:
            RecipeError: real images are to be replaced, and nothing was made from any.
        """
        real = np.array([o == "real" for ledger, rows in parts for o in ledger.column("origin", rows)], dtype=bool)
        if settings.replacement is None:
            return cls(real, settings.batch)
        ids, parents = ([one for ledger, rows in parts for one in ledger.column(c, rows)] for c in ("id", "parents"))
        children = children_of(ids, parents, real)
        if not real.all() and not children:
            raise RecipeError(
                f"--replacement: no image that the arm {name} adds was made from one of its real images",
                "leave it out: then half of each batch is real",
            )
        return cls(real, settings.batch, settings.replacement, children)

    def drawn(self, steps: int, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """`steps` batches of rows (size,)."""
        real, others = np.flatnonzero(self.real), np.flatnonzero(~self.real)
        if self.share and len(others):
            return with_replacement(real, self.children, self.share, self.size, steps, random)
        return half_and_half(real, others, self.size, steps, random)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What one training learns from, n images: `targets` (n, c), `weights` (n,), their batches; and what for."""

    targets: NDArray[np.float32]
    weights: NDArray[np.float64]
    batches: Batches
    goal: Goal


@dataclass(frozen=True, slots=True)
class Schedule:
    """The steps of AdamW, and its learning rate at the first of them."""

    steps: int
    rate: float


def fit(net: nn.Module, data: TrainingData, feed: Feed, settings: Settings, seed: int, schedule: Schedule) -> None:
    """Train a classifier `net` in place; see `descend`."""
    import torch

    given = weighted(torch.from_numpy(data.targets), torch.from_numpy(data.weights).float())
    mix = mixer(settings.mix, given.shape[1])

    def loss_of(rows: NDArray[np.int64], random: np.random.Generator) -> Tensor:
        inputs = feed(rows, random)
        inputs, targets = mix(inputs, given[rows].to(inputs.device))
        return data.goal.loss(net(inputs).float(), targets[:, :-1], targets[:, -1])

    descend(net, loss_of, data.batches, seed, schedule)


def descend(net: nn.Module, loss_of: LossOf, batches: Batches, seed: int, schedule: Schedule) -> None:
    """Train `net` in place: AdamW, a cosine to 0.

    Args:
        net: is left in evaluation mode.
        loss_of: of rows (batch,) of what is learned from, with numbers to draw by.
        batches: what each step sees.
        seed: the same gives every arm the same beginning.
        schedule: the steps.
    """
    import torch

    optimizer = torch.optim.AdamW(net.parameters(), lr=schedule.rate, weight_decay=0.01)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, schedule.steps)
    random = rng(seed_of(key("evaluate", seed)), "batches")
    net.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(key("evaluate", seed, "mix")))
        for rows in batches.drawn(schedule.steps, random):
            loss = loss_of(rows, random)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch says nothing of it
            optimizer.step()
            cosine.step()
    net.eval()
