"""What the stages of a run decide about samples: kept or why not, weights and scores, as arrays of numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge.data.sample import Sample
from augforge.data.schema import score_maps
from augforge.data.texts import Coded

Floats = NDArray[np.float64]


class Decisions:
    """(n,) `kept`, `weight`, `scores` (NaN where one is not known), and `reasons` and `stages` of what was dropped.

    11 bytes and more for each sample, by how many reasons there are, and 8 for each measure; a reason is a text once.
    """

    def __init__(self) -> None:
        self.kept = np.zeros(0, dtype=bool)
        self.weight = np.zeros(0, dtype=np.float64)
        self.scores: dict[str, Floats] = {}
        self.reasons, self.stages = Coded(), Coded()

    def __len__(self) -> int:
        return len(self.kept)

    def copy(self) -> Decisions:
        """The same decisions, which later ones do not affect."""
        made = Decisions()
        made.kept, made.weight = self.kept.copy(), self.weight.copy()
        made.scores = {name: values.copy() for name, values in self.scores.items()}
        made.reasons, made.stages = self.reasons.copy(), self.stages.copy()
        return made

    def said_of(self, samples: Sequence[Sample]) -> Decided:
        """What was decided already about samples that are to be added."""
        return Decided(
            np.array([s.kept for s in samples], dtype=bool),
            np.array([s.weight for s in samples], dtype=np.float64),
            {
                name: np.array([s.scores.get(name, np.nan) for s in samples], dtype=np.float64)
                for name in {name for s in samples for name in s.scores}
            },
            self.reasons.numbers([s.dropped for s in samples]),
            self.stages.numbers([s.dropped_by for s in samples]),
        )

    def extend(self, parts: Sequence[Decided]) -> None:
        """Add rows."""
        before = len(self)
        for name in set(self.scores).union(*(part.scores for part in parts)):
            old = self.scores.get(name, np.full(before, np.nan))
            new = (part.scores.get(name, np.full(len(part.kept), np.nan)) for part in parts)
            self.scores[name] = np.concatenate([old, *new])
        self.kept = np.concatenate([self.kept, *(part.kept for part in parts)])
        self.weight = np.concatenate([self.weight, *(part.weight for part in parts)])
        self.reasons.extend([part.reasons for part in parts])
        self.stages.extend([part.stages for part in parts])

    def rows(self, places: NDArray[np.int64]) -> Iterator[dict[str, Any]]:
        """What was decided about the samples at `places` (n,), one after the other, as fields of `Sample`."""
        names, columns = list(self.scores), [values[places].tolist() for values in self.scores.values()]
        scores = zip(*columns, strict=True) if columns else ((),) * len(places)
        decided = (self.kept[places].tolist(), self.weight[places].tolist())
        for kept, weight, reason, stage, numbers in zip(
            *decided, self.reasons.list(places), self.stages.list(places), scores, strict=True
        ):
            known = {name: number for name, number in zip(names, numbers, strict=True) if number == number}
            yield {"kept": kept, "weight": weight, "dropped": reason, "dropped_by": stage, "scores": known}

    def drop(self, places: Any, reasons: str | Sequence[str], stage: str) -> None:
        """Mark samples as dropped by `stage`; `reasons` is one text or (n,) texts."""
        self.kept[places] = False
        self.reasons.write(places, reasons)
        self.stages.write(places, stage)

    def bring_back(self, places: Any) -> None:
        """Keep samples that were dropped, and forget why they were."""
        self.kept[places] = True
        for column in (self.reasons, self.stages):
            column.write(places, [None] * len(places))

    def reconcile(self) -> None:
        """Check that every sample is kept, or dropped with a reason by a stage.

        Raises:
            ValueError: it is not so, which is a defect of augforge, never of the data.
        """
        reason, stage = (column.mapped(bool, bool) for column in (self.reasons, self.stages))
        if not (self.kept | reason & stage).all():
            raise ValueError("a dropped sample has no reason")
        if (self.kept & reason).any():
            raise ValueError("a kept sample has a reason to be dropped")

    def drops_by_stage(self) -> dict[str, dict[str, int]]:
        """How many samples each stage dropped, and why: stages in the recipe's order, the usual reasons first."""
        gone = np.flatnonzero(self.stages.codes >= 0)
        pairs = np.stack([self.stages.codes[gone], self.reasons.codes[gone]])
        (stages, reasons), counts = np.unique(pairs, axis=1, return_counts=True)
        counted: dict[str, Counter[str]] = {}
        texts = self.stages.texts.objects(stages), self.reasons.texts.objects(reasons)
        for stage, reason, count in zip(*texts, counts.tolist(), strict=True):
            counted.setdefault(stage, Counter())[reason] += count
        ordered = sorted(counted, key=lambda stage: (_number_of(stage), stage))
        return {stage: dict(sorted(counted[stage].items(), key=lambda item: (-item[1], item[0]))) for stage in ordered}

    def columns(self, part: slice) -> Mapping[str, pa.Array]:
        """What was decided about some samples, as columns of samples.parquet."""
        return {
            "kept": pa.array(self.kept[part]),
            "dropped": self.reasons.arrow(part).cast(pa.string()),
            "dropped_by": self.stages.arrow(part).cast(pa.string()),
            "weight": pa.array(self.weight[part]),
            "scores": score_maps(self.scores, part),
        }


class Decided:
    """What was decided about some samples that are not in the ledger yet, (n,) each."""

    __slots__ = ("kept", "reasons", "scores", "stages", "weight")

    def __init__(
        self, kept: NDArray[np.bool_], weight: Floats, scores: Mapping[str, Floats], reasons: Any, stages: Any
    ) -> None:
        self.kept, self.weight, self.scores, self.reasons, self.stages = kept, weight, scores, reasons, stages


def _number_of(stage: str) -> int:
    """The number that begins the title of a stage; 0 of the source."""
    number = stage.partition("-")[0]
    return int(number) if number.isdecimal() else 0
