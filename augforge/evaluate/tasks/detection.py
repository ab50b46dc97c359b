"""Detection: things are found, with a box around each and its class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.metrics.bootstrap import draws
from augforge.algorithms.metrics.detection import Matches, average_precisions, matches
from augforge.errors import RecipeError
from augforge.evaluate.arms import Arm, Flags, by_rarity
from augforge.evaluate.detector import Detector
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.intervals import interval, paired, verdict, widened_to
from augforge.evaluate.learners import Answers, Learner
from augforge.evaluate.scenes import BOXES, count_boxes, truth_of
from augforge.evaluate.tasks.base import Bench, Record, Task
from augforge.models.devices import pick_device

if TYPE_CHECKING:
    from augforge.data.ledger import Ledger
    from augforge.stages.selector import Subsampler

Floats = NDArray[np.float64]
ROUNDS = 200
"""Of the bootstrap: a round draws every curve of every class anew."""


class Detection(Task):
    """Answers are (n,) arrays of boxes (k, 6); arms are compared by COCO's mAP, over classes and ten overlaps.

    The classes are those of the boxes of the real arm. Where a generated image has a box of another, it does not count;
    a test image must not have one.
    """

    score: ClassVar[str] = "map"
    answer: ClassVar[str] = "list of boxes"

    def learnable(self, ledger: Ledger) -> Flags:
        """Those of which the boxes are known, be there none."""
        return _with_boxes(ledger, np.arange(len(ledger)))

    def judged(self, held_out: HeldOut, classes: Sequence[str]) -> HeldOut:
        """Those of which the boxes are known."""
        if held_out.families:
            raise RecipeError("--on-shifts: shift sets are for classification", "leave it out")
        return held_out.where(_with_boxes(held_out.ledger, held_out.rows), self.answer)

    def learner(self, bench: Bench, arms: Sequence[Arm], subsampler: Subsampler | None) -> Learner:
        """A network from scratch."""
        self._counts = count_boxes(bench.ledger.samples(arms[0].rows))
        if not self._counts:
            raise RecipeError("no real image has a box to learn from", "give a source with boxes")
        self._names = sorted(self._counts)
        return Detector(bench, self._names, pick_device(bench.device))

    def results(
        self, bench: Bench, arms: Sequence[Arm], held_out: Sequence[HeldOut], answers: Mapping[str, list[list[Answers]]]
    ) -> Record:
        """mAP and mAP@50 over the classes that the test images have, and the mAP of each, the rarest first."""
        test = held_out[0]
        truth = [truth_of(one, self._names) for one in test.ledger.samples(test.rows)]
        times = draws(len(truth), ROUNDS)
        base: tuple[Record, Floats] | None = None
        records: list[Record] = []
        for arm in arms:
            seeds = [matches(truth, list(seed), len(self._names)) for seed in answers[arm.name][0]]
            worth = self._worth(seeds)
            drawn = np.mean([_mean(seed, times) for seed in seeds], axis=0)
            difference = None if base is None else _difference(worth, base[0], float(np.nanstd(drawn - base[1])))
            records.append({"name": arm.name, "images": arm.size, **worth, "difference": difference})
            base = base or (worth, drawn)
        counts = {name: self._counts[name] for name in by_rarity(self._counts)}
        return {"classes": list(counts), "counts": counts, "arms": records}

    def _worth(self, seeds: Sequence[Sequence[Matches]]) -> Record:
        """What the matches of every seed, by class, are worth."""
        each = np.stack([np.concatenate([average_precisions(one) for one in seed]) for seed in seeds])  # (s, c, t)
        return {
            "map": interval(np.nanmean(each, axis=(1, 2))).plain(),
            "map-50": interval(np.nanmean(each[:, :, 0], axis=1)).plain(),
            "per-class": {
                name: interval(each[:, self._names.index(name)].mean(axis=1)).plain()
                for name in by_rarity(self._counts)
                if not np.isnan(each[:, self._names.index(name)]).any()
            },
        }


def _mean(found: Sequence[Matches], times: Floats) -> Floats:
    """(r,) the mAP of images that are drawn `times` (r, n), over the classes that they have."""
    each = np.stack([average_precisions(one, times).mean(axis=1) for one in found])
    mean: Floats = np.nanmean(each, axis=0)
    return mean


def _difference(ours: Record, base: Record, error: float) -> Record:
    found = widened_to(paired(ours["map"]["seeds"], base["map"]["seeds"]), error)
    return {"mean": found.mean, "low": found.low, "high": found.high, "verdict": verdict(found)}


def _with_boxes(ledger: Ledger, rows: NDArray[np.int64]) -> Flags:
    return np.array([BOXES in sample.annotations for sample in ledger.samples(rows)], dtype=bool)
