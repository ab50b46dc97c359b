"""Soft labels: an image has a share of each class, such as the votes of those who labelled it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from augforge.data.annotations.labels import SoftLabel as Soft
from augforge.data.sample import Sample
from augforge.errors import RecipeError
from augforge.evaluate.arms import Arm, Flags
from augforge.evaluate.classifiers import classifier, refuse_strangers
from augforge.evaluate.goals import Distribution, label_shares
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.intervals import interval, paired, verdict, widened
from augforge.evaluate.learners import Answers, Learner
from augforge.evaluate.tasks.base import Bench, Record, Task

if TYPE_CHECKING:
    from augforge.data.ledger import Ledger
    from augforge.stages.selector import Subsampler

Floats = NDArray[np.float64]


class SoftLabels(Task):
    """Answers are logits (n, c); arms are compared by top-1: how often the most probable class is the right one.

    Beside it stands the Kullback-Leibler divergence of the shares that are said from the true ones, in nats. An image
    with one label is of that class alone.
    """

    score: ClassVar[str] = "top-1"

    def learnable(self, ledger: Ledger) -> Flags:
        """Those with a soft label, or a label; not those with several."""
        return np.array([_usable(sample) for sample in ledger.samples(np.arange(len(ledger)))], dtype=bool)

    def judged(self, held_out: HeldOut, classes: Sequence[str]) -> HeldOut:
        """Those with a soft label, or a label; all of the run's classes."""
        if held_out.families:
            raise RecipeError("--on-shifts: shift sets are for classification", "leave it out")
        usable = [_usable(sample) for sample in held_out.ledger.samples(held_out.rows)]
        found = held_out.where(np.array(usable, dtype=bool))
        labels = (label for sample in found.ledger.samples(found.rows) for label in _named(sample))
        refuse_strangers(held_out.source, labels, classes)
        return found

    def learner(self, bench: Bench, arms: Sequence[Arm], subsampler: Subsampler | None) -> Learner:
        """A linear probe on embeddings, or a network on pixels, with the cross-entropy to the shares."""
        return classifier(bench, Distribution(), arms[0], subsampler)

    def results(
        self, bench: Bench, arms: Sequence[Arm], held_out: Sequence[HeldOut], answers: Mapping[str, list[list[Answers]]]
    ) -> Record:
        """top-1 and the divergence; top-1 of the images whose most probable class each is, the rarest first."""
        test, names = held_out[0], bench.ledger.classes
        truth = label_shares(test.ledger, test.rows, names)
        expected = label_shares(bench.ledger, arms[0].rows, names).sum(axis=0)
        counts = {name: round(float(count), 3) for name, count in zip(names, expected, strict=True)}
        most = truth.argmax(axis=1)
        right = [np.stack([top_one(logits, truth) for logits in answers[arm.name][0]]) for arm in arms]
        records: list[Record] = []
        for arm, mine in zip(arms, right, strict=True):
            record: Record = {"name": arm.name, "images": arm.size, "top-1": interval(mine.mean(axis=1)).plain()}
            record["kl"] = interval([divergence(logits, truth).mean() for logits in answers[arm.name][0]]).plain()
            record["per-class"] = {
                name: interval(mine[:, place].mean(axis=1)).plain()
                for name in sorted(counts, key=lambda name: counts[name])
                if (place := most == names.index(name)).any()
            }
            record["difference"] = _difference(mine, right[0]) if records else None
            records.append(record)
        return {"classes": sorted(counts, key=lambda name: counts[name]), "counts": counts, "arms": records}


def top_one(logits: Answers, truth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(n,) whether the class with the largest of (n, c) outputs has no less a share than any other."""
    said = logits.argmax(axis=1)
    right: NDArray[np.bool_] = truth[np.arange(len(truth)), said] >= truth.max(axis=1)
    return right


def divergence(logits: Answers, truth: NDArray[np.float32]) -> Floats:
    """(n,) sum of p ln(p / q), p the true shares (n, c) and q the softmax of outputs (n, c); in nats, 0 is equal."""
    from scipy.special import log_softmax, rel_entr

    p = truth.astype(np.float64) / truth.sum(axis=1, keepdims=True, dtype=np.float64)
    entropy = rel_entr(p, np.ones_like(p)).sum(axis=1)
    found: Floats = entropy - (p * log_softmax(logits.astype(np.float64), axis=1)).sum(axis=1)
    return found


def _difference(ours: NDArray[np.bool_], base: NDArray[np.bool_]) -> Record:
    found = paired(ours.mean(axis=1), base.mean(axis=1))
    found = widened(found, ours.mean(axis=0) - base.mean(axis=0))
    return {"mean": found.mean, "low": found.low, "high": found.high, "verdict": verdict(found)}


def _usable(sample: Sample) -> bool:
    return sample.label is not None or bool(sample.annotations.get(Soft.name) and not sample.annotations.get("labels"))


def _named(sample: Sample) -> Sequence[str]:
    """The classes that have a share in a sample."""
    return [sample.label] if sample.label is not None else list(sample.annotations[Soft.name])
