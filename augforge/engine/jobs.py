"""What a generator should make: every image planned up front, its id and draws from hashes of content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice

import numpy as np

from augforge.data.ids import key, seed_of, unit
from augforge.data.ledger import Ledger
from augforge.data.pool import Pool
from augforge.data.sample import On, Sample, is_evaluation
from augforge.errors import RecipeError, did_you_mean
from augforge.models import find_model, model_key
from augforge.stages.generator import Generator, Job
from augforge.stages.stage import kebab


def stage_key(stage: Generator, seed: int) -> str:
    """What an image of this stage depends on beside its parents: options, model weights, seed, code version."""
    tasks = stage.tasks()
    models = {option: model_key(find_model(getattr(stage, option), task)) for option, task in tasks.items()}
    named = {kebab(option) for option in tasks}  # what a model is called does not matter, what it is does
    options = {option: value for option, value in stage.measured_options().items() if option not in named}
    return key(stage.name, stage.version, options, models, seed)


def amounts(stage: Generator, ledger: Ledger) -> dict[str | None, int]:
    """How many images of each class the stage should make; RecipeError if it is to make more of a class not there."""
    counts = training_counts(ledger, "real" if stage.real_to_synthetic else "all", not stage.needs_labels)
    if stage.of is not None:
        if stage.of not in ledger.classes:
            raise RecipeError(f"{stage.name}: there is no class {stage.of!r}", did_you_mean(stage.of, ledger.classes))
        counts = {stage.of: counts.get(stage.of, 0)}
    return stage.target_counts(counts)


def plan_by_class(
    stage: Generator, ledger: Ledger, seed: int, title: str, wanted: Mapping[str | None, int]
) -> dict[str | None, Iterator[Job]]:
    """The images to make of each class, as many as wanted of it; the first ones are the same for every amount."""
    fingerprint = stage_key(stage, seed)
    conditioning = ledger.conditioning(stage.split, not stage.needs_labels)
    pools = {label: Pool(samples, stage.shots) for label, samples in conditioning.items()}
    split = next((s.split for pool in pools.values() for s in pool.samples), None)

    def jobs(label: str | None, count: int) -> Iterator[Job]:
        turns = stage.turns(pools[label], count)
        alone = (_job(stage, fingerprint, label, pools[label], *turn, title, split) for turn in turns)
        return _coupled(alone, int(stage.batch)) if stage.batch_dependent else alone

    return {label: jobs(label, count) for label, count in wanted.items()}


def plan(stage: Generator, ledger: Ledger, seed: int, title: str) -> Iterator[Job]:
    """Every image that the stage should make, in order; nothing is loaded and no pixel is read."""
    yield from chain.from_iterable(plan_by_class(stage, ledger, seed, title, amounts(stage, ledger)).values())


def _coupled(jobs: Iterator[Job], size: int) -> Iterator[Job]:
    """Jobs whose images influence each other: each one's identity takes in the others of its batch, in order."""
    for batch in iter(lambda: list(islice(jobs, size)), []):
        mates = [job.sample.id for job in batch]
        for job in batch:
            identity = key(job.sample.id, mates, size)
            sampled_params = {**job.sample.sampled_params, "batch-of": mates}
            yield Job(replace(job.sample, id=identity, sampled_params=sampled_params), job.parents)


def training_counts(ledger: Ledger, on: On = "all", unlabelled: bool = False) -> dict[str | None, int]:
    """How many kept images each class has to train on (evaluation splits do not count); under None the unlabelled."""
    indices = ledger.visible(on)
    splits = ledger.column("split", indices)
    indices = indices[np.array([not is_evaluation(split) for split in splits], dtype=bool)]
    counts: dict[str | None, int] = dict(ledger.class_counts(indices).items())
    if unlabelled and (without := int((ledger.class_index(indices) < 0).sum())):
        counts[None] = without
    return counts


def _job(
    stage: Generator,
    fingerprint: str,
    label: str | None,
    pool: Pool,
    parent: Sample | None,
    variant: int,
    title: str,
    split: str | None,
) -> Job:
    first = parent.id if parent else label
    parents, sampled_params = stage.sample_params(
        label, parent, pool, variant, seed_of(key(fingerprint, first, variant))
    )
    identity = key(fingerprint, label, [p.id for p in parents], sampled_params)
    held_out = unit("validation", identity) < getattr(stage, "validation", 0.0)
    sample = Sample(
        id=identity,
        label=stage.child_label(label),
        origin="synthetic",
        parents=tuple(p.id for p in parents),
        stage=title,
        seed=seed_of(identity),
        split="validation" if held_out else split,
        sampled_params=sampled_params,
    )
    return Job(sample, tuple(parents))
