"""Segmentation: every pixel is of one class, as the masks of the images say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.metrics.overlap import bootstrap_error, class_iou, mean_iou, pixel_accuracy
from augforge.data.pictures import MASK
from augforge.errors import RecipeError
from augforge.evaluate.arms import Arm, Flags
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.intervals import interval, paired, verdict, widened_to
from augforge.evaluate.label_maps import mask_of
from augforge.evaluate.learners import Answers, Learner
from augforge.evaluate.segmenter import Segmenter
from augforge.evaluate.tasks.base import Bench, Record, Task
from augforge.models.devices import pick_device

if TYPE_CHECKING:
    from augforge.data.ledger import Ledger
    from augforge.stages.selector import Subsampler


class Segmentation(Task):
    """Answers are (n, c, c) confusion counts; arms are compared by the mean intersection over union, mIoU.

    The classes are the values of the masks of the real arm, but for `ignore-index`. Where a generated image's mask has
    another, its pixels do not count; a test image's must not have one.
    """

    score: ClassVar[str] = "miou"
    answer: ClassVar[str] = "mask"

    def learnable(self, ledger: Ledger) -> Flags:
        """Those with a mask."""
        return _with_mask(ledger, np.arange(len(ledger)))

    def judged(self, held_out: HeldOut, classes: Sequence[str]) -> HeldOut:
        """Those with a mask."""
        if held_out.families:
            raise RecipeError("--on-shifts: shift sets are for classification", "leave it out")
        return held_out.where(_with_mask(held_out.ledger, held_out.rows), self.answer)

    def learner(self, bench: Bench, arms: Sequence[Arm], subsampler: Subsampler | None) -> Learner:
        """A network from scratch."""
        sizes = self._sizes(bench.ledger.samples(arms[0].rows), bench.opened)
        self._counts = {str(value): sizes[value] for value in sorted(sizes)}
        if not sizes:
            raise RecipeError("the masks of the real images have no class", "is --ignore-index the right one?")
        return Segmenter(bench, sizes, pick_device(bench.device))

    def results(
        self, bench: Bench, arms: Sequence[Arm], held_out: Sequence[HeldOut], answers: Mapping[str, list[list[Answers]]]
    ) -> Record:
        """mIoU, the share of pixels that are right, and the IoU of each class, the rarest first (by pixels)."""
        names = sorted(self._counts, key=lambda name: (self._counts[name], int(name)))
        given = [np.stack(answers[arm.name][0]) for arm in arms]
        found = [
            {"name": arm.name, "images": arm.size, **self._arm(counts, given[0] if number else None)}
            for number, (arm, counts) in enumerate(zip(arms, given, strict=True))
        ]
        return {"classes": names, "counts": {name: self._counts[name] for name in names}, "arms": found}

    def _arm(self, counts: NDArray[np.int64], base: NDArray[np.int64] | None) -> Record:
        """What the counts (s, n, c, c) of an arm are worth beside those of the real one."""
        whole = counts.sum(axis=1)
        each = class_iou(whole)
        order = list(self._counts)
        per_class = {
            name: interval(each[:, order.index(name)]).plain()
            for name in sorted(order, key=lambda name: (self._counts[name], int(name)))
            if not np.isnan(each[:, order.index(name)]).any()
        }
        return {
            "miou": interval(mean_iou(whole)).plain(),
            "pixel-accuracy": interval(pixel_accuracy(whole)).plain(),
            "per-class": per_class,
            "difference": None if base is None else _difference(counts, base),
        }

    def _sizes(self, samples: Any, pixels: Any) -> dict[int, int]:
        """How many pixels of the samples have each value, but for `ignore-index`."""
        total = np.zeros(256, dtype=np.int64)
        for sample in samples:
            total += np.bincount(mask_of(sample, pixels).ravel(), minlength=256)
        total[self.settings.ignore_index] = 0
        return {int(value): int(total[value]) for value in np.flatnonzero(total)}


def _with_mask(ledger: Ledger, rows: Any) -> Flags:
    return np.array([MASK in pictures for pictures in ledger.column("pictures", rows)], dtype=bool)


def _difference(counts: NDArray[np.int64], base: NDArray[np.int64]) -> Record:
    """By how much the mIoU is larger, with the wider interval of that over seeds and that over test images."""
    found = paired(mean_iou(counts.sum(axis=1)), mean_iou(base.sum(axis=1)))
    found = widened_to(found, bootstrap_error(counts, base))
    return {"mean": found.mean, "low": found.low, "high": found.high, "verdict": verdict(found)}
