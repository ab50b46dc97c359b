"""Run an operator: plan every image first, in compact rows, then make those that are not there, in processes.

Nothing that is held grows with the number of images but the rows of the plan: parents are read, and images stored, a
few at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from augforge.data.ledger import CHUNK, Indices, Ledger
from augforge.data.parts import Parts
from augforge.data.sample import Sample
from augforge.engine.context import RunContext
from augforge.engine.jobs import plan
from augforge.engine.likeness import likeness_for
from augforge.engine.loading import loading
from augforge.engine.pixels import Pixels
from augforge.engine.runners.checked import checked
from augforge.engine.runners.generate import generator_parts, say_what_is_asked, say_what_is_not_made, say_what_is_there
from augforge.engine.runners.generated import finished, generation_config_of, load_inputs, or_why, row_of, size_of
from augforge.engine.work import Made, Maker, Work
from augforge.errors import BadImage
from augforge.progress import Progress
from augforge.stages.generator import GeneratedImage, GenerationInput, Job, like_parents
from augforge.stages.generators.operator import OperatorGenerator

Call = Sequence[Job]
"""The jobs of one call of an operator; they have the same parents."""
Read = tuple[Call, list[GenerationInput], dict[str, str]]
Images = tuple[Call, Mapping[str, GeneratedImage | str]]
"""A call, and what was made or why not, by the id of the image."""


def run_operator(stage: OperatorGenerator, title: str, context: RunContext) -> dict[str, int]:
    """Make what the plan asks for and add it to the ledger; counts what was generated and what was there."""
    say_what_is_asked(stage, context)
    planned = _Planned(
        plan(stage, context.ledger, context.seed, title, likeness_for(stage, title, context)), context.ledger
    )
    if len(planned):
        say_what_is_not_made(stage, title, context)
    return _operate(stage, planned, context)


def operate_jobs(stage: OperatorGenerator, jobs: Iterable[Job], context: RunContext) -> dict[str, int]:
    """Make those of the planned images that are not there yet, and add all to the ledger."""
    return _operate(stage, _Planned(jobs, context.ledger), context)


def _operate(stage: OperatorGenerator, planned: _Planned, context: RunContext) -> dict[str, int]:
    name, parts = generator_parts(stage, context.store, context.seed)
    todo = planned.missing(parts)
    say_what_is_there(stage, len(planned), len(todo), context)
    context.progress.making(name, len(planned), len(todo), len(parts))
    work = Operating(stage, stage.name, _calls_a_unit(stage), stage.processes_for(len(todo)))
    context.engine.run(work, stage.calls(planned.jobs(todo)), len(todo), parts, context.place)
    context.pixels.generated[name] = parts
    everything = planned.chunks(np.arange(len(planned)))
    context.ledger.extend(sample for chunk in everything for sample in finished(chunk, parts, name))
    return {"generated": len(todo), "reused": len(planned) - len(todo)}


def _calls_a_unit(stage: OperatorGenerator) -> int:
    images = stage.default_batch_size("cpu") if stage.batch == "auto" else stage.batch
    return max(1, images // stage.images_per_call)


@dataclass(frozen=True)
class Operating(Work[Call]):
    """The calls of an operator; each image is made for itself."""

    stage: OperatorGenerator
    title: str
    per_unit: int
    workers: int
    per_batch: int = 1
    timed: ClassVar[bool] = True

    def open(self, pixels: Pixels, device: str, progress: Progress) -> Maker:
        """As `Work.open`."""
        with loading(self.stage, progress):
            return _Operator(self.stage, pixels, device)

    def name_of(self, item: Call) -> str:
        """As `Work.name_of`."""
        return item[0].sample.id

    def count(self, items: Sequence[Call]) -> int:
        """As `Work.count`."""
        return sum(map(len, items))

    def lost(self, items: Sequence[Call], why: str) -> Made:
        """As `Work.lost`: rows that say so."""
        config = generation_config_of(self.stage, {})
        return Made([row_of(job, why, config) for call in items for job in call])


class _Operator(Maker):
    """Makes the images of one call after the other."""

    def __init__(self, stage: OperatorGenerator, pixels: Pixels, device: str) -> None:
        self._stage = stage.model_copy(update={"batch": 1})  # each image is made for itself, and is recorded so
        self._loaded = self._stage.load(device)
        self._pixels = pixels
        self._config = generation_config_of(self._stage, self._loaded.facts)
        self.facts = {"device": "cpu"}

    def load(self, batch: Sequence[Call]) -> Read:
        """The call with the pixels of its parents, and why some of its images cannot be made."""
        (call,) = batch
        return call, *load_inputs(call, self._pixels, self._stage, self._loaded.refusal)

    def make(self, loaded: Read) -> Images:
        """The images of a call."""
        call, ready, problems = loaded
        if not ready:
            return call, problems
        try:
            made = checked(self._stage, self._loaded.generate(ready), len(ready))
        except BadImage as error:
            return call, problems | {item.job.sample.id: error.message for item in ready}
        images = zip(ready, like_parents(ready, made), strict=True)
        return call, problems | {item.job.sample.id: or_why(image, self._stage) for item, image in images}

    def rows(self, made: Images) -> Made:
        """What is stored of the images of a call, encoded."""
        call, images = made
        rows = [row_of(job, images[job.sample.id], self._config) for job in call]
        return Made(rows, sum(map(size_of, rows)))


class _Planned:
    """Planned images as rows of a ledger of their own: a million of them are no million objects."""

    def __init__(self, jobs: Iterable[Job], parents: Ledger) -> None:
        self._rows, self._parents = Ledger(), parents
        self._rows.extend(job.sample for job in jobs)

    def __len__(self) -> int:
        return len(self._rows)

    def missing(self, parts: Parts) -> Indices:
        """Where those are that have no row in `parts`."""
        return np.flatnonzero(parts.find(self._rows.texts("id")) < 0)

    def chunks(self, places: Indices) -> Iterator[list[Job]]:
        """The jobs at `places`, some thousands at a time."""
        for start in range(0, len(places), CHUNK):
            samples = list(self._rows.samples(places[start : start + CHUNK]))
            known = self._parents.by_id({parent for sample in samples for parent in sample.parents})
            yield [Job(sample, _of(sample, known)) for sample in samples]

    def jobs(self, places: Indices) -> Iterator[Job]:
        """The jobs at `places`, one after the other."""
        for chunk in self.chunks(places):
            yield from chunk


def _of(sample: Sample, known: Mapping[str, Sample]) -> tuple[Sample, ...]:
    return tuple(known[parent] for parent in sample.parents)
