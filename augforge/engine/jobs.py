"""The images to generate, planned up front: ids and sampled parameters come from hashes of content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from augforge.data.ids import key, seed_of, unit
from augforge.data.ledger import Ledger
from augforge.data.likeness import Likeness
from augforge.data.pool import Pool, Pools
from augforge.data.sample import On, Sample
from augforge.engine.one_label import needs_one_label
from augforge.errors import RecipeError, did_you_mean
from augforge.models import find_model, model_key
from augforge.stages.generator import Generator, Job
from augforge.stages.stage import kebab


def stage_key(stage: Generator, seed: int) -> str:
    """What an image of this stage depends on beside its parents: options, model weights, seed, code version."""
    tasks = stage.tasks()
    named_models = {option: (getattr(stage, option), task) for option, task in tasks.items()}
    models: dict[str, str | list[str]] = {
        option: model_key(find_model(*given)) for option, given in named_models.items() if given[0] is not None
    }
    for option, task in stage.lists_of_models.items():
        if names := getattr(stage, option):
            models[option] = [model_key(find_model(name, task)) for name in names]
    named = {
        kebab(option) for option in (*tasks, *stage.lists_of_models)
    }  # what a model is called does not matter, what it is does
    options = {option: value for option, value in stage.measured_options().items() if option not in named}
    return key(stage.name, stage.version, options, models, seed)


def amounts(stage: Generator, ledger: Ledger) -> dict[str | None, int]:
    """How many images of each class the stage should make; RecipeError if it is to make more of a class not there.

    Classes are balanced by how many images of each are expected; what is made for each image, by the images themselves.
    """
    on: On = "real" if stage.real_to_synthetic else "all"
    counts = training_counts(ledger, on, not stage.needs_labels, expected=stage.balances)
    if stage.of is not None:
        if stage.of not in ledger.classes:
            raise RecipeError(f"{stage.name}: there is no class {stage.of!r}", did_you_mean(stage.of, ledger.classes))
        counts = {stage.of: counts.get(stage.of, 0)}
    target = stage.target_counts(counts)
    _refuse_without_own(stage, ledger, target)
    return target


def _refuse_without_own(stage: Generator, ledger: Ledger, target: Mapping[str | None, int]) -> None:
    """RecipeError where images of a class are asked for, and it is only seen in images with several labels."""
    several = ledger.several(ledger.reference(unlabelled=True)).values()
    by_class = stage.needs_labels or stage.balances or stage.of is not None
    if not several or not by_class:
        return  # to make some of each image, classes or none, no class has to be there
    pools = ledger.conditioning(stage.split, not stage.needs_labels)
    lacking = _without_parents(stage, pools, _asked(stage, target, {name for shares in several for name in shares}))
    if lacking:
        raise needs_one_label(
            f"generate {stage.name}",
            several,
            f"no image is of the class {lacking[0]!r} alone, and it makes images of one class from such",
        )


def _asked(stage: Generator, target: Mapping[str | None, int], seen: Collection[str]) -> list[str | None]:
    """The classes of which images are asked for, of those that are `seen` in images with several labels."""
    return [label for label in target if label in seen and (target[label] or label == stage.of)]


def _without_parents(
    stage: Generator, pools: Mapping[str | None, Sequence[Sample]], wanted: Sequence[str | None]
) -> list[str | None]:
    """Those of the `wanted` classes from whose images the stage can make none."""
    return [label for label in wanted if next(stage.choose_parents(Pool(pools[label]), 1), None) is None]


def plan_by_class(
    stage: Generator,
    ledger: Ledger,
    seed: int,
    title: str,
    target: Mapping[str | None, int],
    likeness: Likeness | None = None,
) -> dict[str | None, Iterator[Job]]:
    """The images to generate of each class, `target` of it; the first ones are the same for every amount."""
    conditioning = ledger.conditioning(stage.split, not stage.needs_labels)
    by_class = {label: Pool(samples, stage.shots) for label, samples in conditioning.items()}
    pools = Pools(by_class, likeness, seed, ledger.words)
    splits = {sample.split for pool in pools.values() for sample in pool.samples}
    split = max(splits, key=lambda name: name or "", default=None)  # of none and another the other, in any order
    planner = _Planner(stage, stage_key(stage, seed), title, split, pools)
    return {label: planner.jobs(label, pools[label], count) for label, count in target.items()}


@dataclass(frozen=True, slots=True)
class _Planner:
    """Plans the images of one stage, which the ledger calls by its `title`; those without parents lie in `split`."""

    stage: Generator
    fingerprint: str
    title: str
    split: str | None
    pools: Pools

    def jobs(self, label: str | None, pool: Pool, count: int) -> Iterator[Job]:
        """The first `count` images of a class, conditioned on those in `pool`."""
        parents = self.stage.choose_parents(pool, count)
        alone = (self._job(label, parent, variant) for parent, variant in parents)
        return _coupled(alone, int(self.stage.batch)) if self.stage.batch_dependent else alone

    def _job(self, label: str | None, parent: Sample | None, variant: int) -> Job:
        seed = seed_of(key(self.fingerprint, parent.id if parent else label, variant))
        parents, sampled_params = self.stage.draw_among(label, parent, self.pools, variant, seed)
        ids = [p.id for p in parents]
        identity = key(self.fingerprint, label, ids, sampled_params)
        held_out = unit("validation", identity) < getattr(self.stage, "validation", 0.0)
        sample = Sample(
            id=identity,
            label=self.stage.made_label(label, parents, sampled_params),
            origin="synthetic",
            parents=tuple(ids),
            stage=self.title,
            seed=seed_of(identity),
            split="validation" if held_out else parents[0].split if parents else self.split,
            sampled_params=sampled_params,
            scores=self.stage.planned_scores(sampled_params),
        )
        return Job(sample, tuple(parents))


def plan(stage: Generator, ledger: Ledger, seed: int, title: str, likeness: Likeness | None = None) -> Iterator[Job]:
    """Every image that the stage should make, in order; nothing is loaded and no pixel is read."""
    planned = plan_by_class(stage, ledger, seed, title, amounts(stage, ledger), likeness)
    yield from chain.from_iterable(planned.values())


def _coupled(jobs: Iterator[Job], size: int) -> Iterator[Job]:
    """Jobs whose images influence each other: each one's identity takes in the others of its batch, in order."""
    for batch in iter(lambda: list(islice(jobs, size)), []):
        mates = [job.sample.id for job in batch]
        for job in batch:
            identity = key(job.sample.id, mates, size)
            sampled_params = {**job.sample.sampled_params, "batch-of": mates}
            yield Job(replace(job.sample, id=identity, sampled_params=sampled_params), job.parents)


def training_counts(
    ledger: Ledger, on: On = "all", unlabelled: bool = False, expected: bool = False
) -> dict[str | None, float]:
    """How many kept images each class has to train on (evaluation splits do not count); under None the unlabelled.

    Those with several labels or a soft label are unlabelled, unless the `expected` number of each class is asked for.
    """
    indices = ledger.visible(on)
    indices = indices[~ledger.in_evaluation(indices)]
    numbers = Counter(ledger.coded("label").counts(indices))
    own: dict[str, float] = {label: numbers[label] for label in ledger.classes}
    counts: dict[str | None, float] = dict((ledger.class_counts(indices) if expected else own).items())
    if unlabelled and numbers[None]:
        counts[None] = numbers[None]
    return counts
