"""Run an operator: plan every image first, in compact rows, then make those that are not there, in processes.

Nothing that is held grows with the number of images but the rows of the plan: parents are read, and images stored, a
few at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from augforge.data.ledger import CHUNK, Indices, Ledger
from augforge.data.sample import Sample
from augforge.data.store import Parts
from augforge.engine.context import RunContext
from augforge.engine.flow import flow
from augforge.engine.ingest import Pixels
from augforge.engine.jobs import plan
from augforge.engine.likeness import likeness_for
from augforge.engine.loading import loading
from augforge.engine.rates import recording
from augforge.engine.runners.checked import checked
from augforge.engine.runners.generate import (
    finished,
    generation_config_of,
    generator_parts,
    load_inputs,
    or_why,
    row_of,
    say_what_is_asked,
    say_what_is_not_made,
    size_of,
)
from augforge.engine.spread import spread
from augforge.errors import BadImage
from augforge.models import Model, trained_rows
from augforge.recipe import SourceSpec
from augforge.stages.generator import GeneratedImage, GenerationInput, Job, like_parents
from augforge.stages.generators.operator import OperatorGenerator

Rows = list[dict[str, Any]]
Call = Sequence[Job]
"""The jobs of one call of an operator; they have the same parents."""
Read = tuple[Call, list[GenerationInput], dict[str, str]]
Made = tuple[Call, Mapping[str, GeneratedImage | str]]
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
    context.progress.making(name, len(planned), len(todo), len(parts))
    if len(todo):
        _make(stage, planned.jobs(todo), len(todo), parts, context)
    context.pixels.generated[name] = parts
    everything = planned.chunks(np.arange(len(planned)))
    context.ledger.extend(sample for chunk in everything for sample in finished(chunk, parts, name))
    return {"generated": len(todo), "reused": len(planned) - len(todo)}


def _make(stage: OperatorGenerator, jobs: Iterator[Job], total: int, parts: Parts, context: RunContext) -> None:
    """Make `total` images, here or in processes, and commit them as they come."""
    processes, progress = stage.processes_for(total), context.progress
    work = Work(stage, context.pixels.specs, context.device, trained_rows())
    with loading(stage, progress):
        maker = Maker(work, context.pixels) if processes == 1 else None
    with (
        recording(parts.folder, {"device": "cpu"}, processes) as count,
        progress.bar(stage.name, total) as bar,
        parts.writing() as writer,
    ):

        def save(rows: Rows) -> None:
            writer.add(rows, sum(map(size_of, rows)))
            count(len(rows))
            bar.advance(len(rows))

        calls = stage.calls(jobs)
        if maker is not None:
            flow(calls, maker.read, maker.make, lambda made: save(maker.rows(made)))
        else:
            spread("augforge.engine.runners.operate_worker", work, processes, _units(calls, stage), save)


def _units(calls: Iterator[Call], stage: OperatorGenerator) -> Iterator[list[Call]]:
    """The calls that a process is handed at once."""
    images = stage.default_batch_size("cpu") if stage.batch == "auto" else stage.batch
    each = max(1, images // stage.images_per_call)
    return iter(lambda: list(islice(calls, each)), [])


@dataclass(frozen=True, slots=True)
class Work:
    """What every process is given before it is handed jobs."""

    stage: OperatorGenerator
    sources: Sequence[SourceSpec]
    device: str
    trained: Mapping[str, Model]


class Maker:
    """Makes the images of one call after the other."""

    def __init__(self, work: Work, pixels: Pixels) -> None:
        self._stage = work.stage.model_copy(update={"batch": 1})  # each image is made for itself, and is recorded so
        self._loaded = self._stage.load(work.device)
        self._pixels = pixels
        self._config = generation_config_of(self._stage, self._loaded.facts)

    def read(self, call: Call) -> Read:
        """The call with the pixels of its parents, and why some of its images cannot be made."""
        return call, *load_inputs(call, self._pixels, self._stage, self._loaded.refusal)

    def make(self, read: Read) -> Made:
        """The images of a call."""
        call, ready, problems = read
        if not ready:
            return call, problems
        try:
            made = checked(self._stage, self._loaded.generate(ready), len(ready))
        except BadImage as error:
            return call, problems | {item.job.sample.id: error.message for item in ready}
        images = zip(ready, like_parents(ready, made), strict=True)
        return call, problems | {item.job.sample.id: or_why(image, self._stage) for item, image in images}

    def rows(self, made: Made) -> Rows:
        """What is stored of the images of a call, encoded."""
        call, images = made
        return [row_of(job, images[job.sample.id], self._config) for job in call]


class _Planned:
    """Planned images as rows of a ledger of their own: a million of them are no million objects."""

    def __init__(self, jobs: Iterable[Job], parents: Ledger) -> None:
        self._rows, self._parents = Ledger(), parents
        self._rows.extend(job.sample for job in jobs)

    def __len__(self) -> int:
        return len(self._rows)

    def missing(self, parts: Parts) -> Indices:
        """Where those are that have no row in `parts`."""
        return np.flatnonzero(parts.find(self._rows.column("id")) < 0)

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
