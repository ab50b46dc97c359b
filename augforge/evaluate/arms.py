"""Arms: which images of a run a learner is given. What the run dropped, and when, says which arm an image is of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augforge.data.ids import key, rng, seed_of
from augforge.data.ledger import Indices, Ledger
from augforge.data.pool import Pool
from augforge.data.sample import Sample, is_evaluation
from augforge.errors import RecipeError
from augforge.evaluate.settings import ARMS
from augforge.stages.catalog import VERBS
from augforge.stages.filter import EmbeddingFilter
from augforge.stages.filters.clip import Clip
from augforge.stages.generator import Generator
from augforge.stages.selector import Selector, Subsampler
from augforge.stages.selectors.few_shot import FewShot
from augforge.stages.stage import Stage
from augforge.stages.trainer import Trainer

Stages = Sequence[tuple[str, Stage]]
Flags = NDArray[np.bool_]
NEVER = ("source", "write")
"""Who drops what cannot be read."""
SELECTED = ("real+selected", "real+random")
FILTERED = ("real+kept", *SELECTED)
"""The arms on which selectors and filters have a say."""
_TITLE = re.compile(rf"\d+-({'|'.join(VERBS)})-(.+)")


@dataclass(frozen=True, slots=True)
class Arm:
    """The images (n,) that a learner is given, as rows of the run's ledger.

    `weights` (n,) scale their losses; `classical` asks for RandAugment of the real ones. An arm with `strata` is drawn
    anew for every seed (`drawn`): of each of these rows at random so many.
    """

    name: str
    rows: Indices
    weights: NDArray[np.float64]
    classical: bool = False
    strata: tuple[tuple[Indices, int], ...] = ()

    @property
    def size(self) -> int:
        """How many images one training sees."""
        return sum(count for _, count in self.strata) if self.strata else len(self.rows)

    def drawn(self, seed: int) -> Arm:
        """The arm as the training with this seed sees it."""
        if not self.strata:
            return self
        random = rng(seed_of(key("evaluate", seed)), self.name)
        drawn = np.sort(np.concatenate([random.choice(rows, n, replace=False) for rows, n in self.strata]))
        return Arm(self.name, drawn, np.ones(len(drawn)))


class Outcomes:
    """What became of the n samples of a run that could train a learner, by the stages that dropped them.

    `real` (n,): real images to learn from that the run still had when it began to generate. An evaluation split never
    trains, nor what is unreadable, unsafe, or dropped as a leak. `made` (n,): the synthetic ones.
    `filtered` and `left_out` (n,): dropped by a filter or a selector afterwards.
    `learnable` (n,) is what the task can learn from at all.
    """

    def __init__(self, ledger: Ledger, stages: Stages, learnable: Flags) -> None:
        self.ledger, self.stages, self._learnable = ledger, stages, learnable
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
        columns = zip(self.ledger.column("split"), self.ledger.dropped_by, self.ledger.dropped, strict=True)
        fit = [not is_evaluation(split) and _only_decided(by, reason) for split, by, reason in columns]
        usable: Flags = self._learnable & np.array(fit, dtype=bool)
        return usable

    def arm(self, name: str, among: Flags) -> Arm:
        """The arm `name` of ARMS, of the samples `among` (n,)."""
        if name in ("real", "real+classical"):
            rows = np.flatnonzero(self.real & among)
            return Arm(name, rows, np.ones(len(rows)), classical=name == "real+classical")
        chosen = (self.real | self.made) & among
        if name in FILTERED:
            chosen &= ~self.filtered
        strata = self._strata(chosen) if name == "real+random" else ()
        if name == "real+selected":
            chosen &= ~self.left_out
        rows = np.flatnonzero(chosen)
        weights = self.ledger.weight[rows] if name == "real+selected" else np.ones(len(rows))
        return Arm(name, rows, weights, strata=strata)

    def _strata(self, kept: Flags) -> tuple[tuple[Indices, int], ...]:
        """The rows of `kept` (n,) by class and origin, each with how many of them the selectors left."""
        rows = np.flatnonzero(kept)
        groups: dict[tuple[int, bool], list[int]] = {}
        for row, label, made in zip(
            rows.tolist(), self.ledger.filed_index(rows).tolist(), self.made[rows], strict=True
        ):
            groups.setdefault((label, bool(made)), []).append(row)
        members = [np.array(group, dtype=np.int64) for group in groups.values()]
        return tuple((group, int((~self.left_out[group]).sum())) for group in members)

    def differing(self) -> tuple[str, ...]:
        """The arms that a run like this one has: no filter, no arm of what it kept."""
        kinds = {stage.verb for _, stage in self.stages}
        selects = "select" in kinds and bool((self.left_out & (self.made | self.real)).any())
        there = {
            "real+synthetic": self.made.any(),
            "real+kept": "filter" in kinds and (self.filtered & (self.made | self.real)).any(),
            **dict.fromkeys(SELECTED, selects),
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


def arms_of(outcomes: Outcomes, names: Sequence[str], subsampler: Subsampler | None = None) -> list[Arm]:
    """The arms of these names; with `subsampler`, of the real images that it leaves and what was made from them.

    Raises:
        RecipeError: there is nothing real to train on, or the run saw more real images than the subsampler leaves.
    """
    among = np.ones(len(outcomes.ledger), dtype=bool) if subsampler is None else _within(outcomes, subsampler, names)
    arms = [outcomes.arm(name, among) for name in names]
    if not len(arms[0].rows):
        raise RecipeError("the run holds no labelled real image to train on", "is everything in an evaluation split?")
    return arms


def class_sizes(ledger: Ledger, rows: Indices) -> dict[str, int]:
    """How many of `rows` each class has, of the classes that have some or are the run's; each counts once, see
    `Ledger.filed_under`."""
    counts = Counter(ledger.filed_under(rows))
    return {label: counts.get(label, 0) for label in ledger.classes}


def _within(outcomes: Outcomes, subsampler: Subsampler, names: Sequence[str]) -> Flags:
    """(n,) the real images that a subsampler leaves, and what was made from them alone."""
    members = _real_by_class(outcomes)
    most = subsampler.max_per_class(
        {label: len(members[label]) for label in outcomes.ledger.classes if label in members}
    )
    ids = {sample.id for label, those in members.items() for sample in Pool(those, most[label]).samples}
    chosen: Flags = np.isin(np.array(outcomes.ledger.column("id")), list(ids))
    if any(name not in ("real", "real+classical") for name in names):
        scarce = all(len(those) <= most[label] for label, those in members.items())
        chosen |= _made_from(outcomes, ids, subsampler, scarce)
        if not scarce:
            _refuse_lookers(outcomes.stages, subsampler, names)
        _refuse_filtered_among_others(outcomes, chosen, subsampler, names)
    return chosen


def _real_by_class(outcomes: Outcomes) -> dict[str, list[Sample]]:
    """The real images that are trained on, by class."""
    members: dict[str, list[Sample]] = {}
    for sample in outcomes.ledger.samples(np.flatnonzero(outcomes.real)):
        members.setdefault(str(sample.label), []).append(sample)
    return members


def _refuse_filtered_among_others(
    outcomes: Outcomes, chosen: Flags, subsampler: Subsampler, names: Sequence[str]
) -> None:
    """RecipeError if an arm asks for what stages kept, and they decided among images made from others, too."""
    if (outcomes.made & ~chosen).any() and set(FILTERED) & set(names):
        raise RecipeError(
            f"what was made from {_said(subsampler)} was filtered or selected among images made from others",
            f"use a run folder of its own that begins with {_begin(subsampler)}, "
            "or --arms real,real+classical,real+synthetic",
        )


def _said(subsampler: Subsampler) -> str:
    """What the real images are that a subsampler leaves."""
    return f"the {subsampler.shots} shots" if isinstance(subsampler, FewShot) else "the long tail"


def _begin(subsampler: Subsampler) -> str:
    """The stage that a recipe could begin with."""
    options = ", ".join(f"{name}: {value}" for name, value in subsampler.model_dump(exclude_defaults=True).items())
    return f"`- select: {subsampler.name}`" + (f" and {options}" if options else "")


def _made_from(outcomes: Outcomes, ids: set[str], subsampler: Subsampler, scarce: bool) -> Flags:
    """(n,) what was made from `ids` alone; of shots, by generators with just as many (or if the run has no others)."""
    shots = subsampler.shots if isinstance(subsampler, FewShot) and not scarce else None
    titles = {title for title, stage in outcomes.stages if _conditions_on(stage, shots)}
    stages, parents = outcomes.ledger.column("stage"), outcomes.ledger.column("parents")
    made: Flags = outcomes.made & np.array([stage in titles for stage in stages], dtype=bool)
    inside = np.array([set(those) <= ids for those in parents], dtype=bool)
    if shots is not None:
        _refuse_other_parents(outcomes, np.flatnonzero(made & ~inside), shots, subsampler)
    made &= inside
    if not made.any() and outcomes.made.any():
        raise _nothing_made(shots, subsampler)
    return made


def _nothing_made(shots: int | None, subsampler: Subsampler) -> RecipeError:
    own = "" if shots is None else f"give its generator shots: {shots}, or "
    return RecipeError(
        f"the run made nothing from {_said(subsampler)} alone: its generators saw more real images",
        f"{own}begin the recipe with {_begin(subsampler)}",
    )


def _refuse_other_parents(outcomes: Outcomes, rows: Indices, shots: int, subsampler: Subsampler) -> None:
    """RecipeError, naming the first, if there are `rows` that were made from images that are not among the shots."""
    if len(rows):
        raise RecipeError(
            f"image {outcomes.ledger.column('id')[int(rows[0])]} was made from images that are not among the "
            f"{shots} shots",
            f"begin the recipe with {_begin(subsampler)}",
        )


def _conditions_on(stage: Stage, shots: int | None) -> bool:
    """Whether a stage is a generator, of just as many shots if a number is given."""
    return isinstance(stage, Generator) and (shots is None or stage.shots == shots)


def _refuse_lookers(stages: Stages, subsampler: Subsampler, names: Sequence[str]) -> None:
    """RecipeError if a stage let other real images than those that are left have a say in one of the arms."""
    for title, stage in stages:
        if _looks(stage, subsampler, names):
            raise RecipeError(
                f"{title} looked at more real images than {_said(subsampler)}: its choice knows more than they do",
                f"begin the recipe with {_begin(subsampler)}",
            )


def _looks(stage: Stage, subsampler: Subsampler, names: Sequence[str]) -> bool:
    """Whether what a stage decides for one of the arms may depend on more real images than those that are left."""
    if isinstance(stage, Trainer):
        return not isinstance(subsampler, FewShot) or stage.shots is None or stage.shots > subsampler.shots
    if isinstance(stage, Selector):
        return bool(set(SELECTED) & set(names)) and stage.on == "all"
    if not isinstance(stage, EmbeddingFilter) or not set(FILTERED) & set(names):
        return False
    by_text = isinstance(stage, Clip) and stage.by != "clip-prototype"
    return stage.needs_real and not by_text


def by_rarity(counts: Mapping[str, int]) -> list[str]:
    """The classes, the rarest first."""
    return sorted(counts, key=lambda label: (counts[label], list(counts).index(label)))
