"""Metric learning: a network that gives images of one class like vectors, and those of others different ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from augforge.data.ids import key, seed_of
from augforge.errors import ModelError
from augforge.evaluate.arms import Arm
from augforge.evaluate.classical import OPERATIONS
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.learners import Answers, Batches, Learner, Schedule, descend
from augforge.evaluate.losses import contrastive_loss
from augforge.evaluate.network import FINE_TUNING, Views, begun, outputs, squares
from augforge.evaluate.settings import GEM

if TYPE_CHECKING:
    from torch import Tensor, nn

    from augforge.evaluate.tasks.base import Bench

STEPS, RATE = 800, 3e-3
Labels = NDArray[np.int64]


class Describer(Learner):
    """Trains on pairs of images of one class, each of a batch with a partner that is drawn; answers with vectors.

    A network on squares of `size` px, generalised-mean pooling, and the contrastive loss with hard negatives.
    """

    def __init__(self, bench: Bench, device: str) -> None:
        self._bench, self._settings, self._device = bench, bench.settings, device
        self._rows = np.zeros(0, dtype=np.int64)
        self._seen = np.zeros((0, 0, 0, 3), dtype=np.uint8)
        self._held_out: list[NDArray[np.uint8]] = []

    def prepare(self, arms: Sequence[Arm], held_out: Sequence[HeldOut]) -> None:
        """Decode everything once."""
        bench, size, ledger = self._bench, self._settings.size, self._bench.ledger
        self._rows = np.unique(np.concatenate([arm.rows for arm in arms]))
        self._seen = squares(ledger.samples(self._rows), len(self._rows), bench.opened, size, bench.progress)
        self._held_out = [
            squares(some.ledger.samples(some.rows), len(some), some.pixels, size, bench.progress) for some in held_out
        ]

    def predict(self, arm: Arm, seed: int, held_out: Sequence[HeldOut]) -> list[Answers]:
        """Train, and answer with vectors (n, d) of length 1; see the base class."""
        import torch

        ledger, settings = self._bench.ledger, self._settings
        net, mean, std = self._begin(seed)
        operation = OPERATIONS[settings.classical] if arm.classical else None
        seen = self._seen[np.searchsorted(self._rows, arm.rows)]
        views = Views(seen, mean, std, settings.flip, operation, self._device)
        labels = ledger.class_index(arm.rows)
        partners = Partners(labels)
        weights = torch.from_numpy(arm.weights).float().to(self._device)

        def loss_of(rows: NDArray[np.int64], random: np.random.Generator) -> Tensor:
            both = np.concatenate([rows, partners.drawn(rows, random)])
            vectors = net(views.drawn(both, random)).float()
            numbers = torch.from_numpy(labels[rows]).to(self._device)
            return contrastive_loss(vectors[: len(rows)], vectors[len(rows) :], numbers, weights[rows])

        batches = Batches.of(settings, arm.name, (ledger, arm.rows))
        rate = settings.rate or (RATE if settings.learner == GEM else FINE_TUNING)
        descend(net, loss_of, batches, seed, Schedule(settings.steps or STEPS, rate))
        return [outputs(net, views, some) for some in self._held_out]

    def _begin(self, seed: int) -> tuple[nn.Module, Sequence[float], Sequence[float]]:
        """The network of a seed, before its training; ModelError where it gives no maps."""
        import torch

        from augforge.models.networks.gem import GeMNetwork

        body, mean, std = begun(self._settings, len(self._bench.ledger.classes), seed, self._device)
        with torch.inference_mode():
            size = self._settings.size
            maps = body.eval().forward_features(torch.zeros(1, 3, size, size, device=self._device))  # type: ignore[operator]
        if maps.ndim != 4:
            raise ModelError(
                f"{self._settings.learner} gives no maps to be pooled but {tuple(maps.shape)}",
                "take a convolutional network, such as timm:tf_efficientnet_lite2",
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(key("evaluate", seed, "descriptors")))
            return GeMNetwork(body, maps.shape[1]).to(self._device), mean, std


class Partners:
    """Another image of the same class for each, drawn at random; itself where its class has no other."""

    def __init__(self, labels: Labels) -> None:
        self._order = np.argsort(labels, kind="stable")
        ordered = labels[self._order]
        self._first = np.searchsorted(ordered, labels, side="left")
        self._count = np.searchsorted(ordered, labels, side="right") - self._first
        self._own = np.argsort(self._order, kind="stable") - self._first

    def drawn(self, rows: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
        """(b,) partners of the images at `rows` (b,)."""
        count = self._count[rows]
        steps = 1 + random.integers(np.maximum(count - 1, 1))
        place = (self._own[rows] + np.where(count > 1, steps, 0)) % count
        return self._order[self._first[rows] + place]
