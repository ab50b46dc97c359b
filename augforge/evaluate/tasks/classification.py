"""Classification: every image is of one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.labels import classification_metrics
from augforge.evaluate.arms import Arm, Flags, by_rarity, class_sizes
from augforge.evaluate.classifiers import classifier, refuse_several, refuse_strangers
from augforge.evaluate.goals import OneClass
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.intervals import interval, paired, verdict, widened
from augforge.evaluate.learners import Answers, Learner
from augforge.evaluate.tasks.base import Bench, Record, Task

if TYPE_CHECKING:
    from augforge.data.ledger import Ledger
    from augforge.stages.selector import Subsampler


class Classification(Task):
    """Answers are (n,) numbers of the run's classes; arms are compared by accuracy."""

    score: ClassVar[str] = "accuracy"
    has_metrics: ClassVar[bool] = True

    def learnable(self, ledger: Ledger) -> Flags:
        """Those with a label; RecipeError where one has several, or a soft one."""
        refuse_several("evaluate", ledger.several(ledger.reference(several=True)).values())
        return np.array([label is not None for label in ledger.column("label")], dtype=bool)

    def judged(self, held_out: HeldOut, classes: Sequence[str]) -> HeldOut:
        """Those with a label, which is one of the run's classes."""
        refuse_several(f"evaluate: {held_out.source}", held_out.ledger.several(held_out.rows).values())
        labels = held_out.ledger.column("label", held_out.rows)
        found = held_out.where(np.array([label is not None for label in labels], dtype=bool))
        numbers = {label: number for number, label in enumerate(classes)}
        known = [label for label in labels if label is not None]
        refuse_strangers(held_out.source, known, classes)
        return replace(found, labels=np.array([numbers[label] for label in known], dtype=np.int64))

    def learner(self, bench: Bench, arms: Sequence[Arm], subsampler: Subsampler | None) -> Learner:
        """A linear probe on embeddings, or a network on pixels."""
        goal = OneClass(self.settings, class_sizes(bench.ledger, arms[0].rows))
        return classifier(bench, goal, arms[0], subsampler)

    def results(
        self, bench: Bench, arms: Sequence[Arm], held_out: Sequence[HeldOut], answers: Mapping[str, list[list[Answers]]]
    ) -> Record:
        """Accuracy, macro-F1 and accuracy per class, the rarest class first."""
        counts = class_sizes(bench.ledger, arms[0].rows)
        classes = by_rarity(counts)
        given = [answers[arm.name][0] for arm in arms]
        results = Results(bench.ledger.classes, classes, held_out[0].labels, given)
        record: Record = {"classes": classes, "counts": {label: counts[label] for label in classes}}
        record["arms"] = [
            {"name": arm.name, "images": arm.size, **results.of(number)} for number, arm in enumerate(arms)
        ]
        if len(held_out) > 1:
            record["shifts"] = by_family(held_out[1], {arm.name: answers[arm.name][1] for arm in arms})
        return record


@dataclass(frozen=True)
class Results:
    """What the answers of each arm (a list over seeds of (n,)) are worth; `truth` (n,) numbers of `names`."""

    names: Sequence[str]
    order: Sequence[str]
    truth: NDArray[np.int64]
    answers: Sequence[Sequence[Answers]]

    def of(self, number: int) -> Record:
        """Accuracy, macro-F1, accuracy per class (rare classes first) and the difference to the first arm."""
        answers = self.answers[number]
        right = np.array([given == self.truth for given in answers])
        places = {label: self.truth == self.names.index(label) for label in self.order}
        per_class = {
            label: interval(right[:, place].mean(axis=1)).plain() for label, place in places.items() if place.any()
        }
        return {
            "accuracy": interval(right.mean(axis=1)).plain(),
            "macro-f1": interval([self._macro_f1(given) for given in answers]).plain(),
            "per-class": per_class,
            "difference": self._difference(right) if number else None,
        }

    def _difference(self, right: NDArray[np.bool_]) -> Record:
        base = np.array([given == self.truth for given in self.answers[0]])
        gains = right.mean(axis=0) - base.mean(axis=0)
        found = widened(paired(right.mean(axis=1), base.mean(axis=1)), gains)
        return {"mean": found.mean, "low": found.low, "high": found.high, "verdict": verdict(found)}

    def _macro_f1(self, given: Answers) -> float:
        truth, said = ([self.names[i] for i in labels.tolist()] for labels in (self.truth, given))
        return classification_metrics(truth, said)["macro-f1"]


def by_family(shifts: HeldOut, answers: Mapping[str, Sequence[Answers]]) -> dict[str, dict[str, float]]:
    """The mean accuracy over seeds of every arm on every family of shifts."""
    families = np.array(shifts.families, dtype=np.str_)
    return {
        family: {
            name: float(np.mean([(seed == shifts.labels)[families == family].mean() for seed in given]))
            for name, given in answers.items()
        }
        for family in sorted(set(families.tolist()))
    }
