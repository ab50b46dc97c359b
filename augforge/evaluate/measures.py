"""The measures of one evaluation: what the made images of its arms are like, as one flat mapping of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.metrics import frechet_distance, kernel_distance, manifolds, nearest_distances, vendi_score
from augforge.data.ledger import Ledger
from augforge.evaluate.arms import Arm, Outcomes, class_sizes
from augforge.evaluate.goals import OneClass
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.learners import Batches, Schedule, TrainingData, fit
from augforge.evaluate.probe import RATE, STEPS, Embeddings
from augforge.evaluate.settings import Settings

Matrix = NDArray[np.float32]
MOST = 5000
"""Images of a set that are measured; of more, evenly spread ones in the order of their ids."""


@dataclass(frozen=True)
class ReferenceSets:
    """What made images are compared with: the real arm and the test set, and who embeds and who judges."""

    ledger: Ledger
    outcomes: Outcomes
    settings: Settings
    embeddings: Embeddings
    judge: Embeddings
    real: Arm
    test: HeldOut

    def measures(self, arms: Sequence[Arm]) -> dict[str, float]:
        """Every measure by name; those of the last arm with made images plainly, others ` of ARM`; of no random arm."""
        fixed = [arm for arm in arms if not arm.strata]
        made = {arm.name: rows for arm in fixed if len(rows := arm.rows[self.outcomes.made[arm.rows]]) > 1}
        if not made:
            return {}
        reference = self._embedded(self.test.ledger, self.test.rows, self.test.pixels)
        real = self._embedded(self.ledger, self.real.rows)
        agreement = self._judged(made)
        found: dict[str, float] = {}
        for name, suffix in _suffixes(made).items():
            vectors = self._embedded(self.ledger, made[name])
            values = {**_alike(reference, vectors), "nearest-real": float(nearest_distances(vectors, real).mean())}
            values["class-agreement"] = agreement[name]
            found |= {key + suffix: value for key, value in values.items()}
        found["nearest-real of test images"] = float(nearest_distances(reference, real).mean())
        found["class-agreement of test images"] = agreement[""]
        return {**found, **self._yields(made)}

    def _embedded(self, ledger: Ledger, rows: NDArray[np.int64], pixels: object = None) -> Matrix:
        order = np.argsort(np.array(ledger.column("id", rows)))
        spread = order[np.linspace(0, len(rows) - 1, min(len(rows), MOST)).astype(np.int64)]
        return self.embeddings.of(ledger, rows[spread], pixels)

    def _judged(self, made: dict[str, NDArray[np.int64]]) -> dict[str, float]:
        """The share of each arm's made images whose class a probe on real images alone sees; "" that of test images."""
        import torch

        from augforge.models.networks.probe import Probe

        vectors = self.judge.of(self.ledger, self.real.rows)
        goal = OneClass(self.settings, class_sizes(self.ledger, self.real.rows))
        targets = goal.targets(self.ledger, self.real.rows)
        net = Probe(vectors.shape[1], len(self.ledger.classes)).standardise(vectors)
        seen = torch.from_numpy(vectors)
        batches = Batches(np.ones(len(targets), dtype=bool), self.settings.batch)
        data = TrainingData(targets, np.ones(len(targets)), batches, goal)
        plain = self.settings.model_copy(update={"mix": "none"})
        fit(net, data, lambda rows, _: seen[rows], plain, 0, Schedule(STEPS, RATE))

        def share(matrix: Matrix, truth: NDArray[np.int64]) -> float:
            with torch.inference_mode():
                return float((net(torch.from_numpy(matrix)).argmax(1).numpy() == truth).mean())

        everyone = {name: share(self.judge.of(self.ledger, r), self.ledger.class_index(r)) for name, r in made.items()}
        test = self.judge.of(self.test.ledger, self.test.rows, self.test.pixels)
        return {**everyone, "": share(test, self.test.labels)}

    def _yields(self, made: dict[str, NDArray[np.int64]]) -> dict[str, float]:
        """Of what was made, the share that is in the run's dataset, in all and per class."""
        rows = next(iter(made.values()))
        kept = self.ledger.kept[rows]
        classes = self.ledger.class_index(rows)
        each = {
            f"yield {label}": float(kept[classes == number].mean())
            for number, label in enumerate(self.ledger.classes)
            if (classes == number).any()
        }
        return {"yield": float(kept.mean()), **each}


def _alike(reference: Matrix, vectors: Matrix) -> dict[str, float]:
    """How `vectors` (m, d) of made images lie to those of test images (n, d)."""
    if len(reference) < 2:
        return {"vendi": vendi_score(vectors)}
    return {
        "fid": frechet_distance(reference, vectors),
        "kid": kernel_distance(reference, vectors),
        **asdict(manifolds(reference, vectors)),
        "vendi": vendi_score(vectors),
    }


def _suffixes(arms: Iterable[str]) -> dict[str, str]:
    """What the names of the measures of each arm end in: nothing for the last arm, which comes first."""
    *others, last = arms
    return {last: "", **{name: f" of {name}" for name in others}}
