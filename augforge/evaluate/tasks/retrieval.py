"""Retrieval: an image asks, and the images of its class are to stand first among those that answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.metrics.ranking import average_precision, first_right
from augforge.errors import RecipeError, SourceError
from augforge.evaluate.arms import Arm, Flags, by_rarity, class_sizes
from augforge.evaluate.classifiers import refuse_several
from augforge.evaluate.describers import Describer
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.intervals import interval, paired, verdict, widened
from augforge.evaluate.learners import Answers, Learner
from augforge.evaluate.settings import Settings
from augforge.evaluate.tasks.base import Bench, Record, Task
from augforge.models.devices import pick_device

if TYPE_CHECKING:
    from augforge.data.ledger import Ledger
    from augforge.stages.selector import Subsampler

AT = (1, 5)
"""Of the recalls."""


class Retrieval(Task):
    """Answers are vectors (n, d) of length 1; arms are compared by the mean average precision over the queries, mAP.

    The test set answers. `queries` ask; without them each image of the test set asks the others. A query is judged if
    an image of its class answers. The classes need not be those of the run: other places are as good a test. With
    queries the images of the test set ask each other, too: what helps at night may lose by day.
    """

    score: ClassVar[str] = "map"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._names: dict[str, int] = {}

    def learnable(self, ledger: Ledger) -> Flags:
        """Those with a label; RecipeError where one has several, or a soft one."""
        refuse_several("evaluate", ledger.several(ledger.reference(several=True)).values())
        return np.array([label is not None for label in ledger.column("label")], dtype=bool)

    def judged(self, held_out: HeldOut, classes: Sequence[str]) -> HeldOut:
        """Those with a label; its number counts the classes of all that is judged."""
        if held_out.families:
            raise RecipeError("--on-shifts: shift sets are for classification", "leave it out")
        refuse_several(f"evaluate: {held_out.source}", held_out.ledger.several(held_out.rows).values())
        labels = held_out.ledger.column("label", held_out.rows)
        found = held_out.where(np.array([label is not None for label in labels], dtype=bool))
        numbers = [self._names.setdefault(label, len(self._names)) for label in labels if label is not None]
        return replace(found, labels=np.array(numbers, dtype=np.int64))

    def checked(self, held_out: Sequence[HeldOut]) -> None:
        """SourceError where no query has an answer."""
        gallery, queries = held_out[0], held_out[-1]
        if not Quiz.of(gallery, queries).judged.any():
            raise SourceError(
                f"no image of {queries.source} has another of its class in {gallery.source}",
                "give a test set with several images of a class, or --queries of the same classes",
            )

    def learner(self, bench: Bench, arms: Sequence[Arm], subsampler: Subsampler | None) -> Learner:
        """A network with generalised-mean pooling."""
        return Describer(bench, pick_device(bench.device))

    def results(
        self, bench: Bench, arms: Sequence[Arm], held_out: Sequence[HeldOut], answers: Mapping[str, list[list[Answers]]]
    ) -> Record:
        """mAP, recall@1 and recall@5 of the queries, the mAP of the queries of each class, and that of the answers."""
        gallery, queries = held_out[0], held_out[-1]
        quiz = Quiz.of(gallery, queries)
        ranked = [quiz.of_seeds(answers[arm.name][-1], answers[arm.name][0]) for arm in arms]
        among: list[Record] = [{}] * len(arms)
        if queries is not gallery and (inside := Quiz.of(gallery, gallery)).judged.any():
            within = [inside.of_seeds(answers[arm.name][0], answers[arm.name][0]) for arm in arms]
            among = [_among(mine, within[0]) for mine in within]
        labels, sizes = list(self._names), class_sizes(bench.ledger, arms[0].rows)
        asked = queries.labels[quiz.judged]
        counts = {labels[number]: sizes.get(labels[number], 0) for number in sorted(set(asked.tolist()))}
        places = {label: asked == self._names[label] for label in by_rarity(counts)}
        return {
            "classes": list(places),
            "counts": counts,
            "queries": {"images": len(asked), "source": queries.source},
            "arms": [
                {
                    "name": arm.name,
                    "images": arm.size,
                    **_worth(mine, places),
                    "difference": _difference(mine, ranked[0]),
                    **others,
                }
                for arm, mine, others in zip(arms, ranked, among, strict=True)
            ],
        }


@dataclass(frozen=True)
class Ranked:
    """What the rankings of q queries are worth: average precision (q,), and the rank of the first right answer (q,)."""

    precisions: NDArray[np.float64]
    first: NDArray[np.int64]


@dataclass(frozen=True)
class Quiz:
    """Which of n images may answer each of q queries (q, n), and which are right (q, n).

    An image with the same bytes as the query is no answer: it may be the query itself. `judged` (q,) have a right one.
    """

    may: NDArray[np.bool_]
    right: NDArray[np.bool_]
    judged: NDArray[np.bool_]

    @classmethod
    def of(cls, gallery: HeldOut, queries: HeldOut) -> Quiz:
        """The quiz of two sets of images with labels."""
        digests = [digest for some in (queries, gallery) for digest in some.ledger.column("digest", some.rows)]
        _, numbers = np.unique(digests, return_inverse=True)
        may = numbers[: len(queries), None] != numbers[None, len(queries) :]
        right = may & (queries.labels[:, None] == gallery.labels[None])
        return cls(may, right, right.any(axis=1))

    def of_seeds(self, queries: Sequence[Answers], gallery: Sequence[Answers]) -> list[Ranked]:
        """The rankings of every seed's vectors."""
        return [self.ranked(*seed) for seed in zip(queries, gallery, strict=True)]

    def ranked(self, queries: Answers, gallery: Answers) -> Ranked:
        """The ranking of vectors (n, d) by their cosine with (q, d), of what is judged."""
        places = np.flatnonzero(self.judged)
        precisions, first = np.zeros(len(places)), np.zeros(len(places), dtype=np.int64)
        for row, place in enumerate(places.tolist()):
            scores = (gallery @ queries[place])[self.may[place]]
            right = self.right[place][self.may[place]]
            precisions[row], first[row] = average_precision(scores, right), first_right(scores, right)
        return Ranked(precisions, first)


def _worth(seeds: Sequence[Ranked], places: Mapping[str, NDArray[np.bool_]]) -> Record:
    """mAP, recall@1 and recall@5, and the mAP of the queries of each class, at its `places` (q,)."""
    record: Record = {"map": interval([one.precisions.mean() for one in seeds]).plain()}
    for k in AT:
        record[f"recall-at-{k}"] = interval([float((one.first <= k).mean()) for one in seeds]).plain()
    record["per-class"] = {
        label: interval([one.precisions[place].mean() for one in seeds]).plain() for label, place in places.items()
    }
    return record


def _among(ours: Sequence[Ranked], base: Sequence[Ranked]) -> Record:
    """The same of the images of the test set, asking each other."""
    measured = interval([one.precisions.mean() for one in ours]).plain()
    return {"map-of-answers": measured, "difference-of-answers": _difference(ours, base)}


def _difference(ours: Sequence[Ranked], base: Sequence[Ranked]) -> Record | None:
    """By how much the mAP is larger than that of the real arm, None of itself; as the mean over queries it is, the
    error over test images has a closed form."""
    if ours is base:
        return None
    mine, theirs = (np.array([one.precisions for one in seeds]) for seeds in (ours, base))
    gains = mine.mean(axis=0) - theirs.mean(axis=0)
    found = widened(paired(mine.mean(axis=1), theirs.mean(axis=1)), gains)
    return {"mean": found.mean, "low": found.low, "high": found.high, "verdict": verdict(found)}
