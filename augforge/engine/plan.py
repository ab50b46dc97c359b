"""What a run would do, without loading a model or reading a pixel: images in and out per class, and what is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from augforge.algorithms.selection import budgets
from augforge.data.classes import plain
from augforge.data.ledger import Ledger
from augforge.data.store import Store
from augforge.data.vectors import shared_store
from augforge.engine.asked import asked_of
from augforge.engine.at_hand import with_models_at_hand
from augforge.engine.decided import SAID, Decided, decided
from augforge.engine.embedding import stored_vectors
from augforge.engine.estimate import Outlook, class_outlooks, outlook, tried_so_far
from augforge.engine.ingest import known_samples, open_sources
from augforge.engine.jobs import plan_by_class
from augforge.engine.kinds import of_kind
from augforge.engine.limits import check_amounts, check_asked
from augforge.engine.made import made_already
from augforge.engine.one_label import refuse_several
from augforge.engine.rates import measured_rate
from augforge.engine.runners.caption import foresee_captions
from augforge.engine.runners.classes import foresee_lists
from augforge.engine.runners.generate import generator_parts
from augforge.engine.runners.label import decide_labels, decide_splits, hash_parts, unlabelled
from augforge.engine.runners.subsample import subsample
from augforge.engine.runners.train import model_folder, trained_row, training_key, training_roles
from augforge.io.understood import understood
from augforge.models import Model, trained_models
from augforge.models.directory import read_record
from augforge.progress import Progress
from augforge.recipe import Recipe, check_recipe
from augforge.recipe.looked_at import has_synthetic, looked_at, settled
from augforge.stages.captioner import Captioner
from augforge.stages.captioners.classes import Classes
from augforge.stages.filter import Filter
from augforge.stages.filters.duplicates import Duplicates
from augforge.stages.filters.review import Reviewed
from augforge.stages.generator import Generator, Job
from augforge.stages.generators.following import FollowingGenerator
from augforge.stages.labeler import Labeler
from augforge.stages.selector import Selector, Subsampler
from augforge.stages.splitter import Splitter
from augforge.stages.stage import Stage, check_classes
from augforge.stages.trainer import Trainer

Counts = dict[tuple[str, str], int]  # images by class and origin


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One stage of a plan; `exact` is false where the numbers are only the most or the likely ones.

    `outlook` is a generator's, class by class; `told` says of each source what it was understood to be.
    """

    stage: str
    rows_in: int
    rows_out: int
    todo: int
    reused: int
    classes: Mapping[str, float]
    exact: bool = True
    outlook: Outlook | None = None
    told: tuple[str, ...] = ()


@dataclass
class _State:
    """What is known so far: the counts, the ledger as far as it can be known, and what will have been measured."""

    store: Store
    seed: int
    models: dict[str, Model]
    ledger: Ledger
    counts: Counts
    shown: Mapping[str, Mapping[str, float]]
    unread: int = 0
    unmade: int = 0
    exact: bool = True
    measured: set[Path | None] = field(default_factory=set)
    yes: bool = False
    decided: Decided = field(default_factory=Decided)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def add(self, jobs: Sequence[Job], filed: Mapping[str, str | None]) -> None:
        """Count the images that are to be generated; `filed` says of a parent what its children are filed under."""
        for job in jobs:
            first = job.parents[0].id if job.parents else ""
            key = (job.sample.label or filed.get(first) or "", "synthetic")
            self.counts[key] = self.counts.get(key, 0) + 1

    def change(self, by: Mapping[tuple[str, str], int], sign: int) -> None:
        """Add some images, or with `sign` -1 take them away."""
        for key, count in by.items():
            self.counts[key] = max(0, self.counts.get(key, 0) + sign * count)

    def classes(self) -> dict[str, float]:
        """The expected images of each class: of what is filed under one, as many others show too as at the source."""
        found = dict.fromkeys(self.ledger.classes, 0.0)
        for (filed, _), count in self.counts.items():
            for label, each in self.shown.get(filed, {filed: 1}).items():
                found[label] = found.get(label, 0.0) + each * count
        return {label: plain(found[label]) for label in self.ledger.classes}


def plan_run(recipe: Recipe, out: Path | None = None, limit: int | None = None, *, yes: bool = False) -> list[PlanRow]:
    """A row for the source and every stage of `recipe`, given what the run folder `out` holds already.

    With `yes` even where it is more than `augforge.engine.limits` lets pass.
    """
    check_recipe(recipe)
    check_asked(recipe.stages, yes)
    if out is not None:
        Store(out).check()
    recipe = with_models_at_hand(recipe, Progress())
    holding = TemporaryDirectory() if out is None or not out.is_dir() else nullcontext(str(out))
    with holding as folder, trained_models() as models:
        store = Store(Path(folder), shared=shared_store())
        sources = open_sources(recipe)
        told = [understood(source) for source in sources]
        ledger, unread = known_samples(sources, store, limit, told)
        check_classes(recipe.stages, ledger.classes)
        stages = dict(zip(recipe.titles(), settled(recipe.stages, has_synthetic(ledger)), strict=True))
        again = decided(recipe, stages, store.folder)
        state = _State(
            store, recipe.seed, models, ledger, _counts(ledger), _shown(ledger), unread, yes=yes, decided=again
        )
        known = len(ledger) - unread
        first = PlanRow("source", len(ledger), state.total, unread, known, state.classes(), exact=unread == 0)
        rows = [replace(first, told=tuple(each.sentence() for each in told))]
        for title, stage in stages.items():
            before = state.total
            refuse_several(stage, state.ledger)
            step = of_kind(PLANNERS, stage)(stage, title, state)
            counts = state.classes()
            rows.append(PlanRow(title, before, state.total, step.todo, step.reused, counts, state.exact, step.outlook))
    return rows


def _counts(ledger: Ledger) -> Counts:
    counts: Counts = {}
    indices = ledger.visible()
    for label, origin in zip(ledger.filed_under(indices), ledger.column("origin", indices), strict=True):
        counts[label or "", origin] = counts.get((label or "", origin), 0) + 1
    return counts


def _shown(ledger: Ledger) -> dict[str, dict[str, float]]:
    """How many images of each class one of those filed under a class stands for, on average; see `Ledger.filed_under`.

    Of a class without images that have several labels or a soft label there is nothing to say: it stands for itself.
    """
    indices = ledger.visible()
    several, filed = ledger.several(indices), np.array(ledger.filed_under(indices), dtype=object)
    classes = {filed[place] for place in several}
    found = {}
    for label in classes:
        mine = indices[filed == label]
        found[str(label)] = {name: count / len(mine) for name, count in ledger.class_counts(mine).items()}
    return found


@dataclass(frozen=True, slots=True)
class _Step:
    """What a stage has to compute, what is there already, and what a generator will likely yield."""

    todo: int
    reused: int
    outlook: Outlook | None = None


def _generate(stage: Generator, title: str, state: _State) -> _Step:
    """What is to be generated, what is there, and class by class what it will likely yield and cost."""
    name, parts = generator_parts(stage, state.store, state.seed)
    check_amounts(stage, state.ledger, parts.folder, state.yes)
    if stage.until_accepted is not None or (state.unread and not stage.has_amount):
        state.exact = False  # who is accepted; or a gate by id, and ids are only known of what was read
    filed = _handed_on(stage, state.ledger)
    tried = tried_so_far(state.store.folder, title, state.decided.rejected)
    classes = class_outlooks(stage, state.ledger, tried)
    tries = {label: each.tries for label, each in classes.items()}
    todo: dict[str | None, int] = {}
    reused = 0
    for label, jobs in plan_by_class(stage, state.ledger, state.seed, title, tries).items():
        made = Counter[bool]()
        accepted = jobs if stage.until_accepted is None else islice(jobs, stage.until_accepted)
        state.ledger.extend(made_already(accepted, parts, name, made, lambda chunk: state.add(chunk, filed)))
        state.ledger.extend(made_already(jobs, parts, name, made, lambda chunk: None))
        todo[label], reused = made[False], reused + made[True]
    state.unmade += sum(todo.values())
    found = outlook(stage, classes, todo, measured_rate(parts.folder))
    if tried and state.decided.outdated:
        found = replace(found, warnings=(SAID, *found.warnings))
    return _Step(sum(todo.values()), reused, found)


def _handed_on(stage: Generator, ledger: Ledger) -> dict[str, str | None]:
    """Of each real image with several labels or a soft label, what its children are filed under: they have its labels.

    {} where a generator does not hand labels on.
    """
    if not isinstance(stage, FollowingGenerator):
        return {}
    indices = ledger.reference(unlabelled=True)
    ids, filed = ledger.column("id", indices), ledger.filed_under(indices)
    return {ids[place]: filed[place] for place in ledger.several(indices)}


def _train(stage: Trainer, title: str, state: _State) -> _Step:
    """The steps to train, 0 if the model is there; what it will be is known before it is trained."""
    identity = training_key(stage, training_roles(stage, state.ledger), state.seed)
    folder = model_folder(stage, identity, state.store)
    state.models[stage.called] = trained_row(stage, identity, folder)
    return _Step(0, 1) if read_record(folder) is not None else _Step(stage.steps, 0)


def _split(stage: Splitter, title: str, state: _State) -> _Step:
    """The images to hash; who goes where is known once all are."""
    indices, parts = state.ledger.visible("real"), hash_parts(state.store)
    todo = len(parts.missing(state.ledger.column("digest", indices)))
    if todo:
        state.exact = False
    else:
        decide_splits(stage, state.ledger, indices, parts)
    return _Step(todo, len(indices) - todo)


def _label(stage: Labeler, title: str, state: _State) -> _Step:
    """The images to classify; who gets which label is known once all are."""
    indices, parts = unlabelled(state.ledger), stored_vectors(stage.model, "classification", state.store)
    digests = state.ledger.column("digest", indices)
    todo = len(parts.missing(digests))
    if todo:
        state.exact = False
    else:
        decide_labels(stage, title, state.ledger, indices, parts.matrix(digests, "vector"))
        state.counts = _counts(state.ledger)
    return _Step(todo, len(indices) - todo)


def _measure(stage: Stage, state: _State) -> _Step:
    """The images to measure, at most, and those whose measures are there: both 0 of a stage that measures nothing."""
    asked = asked_of(stage, state.ledger, state.store)
    if asked is None:
        return _Step(0, 0)
    seen = sum(count for key, count in state.counts.items() if _sees(stage, key)) + asked.beside
    if asked.folder in state.measured:  # by a stage before it
        return _Step(0, seen)
    state.measured |= {asked.folder} - {None}
    todo = asked.missing + (state.unmade if _sees(stage, ("", "synthetic")) else 0)
    return _Step(todo, max(0, seen - todo))


def _unforeseen(stage: Stage, title: str, state: _State) -> _Step:
    """Who has a copy is only known when all are compared; whom people decided about, when all are read or made."""
    state.exact = False
    return _measure(stage, state)


def _sees(stage: Stage, key: tuple[str, str]) -> bool:
    on = getattr(stage, "on", "all")
    return on in ("all", key[1])


def _filter(stage: Filter, title: str, state: _State) -> _Step:
    step, share = _measure(stage, state), stage.rule().keep
    if share is None:
        state.exact = False
        return step
    groups = {key[0] for key in state.counts} if stage.scope == "class" else {None}
    for group in groups:
        members = [key for key in state.counts if group in (None, key[0]) and _sees(stage, key)]
        total = sum(state.counts[key] for key in members)
        _shrink(state, members, max(min(total, 1) if share > 0 else 0, int(share * total + 1e-9)))
    return step


def _select(stage: Selector, title: str, state: _State) -> _Step:
    step, spared = _measure(stage, state), _spared(stage, state)
    state.change(spared, -1)
    members = [key for key in state.counts if _sees(stage, key)]
    by_class = {label: sum(state.counts[k] for k in members if k[0] == label) for label in {k[0] for k in members}}
    allowed = budgets(by_class, stage.budget(sum(by_class.values())), stage.allocation)
    for label, budget in allowed.items():
        _shrink(state, [key for key in members if key[0] == label], budget)
    state.change(spared, 1)
    return step


def _spared(stage: Selector, state: _State) -> Counter[tuple[str, str]]:
    """The images that a selector leaves alone, as they are known: those of evaluation splits."""
    ledger = state.ledger
    spared = np.setdiff1d(ledger.visible(getattr(stage, "on", "all")), looked_at(stage, ledger))
    return Counter((label or "", "real") for label in ledger.filed_under(spared))


def _subsample(stage: Subsampler, title: str, state: _State) -> _Step:
    """As it will be: which images are left depends on nothing but their ids."""
    before = _filed(state.ledger)
    subsample(stage, title, state.ledger)
    after = _filed(state.ledger)
    for label, count in before.items():
        if (label, "real") in state.counts:
            state.counts[label, "real"] = max(0, state.counts[label, "real"] - count + after[label])
    return _Step(0, 0)


def _filed(ledger: Ledger) -> Counter[str]:
    """How many images to learn from are filed under each class."""
    return Counter(label for label in ledger.filed_under(ledger.reference(several=True)) if label is not None)


def _shrink(state: _State, members: list[tuple[str, str]], budget: int) -> None:
    """Cut the members' counts down to `budget` in all, in proportion; only likely if there is more than one."""
    parts = budgets({key: state.counts[key] for key in members}, budget, "proportional") if members else {}
    state.exact &= sum(count > 0 for count in parts.values()) <= 1
    state.counts.update(parts)


PLANNERS: Mapping[type[Stage], Callable[[Any, str, _State], _Step]] = {
    Generator: _generate,
    Trainer: _train,
    Splitter: _split,
    Captioner: lambda stage, title, state: _Step(*foresee_captions(stage, title, state.ledger, state.store)),
    Classes: lambda stage, title, state: _Step(*foresee_lists(stage, state.ledger, state.store)),
    Labeler: _label,
    Filter: _filter,
    Duplicates: _unforeseen,
    Reviewed: _unforeseen,
    Selector: _select,
    Subsampler: _subsample,
}
"""What foresees each kind of stage: given the stage, its title and the state before it, which it brings forward."""
