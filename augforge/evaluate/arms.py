"""Arms: which images of a run a learner is given. What the run dropped, and when, says which arm an image is of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augforge.catalog import VERBS
from augforge.errors import RecipeError
from augforge.evaluate.settings import ARMS
from augforge.filters.clip import Clip
from augforge.ledger import Indices, Ledger
from augforge.pool import Pool
from augforge.sample import Sample, is_evaluation
from augforge.stage import EmbeddingFilter, Generator, Selector, Stage, Trainer

Stages = Sequence[tuple[str, Stage]]
Flags = NDArray[np.bool_]
NEVER = ("source", "write")
"""Who drops what cannot be read."""
_TITLE = re.compile(rf"\d+-({'|'.join(VERBS)})-(.+)")


@dataclass(frozen=True, slots=True)
class Arm:
    """The images (n,) that a learner is given, as rows of the run's ledger.

    `weights` (n,) scale their losses; `classical` asks for RandAugment of the real ones.
    """

    name: str
    rows: Indices
    weights: NDArray[np.float64]
    classical: bool = False


class Fates:
    """What became of the n samples of a run that could train a learner, by the stages that dropped them.

    `real` (n,): labelled real images that the run still had when it began to generate. An evaluation split never
    trains, nor what is unreadable, unlabelled, unsafe, or dropped as a leak. `made` (n,): the synthetic ones.
    `filtered` and `left_out` (n,): dropped by a filter or a selector afterwards.
    """

    def __init__(self, ledger: Ledger, stages: Stages) -> None:
        self.ledger, self.stages = ledger, stages
        place = {title: number for number, (title, _) in reversed(list(enumerate(stages)))}
        self._begin = min((place[t] for t, stage in stages if isinstance(stage, Generator)), default=-1)
        synthetic = np.array(ledger.column("origin")) == "synthetic"
        verbs = np.array([_verb(by) for by in ledger.dropped_by], dtype=object)
        before = np.array([by is not None and place.get(by, -1) < self._begin for by in ledger.dropped_by], bool)
        usable = self._usable()
        self.real = usable & ~synthetic & ~before
        self.made = usable & synthetic
        self.filtered = verbs == "filter"
        self.left_out = verbs == "select"

    def _usable(self) -> Flags:
        """(n,) what may be in an arm, wherever it was dropped."""
        columns = zip(
            self.ledger.column("label"),
            self.ledger.column("split"),
            self.ledger.dropped_by,
            self.ledger.dropped,
            strict=True,
        )
        return np.array([
            label is not None and not is_evaluation(split) and _only_decided(by, reason)
            for label, split, by, reason in columns
        ], dtype=bool)  # fmt: skip

    def arm(self, name: str, among: Flags) -> Arm:
        """The arm `name` of ARMS, of the samples `among` (n,)."""
        real, made = self.real & among, self.made & among
        stays = {
            "real+kept": ~self.filtered,
            "real+selected": ~self.filtered & ~self.left_out,
        }.get(name, np.ones(len(real), dtype=bool))
        chosen = (real & stays) if name in ("real", "real+classical") else (real | made) & stays
        rows = np.flatnonzero(chosen)
        weights = self.ledger.weight[rows] if name == "real+selected" else np.ones(len(rows))
        return Arm(name, rows, weights, classical=name == "real+classical")

    def differing(self) -> tuple[str, ...]:
        """The arms that a run like this one has: no filter, no arm of what it kept."""
        kinds = {stage.verb for _, stage in self.stages}
        there = {
            "real+synthetic": self.made.any(),
            "real+kept": "filter" in kinds and (self.filtered & (self.made | self.real)).any(),
            "real+selected": "select" in kinds and (self.left_out & (self.made | self.real)).any(),
        }
        return tuple(arm for arm in ARMS if there.get(arm, True))


def _verb(title: str | None) -> str:
    match = _TITLE.fullmatch(title or "")
    return match[1] if match else ""


def _only_decided(by: str | None, reason: str | None) -> bool:
    """Whether a sample is kept, or was dropped by a filter or selector that only thought it not worth keeping."""
    if by is None:
        return True
    unfit = by in NEVER or by.endswith("-filter-safety") or str(reason).startswith("leakage: ")
    return not unfit and _verb(by) in ("filter", "select")


def arms_of(fates: Fates, names: Sequence[str], shots: int | None = None) -> list[Arm]:
    """The arms of these names; with `shots`, of K real images per class and of what was made from them alone.

    Raises:
        RecipeError: there is nothing real to train on, or the run saw more real images than `shots`.
    """
    among = np.ones(len(fates.ledger), dtype=bool) if shots is None else _within(fates, shots, names)
    arms = [fates.arm(name, among) for name in names]
    if not len(arms[0].rows):
        raise RecipeError("the run holds no labelled real image to train on", "is everything in an evaluation split?")
    return arms


def class_sizes(ledger: Ledger, rows: Indices) -> dict[str, int]:
    """How many of `rows` each class has, of the classes that have some or are the run's."""
    counts = Counter(ledger.column("label", rows))
    return {label: counts.get(label, 0) for label in ledger.classes}


def _within(fates: Fates, shots: int, names: Sequence[str]) -> Flags:
    """(n,) the K shots of every class, as a generator with `shots` chooses them, and what was made from them alone."""
    pools: dict[str, list[Sample]] = {}
    for sample in fates.ledger.samples(np.flatnonzero(fates.real)):
        pools.setdefault(str(sample.label), []).append(sample)
    ids = {sample.id for members in pools.values() for sample in Pool(members, shots).samples}
    chosen: Flags = np.isin(np.array(fates.ledger.column("id")), list(ids))
    if any(name not in ("real", "real+classical") for name in names):
        scarce = max(map(len, pools.values()), default=0) <= shots
        chosen |= _made_from(fates, ids, shots, scarce)
        if not scarce:
            _refuse_lookers(fates.stages, shots, names)
        if (fates.made & ~chosen).any() and {"real+kept", "real+selected"} & set(names):
            raise RecipeError(
                f"what was made from {shots} shots was filtered or selected among images made from others",
                "use a run folder for each K, or --arms real,real+classical,real+synthetic",
            )
    return chosen


def _made_from(fates: Fates, ids: set[str], shots: int, scarce: bool) -> Flags:
    """(n,) the synthetic samples of generators with just this many shots (of all, if the run has no more images)."""
    titles = {t for t, s in fates.stages if isinstance(s, Generator) and (scarce or s.shots == shots)}
    stages = fates.ledger.column("stage")
    made: Flags = fates.made & np.array([stage in titles for stage in stages], dtype=bool)
    if not made.any() and fates.made.any():
        raise RecipeError(
            f"the run made nothing from {shots} shots per class alone: its generators saw more real images",
            f"give its generator shots: {shots}, or begin the recipe with `- select: few-shot` and shots: {shots}",
        )
    parents = fates.ledger.column("parents")
    for row in np.flatnonzero(made).tolist():
        if not set(parents[row]) <= ids:
            raise RecipeError(
                f"image {fates.ledger.column('id')[row]} was made from images that are not among the {shots} shots",
                f"begin the recipe with `- select: few-shot` and shots: {shots}",
            )
    return made


def _refuse_lookers(stages: Stages, shots: int, names: Sequence[str]) -> None:
    """RecipeError if a stage let other real images than the shots have a say in one of the arms."""
    for title, stage in stages:
        if _looks(stage, shots, names):
            raise RecipeError(
                f"{title} looked at more real images than the {shots} shots, so what it chose knows more than they do",
                f"begin the recipe with `- select: few-shot` and shots: {shots}",
            )


def _looks(stage: Stage, shots: int, names: Sequence[str]) -> bool:
    """Whether what a stage decides for one of the arms may hang on more real images than the shots."""
    if isinstance(stage, Trainer):
        return stage.shots is None or stage.shots > shots
    if isinstance(stage, Selector):
        return "real+selected" in names and stage.on == "all"
    if not isinstance(stage, EmbeddingFilter) or not {"real+kept", "real+selected"} & set(names):
        return False
    by_text = isinstance(stage, Clip) and stage.by != "clip-prototype"
    return stage.needs_real and not by_text


def by_rarity(counts: Mapping[str, int]) -> list[str]:
    """The classes, the rarest first."""
    return sorted(counts, key=lambda label: (counts[label], list(counts).index(label)))
