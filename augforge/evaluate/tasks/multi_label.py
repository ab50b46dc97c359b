"""Several labels: an image shows any number of the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.metrics.bootstrap import draws
from augforge.algorithms.metrics.ranking import average_precisions
from augforge.data.annotations.labels import Labels
from augforge.data.classes import is_soft, shares_of
from augforge.data.sample import Sample
from augforge.errors import RecipeError
from augforge.evaluate.arms import Arm, Flags, by_rarity
from augforge.evaluate.classifiers import classifier, refuse_strangers
from augforge.evaluate.goals import SeveralClasses, label_shares
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.intervals import interval, paired, verdict, widened_to
from augforge.evaluate.learners import Answers, Learner
from augforge.evaluate.tasks.base import Bench, Record, Task

if TYPE_CHECKING:
    from augforge.data.ledger import Ledger
    from augforge.stages.selector import Subsampler

Floats = NDArray[np.float64]


class MultiLabel(Task):
    """Answers are logits (n, c); arms are compared by the mean over classes of the average precision, mAP.

    An image with one label shows that class alone. One of which it is known that it shows none is used, too.
    """

    score: ClassVar[str] = "map"

    def learnable(self, ledger: Ledger) -> Flags:
        """Those with a label, or several, or none as is known; not those with a soft one."""
        return _known(ledger, np.arange(len(ledger)))

    def judged(self, held_out: HeldOut, classes: Sequence[str]) -> HeldOut:
        """Those with a label, or several, or none as is known; all of the run's classes."""
        if held_out.families:
            raise RecipeError("--on-shifts: shift sets are for classification", "leave it out")
        found = held_out.where(_known(held_out.ledger, held_out.rows))
        samples = found.ledger.samples(found.rows)
        labels = (label for sample in samples for label in shares_of(sample.label, sample.annotations))
        refuse_strangers(held_out.source, labels, classes)
        return found

    def learner(self, bench: Bench, arms: Sequence[Arm], subsampler: Subsampler | None) -> Learner:
        """A linear probe on embeddings, or a network on pixels, with a binary cross-entropy for each class."""
        return classifier(bench, SeveralClasses(), arms[0], subsampler)

    def results(
        self, bench: Bench, arms: Sequence[Arm], held_out: Sequence[HeldOut], answers: Mapping[str, list[list[Answers]]]
    ) -> Record:
        """mAP, macro-F1 where a logit above 0 says yes, and the average precision of each class, the rarest first."""
        test, names = held_out[0], bench.ledger.classes
        truth = label_shares(test.ledger, test.rows, names) > 0
        shown = label_shares(bench.ledger, arms[0].rows, names) > 0
        counts = {name: int(count) for name, count in zip(names, shown.sum(axis=0), strict=True)}
        times = draws(len(truth))
        records: list[Record] = []
        base: tuple[Floats, Floats] | None = None
        for arm in arms:
            seeds = answers[arm.name][0]
            once = np.stack([precisions_of(logits, truth, np.ones((1, len(truth))))[0] for logits in seeds])
            again = np.mean([np.nanmean(precisions_of(logits, truth, times), axis=1) for logits in seeds], axis=0)
            base = (once, again) if base is None else base
            record: Record = {"name": arm.name, "images": arm.size, "map": interval(np.nanmean(once, axis=1)).plain()}
            record["macro-f1"] = interval([macro_f1(logits > 0, truth) for logits in seeds]).plain()
            record["per-class"] = {
                name: interval(once[:, names.index(name)]).plain()
                for name in by_rarity(counts)
                if truth[:, names.index(name)].any()
            }
            record["difference"] = _difference(once, base[0], again - base[1]) if records else None
            records.append(record)
        return {"classes": by_rarity(counts), "counts": counts, "arms": records}


def precisions_of(logits: Answers, truth: NDArray[np.bool_], times: Floats) -> Floats:
    """(r, c) the average precision of each class over n images that are there `times` (r, n), NaN without one of it."""
    each = [average_precisions(logits[:, number], truth[:, number], times) for number in range(truth.shape[1])]
    return np.stack(each, axis=1)


def macro_f1(said: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """The mean over classes (n, c), of those that are shown or said to be, of F1."""
    right, total = (said & truth).sum(axis=0), said.sum(axis=0) + truth.sum(axis=0)
    return float((2 * right[total > 0] / total[total > 0]).mean())


def _difference(ours: Floats, base: Floats, drawn: Floats) -> Record:
    """By how much the mAP of every seed (s, c) is larger; `drawn` (r,) is that of images that are drawn again."""
    found = paired(np.nanmean(ours, axis=1), np.nanmean(base, axis=1))
    found = widened_to(found, float(np.nanstd(drawn)))
    return {"mean": found.mean, "low": found.low, "high": found.high, "verdict": verdict(found)}


def _known(ledger: Ledger, rows: NDArray[np.int64]) -> Flags:
    return np.array([_usable(sample) for sample in ledger.samples(rows)], dtype=bool)


def _usable(sample: Sample) -> bool:
    shares = shares_of(sample.label, sample.annotations)
    return not is_soft(shares) if shares else Labels.name in sample.annotations
