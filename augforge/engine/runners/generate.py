"""Run a generator: plan every image first, then make what is not there yet, in fixed and padded batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import ClassVar

from augforge.data.files import read_sealed, seal, write_atomically
from augforge.data.parts import Parts
from augforge.data.store import Store
from augforge.engine.context import RunContext
from augforge.engine.jobs import amounts, plan, stage_key
from augforge.engine.likeness import likeness_for
from augforge.engine.limits import MOST, check_amounts
from augforge.engine.loading import loading
from augforge.engine.one_label import told
from augforge.engine.pixels import Pixels
from augforge.engine.runners.checked import checked
from augforge.engine.runners.generated import (
    GENERATED,
    finished,
    generation_config_of,
    load_inputs,
    or_why,
    row_of,
    size_of,
)
from augforge.engine.work import Made, Maker, Work
from augforge.errors import StoreError, shortened
from augforge.progress import Progress
from augforge.stages.generator import GeneratedImage, GenerationInput, Generator, Job, like_parents


@dataclass(frozen=True, slots=True)
class Batch:
    """Some jobs of the plan, with their place in it."""

    number: int
    jobs: tuple[Job, ...]


def generator_parts(stage: Generator, store: Store, seed: int) -> tuple[str, Parts]:
    """Where the images of this stage lie, and under which name."""
    name = f"generate-{stage.name}-{stage_key(stage, seed)[:12]}"
    return name, store.parts(name, GENERATED)


def run_generator(stage: Generator, title: str, context: RunContext) -> dict[str, int]:
    """Generate what the plan asks for and add it to the ledger; counts what was generated and what was there."""
    say_what_is_asked(stage, context)
    jobs = list(plan(stage, context.ledger, context.seed, title, likeness_for(stage, title, context)))
    if jobs:
        say_what_is_not_made(stage, title, context)
    return generate_jobs(stage, jobs, context)


def say_what_is_asked(stage: Generator, context: RunContext) -> None:
    """Refuse too many images, and say what there is to say before a stage is planned."""
    folder = generator_parts(stage, context.store, context.seed)[1].folder
    if (asked := check_amounts(stage, context.ledger, folder, context.yes)) > MOST // 10:
        context.progress.say(f"{stage.name}: planning {asked:,} images")
    if stage.needs_labels and (several := context.ledger.several(context.ledger.reference(several=True))):
        context.progress.say(
            f"{stage.name}: {told(several.values())}: they count for their classes, and condition nothing"
        )


def say_what_is_not_made(stage: Generator, title: str, context: RunContext) -> None:
    """Say which classes get none of the images that are planned."""
    if without := _without_parents(stage, context):
        names = shortened(["what is unlabelled" if label is None else label for label in without])
        one = len(without) == 1
        of, them = ("class", "it has") if one else ("classes", "they have")
        context.progress.say(f"{title}: nothing is generated of {of} {names}: {them} no training image")


def say_what_is_there(stage: Generator, planned: int, todo: int, context: RunContext) -> None:
    """Say how many of the planned images an earlier run has left, if some are still to be made; rounds say more."""
    if stage.until_accepted is None and 0 < todo < planned:
        there = f"{planned - todo:,} of {planned:,} images are there already"
        context.progress.say(f"{stage.name}: {there}, {todo:,} are to be made")


def _without_parents(stage: Generator, context: RunContext) -> list[str | None]:
    """The classes of which images are asked for, and none may condition them."""
    pools = context.ledger.conditioning(stage.split, not stage.needs_labels)
    asked = amounts(stage, context.ledger)
    return [label for label, count in asked.items() if count and not pools.get(label)]


def generate_jobs(stage: Generator, jobs: Sequence[Job], context: RunContext) -> dict[str, int]:
    """Generate those of the planned images that are not there yet, and add all to the ledger."""
    name, parts = generator_parts(stage, context.store, context.seed)
    if parts.missing([job.sample.id for job in jobs]):
        stage = stage.model_copy(update={"batch": _fixed_batch(stage, parts, context)})
    todo = list(_batches(jobs, stage, parts))
    work = Generating(stage, stage.name, stage.processes)
    count = work.count(todo)
    say_what_is_there(stage, len(jobs), count, context)
    context.progress.making(name, len(jobs), count, len(parts))
    context.engine.run(work, todo, count, parts, context.place)
    context.pixels.generated[name] = parts
    context.ledger.extend(finished(jobs, parts, name))
    return {"generated": count, "reused": len(jobs) - count}


def _fixed_batch(stage: Generator, parts: Parts, context: RunContext) -> int:
    """The batch size of the plan: what was asked for, or what an earlier run measured, or what is measured now."""
    path = parts.folder / "plan.json"
    if stage.batch == "auto" and (size := _planned(path, context.progress)) is not None:
        return size
    size = stage.default_batch_size(context.device) if stage.batch == "auto" else int(stage.batch)
    write_atomically(path, seal({"batch": size, "device": context.device}))
    return size


def _planned(path: Path, progress: Progress) -> int | None:
    """The batch size that an earlier run wrote down, None if there is none or its file is damaged, which is said."""
    try:
        plan = read_sealed(path)
        return None if plan is None else int(plan["batch"])
    except (StoreError, KeyError, TypeError, ValueError) as error:
        progress.say(f"{error}; the batch size is measured again")
        return None


def _batches(jobs: Sequence[Job], stage: Generator, parts: Parts) -> Iterator[Batch]:
    """The plan cut into batches once; of each, the jobs whose image is not there yet (all, if they are coupled)."""
    for number, batch in enumerate(_cut(jobs, stage)):
        missing = set(parts.missing([job.sample.id for job in batch]))
        if missing:
            yield Batch(number, tuple(job for job in batch if stage.batch_dependent or job.sample.id in missing))


def _cut(jobs: Sequence[Job], stage: Generator) -> Iterator[list[Job]]:
    """Batches in the plan's order; coupled ones as they were planned, so never of two classes."""
    if stage.batch_dependent:
        yield from (list(batch) for _, batch in groupby(jobs, key=lambda job: job.sample.sampled_params["batch-of"]))
        return
    waiting = iter(jobs)
    size = 1024 if stage.batch == "auto" else stage.batch  # auto: all is there, and nothing will be made
    yield from iter(lambda: list(islice(waiting, size)), [])


@dataclass(frozen=True)
class Generating(Work[Batch]):
    """The batches of a plan, by a model; each is a unit."""

    stage: Generator
    title: str
    workers: int = 1
    per_batch: int = 1
    per_unit: int = 1
    uses_device: ClassVar[bool] = True
    timed: ClassVar[bool] = True

    def open(self, pixels: Pixels, device: str, progress: Progress) -> Maker:
        """As `Work.open`."""
        return _Model(self.stage, pixels, device, progress)

    def name_of(self, item: Batch) -> str:
        """As `Work.name_of`: its place in the plan."""
        return str(item.number)

    def models(self) -> Sequence[tuple[str, str]]:
        """As `Work.models`."""
        return self.stage.models()

    def count(self, items: Sequence[Batch]) -> int:
        """As `Work.count`."""
        return sum(len(batch.jobs) for batch in items)

    def divided(self, items: tuple[Batch, ...]) -> list[tuple[Batch, ...]]:
        """As `Work.divided`: coupled images are made together or not at all."""
        (batch,) = items
        if self.stage.batch_dependent or len(batch.jobs) < 2:
            return [items]
        middle = len(batch.jobs) // 2
        return [(replace(batch, jobs=jobs),) for jobs in (batch.jobs[:middle], batch.jobs[middle:])]

    def lost(self, items: Sequence[Batch], why: str) -> Made:
        """As `Work.lost`: rows that say so."""
        config = generation_config_of(self.stage, {})
        return Made([row_of(job, why, config, batch.number) for batch in items for job in batch.jobs])


class _Model(Maker):
    """A generator with its model."""

    def __init__(self, stage: Generator, pixels: Pixels, device: str, progress: Progress) -> None:
        with loading(stage, progress):
            self._loaded = stage.load(device)
        self._stage, self._pixels = stage, pixels
        self.facts = self._loaded.facts
        self._config = generation_config_of(stage, self.facts)

    def load(self, batch: Sequence[Batch]) -> tuple[Batch, list[GenerationInput], dict[str, str]]:
        """The pixels of the parents."""
        (only,) = batch
        return only, *load_inputs(only.jobs, self._pixels, self._stage, self._loaded.refusal)

    def make(
        self, loaded: tuple[Batch, list[GenerationInput], dict[str, str]]
    ) -> tuple[Batch, dict[str, GeneratedImage | str]]:
        """The images of one call."""
        batch, ready, problems = loaded
        made: dict[str, GeneratedImage | str] = dict(problems)
        if ready:
            padded = ready + [ready[-1]] * (int(self._stage.batch) - len(ready))
            pictures = like_parents(
                ready, checked(self._stage, self._loaded.generate(padded), len(padded))[: len(ready)]
            )
            found = zip(ready, pictures, strict=True)
            made |= {item.job.sample.id: or_why(picture, self._stage) for item, picture in found}
        return batch, made

    def rows(self, made: tuple[Batch, Mapping[str, GeneratedImage | str]]) -> Made:
        """The rows of the images, encoded."""
        batch, pictures = made
        slots = enumerate(batch.jobs)
        rows = [row_of(job, pictures[job.sample.id], self._config, batch.number, slot) for slot, job in slots]
        return Made(rows, sum(map(size_of, rows)))

    def summary(self) -> str:
        """As `Maker.summary`."""
        text = self._loaded.summary()
        return f"{self._stage.name}: {text}" if text else ""
