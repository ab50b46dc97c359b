"""What a run would do, without loading a model or reading a pixel: images in and out per class, and what is there."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from augforge.algorithms.selection import budgets
from augforge.data.ledger import Ledger
from augforge.data.store import Store
from augforge.data.vectors import shared_store
from augforge.engine.embedding import stored_vectors
from augforge.engine.estimate import Outlook, class_outlooks, outlook, tried_so_far
from augforge.engine.ingest import known_samples, open_sources
from augforge.engine.jobs import plan_by_class
from augforge.engine.rates import measured_rate
from augforge.engine.runners.filter import measured_parts
from augforge.engine.runners.generate import finished, generator_parts
from augforge.engine.runners.label import decide_labels, decide_splits, hash_parts, unlabelled
from augforge.engine.runners.subsample import run_subsampler
from augforge.engine.runners.train import model_folder, trained_row, training_key, training_roles
from augforge.models import Model, trained_models
from augforge.models.directory import read_record
from augforge.recipe import Recipe
from augforge.recipe.acceptance import check_acceptance
from augforge.stages.filter import EmbeddingFilter, Filter
from augforge.stages.filters.duplicates import Duplicates
from augforge.stages.generator import Generator
from augforge.stages.labeler import Labeler
from augforge.stages.selector import Selector, Subsampler
from augforge.stages.splitter import Splitter
from augforge.stages.stage import Stage, check_classes
from augforge.stages.trainer import Trainer

Counts = dict[tuple[str, str], int]  # images by class and origin


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One stage of a plan; `exact` is false where the numbers are only the most or the likely ones.

    `outlook` is a generator's, class by class.
    """

    stage: str
    rows_in: int
    rows_out: int
    todo: int
    reused: int
    classes: Mapping[str, int]
    exact: bool = True
    outlook: Outlook | None = None


@dataclass
class _State:
    """What is known so far: the counts, the ledger as far as it can be known, and what will have been measured."""

    ledger: Ledger
    counts: Counts
    unread: int = 0
    unmade: int = 0
    exact: bool = True
    measured: set[str] = field(default_factory=set)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def classes(self) -> dict[str, int]:
        return {c: sum(n for (label, _), n in self.counts.items() if label == c) for c in self.ledger.classes}


def plan_run(recipe: Recipe, out: Path | None = None, limit: int | None = None) -> list[PlanRow]:
    """A row for the source and every stage of `recipe`, given what the run folder `out` holds already."""
    from augforge.engine.run import titles

    check_acceptance(recipe.stages)
    holding = TemporaryDirectory() if out is None or not out.is_dir() else nullcontext(str(out))
    with holding as folder, trained_models() as models:
        store = Store(Path(folder), shared=shared_store())
        ledger, unread = known_samples(open_sources(recipe), store, limit)
        check_classes(recipe.stages, ledger.classes)
        state = _State(ledger, _counts(ledger), unread)
        known = len(ledger) - unread
        rows = [PlanRow("source", len(ledger), state.total, unread, known, state.classes(), exact=unread == 0)]
        for title, stage in zip(titles(recipe), recipe.stages, strict=True):
            before, seen = state.total, None
            if isinstance(stage, Trainer):
                todo, reused = _train(stage, state, store, recipe.seed, models)
            elif isinstance(stage, Generator):
                todo, reused, seen = _generate(stage, title, state, store, recipe.seed)
            else:
                todo, reused = _step(stage, title, state, store)
            rows.append(PlanRow(title, before, state.total, todo, reused, state.classes(), state.exact, seen))
    return rows


def _counts(ledger: Ledger) -> Counts:
    counts: Counts = {}
    indices = ledger.visible()
    for label, origin in zip(ledger.column("label", indices), ledger.column("origin", indices), strict=True):
        counts[label or "", origin] = counts.get((label or "", origin), 0) + 1
    return counts


def _step(stage: Stage, title: str, state: _State, store: Store) -> tuple[int, int]:
    if isinstance(stage, (Labeler, Splitter)):
        return _describe(stage, title, state, store)
    if isinstance(stage, Subsampler):
        return _thin(stage, title, state)
    seen = sum(count for key, count in state.counts.items() if _sees(stage, key))
    todo = _unmeasured(stage, state, store)
    if isinstance(stage, Duplicates):
        state.exact = False
    elif isinstance(stage, Filter):
        _filter(stage, state)
    elif isinstance(stage, Selector):
        _select(stage, state)
    return todo, max(0, seen - todo)


def _generate(stage: Generator, title: str, state: _State, store: Store, seed: int) -> tuple[int, int, Outlook]:
    """What is to make, what is there, and class by class what it will likely yield and cost."""
    name, parts = generator_parts(stage, store, seed)
    if stage.until_accepted is not None or (state.unread and not stage.has_amount):
        state.exact = False  # who is accepted; or a gate by id, and ids are only known of what was read
    classes = class_outlooks(stage, state.ledger, tried_so_far(store.folder, title))
    jobs = plan_by_class(stage, state.ledger, seed, title, {label: each.tries for label, each in classes.items()})
    todo: dict[str | None, int] = {}
    reused = 0
    for label, each in jobs.items():
        planned = list(each)
        there = [job for job in planned if parts.find([job.sample.id])[0] >= 0]
        state.ledger.extend(finished(there, parts, name))
        todo[label], reused = len(planned) - len(there), reused + len(there)
        for job in planned if stage.until_accepted is None else planned[: stage.until_accepted]:
            key = (job.sample.label or "", "synthetic")
            state.counts[key] = state.counts.get(key, 0) + 1
    state.unmade += sum(todo.values())
    return sum(todo.values()), reused, outlook(stage, classes, todo, measured_rate(parts.folder))


def _train(stage: Trainer, state: _State, store: Store, seed: int, models: dict[str, Model]) -> tuple[int, int]:
    """The steps to train, 0 if the model is there; what it will be is known before it is trained."""
    identity = training_key(stage, training_roles(stage, state.ledger), seed)
    folder = model_folder(stage, identity, store)
    models[stage.called] = trained_row(stage, identity, folder)
    there = read_record(folder) is not None
    return (0, 1) if there else (stage.steps, 0)


def _describe(stage: Labeler | Splitter, title: str, state: _State, store: Store) -> tuple[int, int]:
    """How many images a labeler or splitter has to measure; what it says is only known if all is measured."""
    if isinstance(stage, Splitter):
        indices, parts = state.ledger.visible("real"), hash_parts(store)
    else:
        indices, parts = unlabelled(state.ledger), stored_vectors(stage.classifier, "classification", store)
    digests = state.ledger.column("digest", indices)
    todo = len(parts.missing(digests))
    if todo:
        state.exact = False
    elif isinstance(stage, Splitter):
        decide_splits(stage, state.ledger, indices, parts)
    else:
        decide_labels(stage, title, state.ledger, indices, parts.matrix(digests, "vector"))
        state.counts = _counts(state.ledger)
    return todo, len(indices) - todo


def _sees(stage: Stage, key: tuple[str, str]) -> bool:
    on = getattr(stage, "on", "all")
    return on in ("all", key[1])


def _unmeasured(stage: Stage, state: _State, store: Store) -> int:
    """At most how many images the stage has to measure: not stored yet, and not measured by a stage before it."""
    parts = measured_parts(stage, store)
    if parts is None or str(parts.folder) in state.measured:
        return 0
    state.measured.add(str(parts.folder))
    known = state.ledger.visible(getattr(stage, "on", "all"))
    if isinstance(stage, EmbeddingFilter) and stage.needs_real:
        known = np.union1d(known, state.ledger.reference())
    missing = int((parts.find(state.ledger.column("digest", known)) < 0).sum())
    return missing + (state.unmade if _sees(stage, ("", "synthetic")) else 0)


def _filter(stage: Filter, state: _State) -> None:
    share = stage.rule().keep
    if share is None:
        state.exact = False
        return
    groups = {key[0] for key in state.counts} if stage.scope == "class" else {None}
    for group in groups:
        members = [key for key in state.counts if group in (None, key[0]) and _sees(stage, key)]
        total = sum(state.counts[key] for key in members)
        _shrink(state, members, max(min(total, 1) if share > 0 else 0, int(share * total + 1e-9)))


def _select(stage: Selector, state: _State) -> None:
    members = [key for key in state.counts if _sees(stage, key)]
    by_class = {label: sum(state.counts[k] for k in members if k[0] == label) for label in {k[0] for k in members}}
    allowed = budgets(by_class, stage.budget(sum(by_class.values())), stage.allocation)
    for label, budget in allowed.items():
        _shrink(state, [key for key in members if key[0] == label], budget)


def _thin(stage: Subsampler, title: str, state: _State) -> tuple[int, int]:
    """As it will be: which images are left hangs on nothing but their ids."""
    before = state.ledger.class_counts(state.ledger.reference())
    run_subsampler(stage, title, state.ledger)
    after = state.ledger.class_counts(state.ledger.reference())
    for label, count in before.items():
        if (label, "real") in state.counts:
            state.counts[label, "real"] = max(0, state.counts[label, "real"] - count + after[label])
    return 0, sum(before.values())


def _shrink(state: _State, members: list[tuple[str, str]], budget: int) -> None:
    """Cut the members' counts down to `budget` in all, in proportion; only likely if there is more than one."""
    parts = budgets({key: state.counts[key] for key in members}, budget, "proportional") if members else {}
    state.exact &= sum(count > 0 for count in parts.values()) <= 1
    state.counts.update(parts)
