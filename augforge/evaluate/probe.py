"""The linear probe: a linear layer on stored embeddings, seconds on a CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from augforge.data.ledger import Indices, Ledger
from augforge.engine.embedding import Embedders
from augforge.errors import AugforgeError
from augforge.evaluate.arms import Arm, class_sizes
from augforge.evaluate.classical import Copies
from augforge.evaluate.goals import Goal
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.learners import Answers, Batches, Learner, Schedule, TrainingData, fit

if TYPE_CHECKING:
    from augforge.evaluate.tasks.base import Bench

STEPS, RATE = 500, 1e-2
TASK = "image-embedding"
Matrix = NDArray[np.float32]


class Embeddings:
    """The vectors (n, d) of any samples by one model, made once and stored in the run folder by digest."""

    def __init__(self, model: str, embedders: Embedders) -> None:
        self.model, self._embedders = model, embedders

    def of(self, ledger: Ledger, rows: Indices, pixels: Any = None) -> Matrix:
        """(n, d) of the samples at `rows` (n,), whose bytes `pixels` has; AugforgeError if one cannot be read."""
        embedders = self._embedders if pixels is None else self._embedders.over(pixels)
        bad: list[str] = []
        vectors = embedders.of(self.model, TASK).images(ledger, rows, lambda digests, why: bad.append(why))
        if bad:
            raise AugforgeError(f"{len(bad)} images cannot be read any more: {bad[0]}", "run the recipe again")
        return vectors


class ProbeLearner(Learner):
    """A linear layer on standardised embeddings that begins at zero.

    The classical arm gives it augmented copies beside the real images, as many of each class as the run made
    (`copies`), or as many as there are real ones where it made none.
    """

    def __init__(self, bench: Bench, goal: Goal, real: Arm, made: Mapping[str, int]) -> None:
        self._ledger, self._settings, self._pixels = bench.ledger, bench.settings, bench.opened
        self._embeddings, self._goal = Embeddings(bench.settings.embedder, bench.embedders), goal
        self._real, counts = real, class_sizes(bench.ledger, real.rows)
        self._wanted = {label: made.get(label) or count for label, count in counts.items()}
        self._rows = np.zeros(0, dtype=np.int64)
        self._vectors: Matrix = np.zeros((0, 0), dtype=np.float32)
        self._held_out: dict[str, Matrix] = {}

    def prepare(self, arms: Sequence[Arm], held_out: Sequence[HeldOut]) -> None:
        """Embed what has no vector yet."""
        self._rows = np.unique(np.concatenate([arm.rows for arm in arms]))
        self._vectors = self._embeddings.of(self._ledger, self._rows)
        if any(arm.classical for arm in arms):
            real, classical = self._real.rows, self._settings.classical
            self._copies = Copies(self._ledger, real, self._wanted, self._pixels, classical)
            self._copied = self._embeddings.of(self._copies.ledger, self._copies.ledger.visible(), self._copies)
        for images in held_out:
            self._held_out[images.source] = self._embeddings.of(images.ledger, images.rows, images.pixels)

    def predict(self, arm: Arm, seed: int, held_out: Sequence[HeldOut]) -> list[Answers]:
        """Train and answer; see the base class."""
        import torch

        from augforge.models.networks.probe import Probe

        vectors, data = self._data(arm)
        net = Probe(vectors.shape[1], len(self._ledger.classes)).standardise(vectors)
        seen = torch.from_numpy(vectors)
        schedule = Schedule(self._settings.steps or STEPS, self._settings.rate or RATE)
        fit(net, data, lambda rows, random: seen[rows], self._settings, seed, schedule)
        with torch.inference_mode():
            said = [net(torch.from_numpy(self._held_out[some.source])).numpy() for some in held_out]
        return [self._goal.answers(logits) for logits in said]

    def _data(self, arm: Arm) -> tuple[Matrix, TrainingData]:
        """What the probe learns from: vectors (n, d) and what they stand for."""
        vectors = self._vectors[np.searchsorted(self._rows, arm.rows)]
        targets = self._goal.targets(self._ledger, arm.rows)
        if not arm.classical:
            batches = Batches.of(self._settings, arm.name, (self._ledger, arm.rows))
            return vectors, TrainingData(targets, arm.weights, batches, self._goal)
        copies = self._copies.ledger
        targets = np.concatenate([targets, self._goal.targets(copies, copies.visible())])
        more = len(targets) - len(vectors)
        weights = np.concatenate([arm.weights, np.ones(more)])
        batches = Batches.of(self._settings, arm.name, (self._ledger, arm.rows), (copies, copies.visible()))
        return np.concatenate([vectors, self._copied]), TrainingData(targets, weights, batches, self._goal)
