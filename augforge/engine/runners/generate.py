"""Run a generator: plan every image first, then make what is not there yet, in fixed and padded batches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from PIL import Image

from augforge.data import images
from augforge.data.annotations import dump_annotations, parse_annotations
from augforge.data.files import read_sealed, seal, write_atomically
from augforge.data.ids import canonical
from augforge.data.parts import Parts
from augforge.data.pictures import digests_of, dump_pictures, parse_pictures
from augforge.data.sample import Sample
from augforge.data.store import Store
from augforge.engine.context import RunContext
from augforge.engine.jobs import amounts, plan, stage_key
from augforge.engine.limits import MOST, check_amounts
from augforge.engine.loading import loading
from augforge.engine.one_label import told
from augforge.engine.pixels import Pixels
from augforge.engine.runners.checked import checked
from augforge.engine.work import Made, Maker, Work
from augforge.errors import BadImage, StoreError, shortened
from augforge.progress import Progress
from augforge.stages.generator import GeneratedImage, GenerationInput, Generator, Job, like_parents

GENERATED = pa.schema(
    [
        ("id", pa.string()),
        ("image", pa.large_binary()),
        ("companions", pa.map_(pa.string(), pa.large_binary())),
        ("digest", pa.string()),
        ("pictures", pa.string()),
        ("annotations", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("problem", pa.string()),
        ("generation_config", pa.dictionary(pa.int32(), pa.string())),
        ("batch", pa.int32()),
        ("slot", pa.int32()),
        ("facts", pa.string()),
    ]
)


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
    jobs = list(plan(stage, context.ledger, context.seed, title))
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
        names = shortened([str(label) for label in without])
        context.progress.say(f"{title}: nothing is generated of {names}: no image to learn from may condition it")


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
    work = Generating(stage, stage.name)
    count = work.count(todo)
    context.progress.making(name, len(jobs), count, len(parts))
    context.engine.run(work, todo, count, parts, context.place, workers=stage.processes)
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


def load_inputs(
    jobs: Sequence[Job], pixels: Pixels, stage: Generator, refusal: Callable[[Job], str]
) -> tuple[list[GenerationInput], dict[str, str]]:
    """The jobs with their parents' pixels, each decoded once, and for the others why they cannot be made."""
    ready, problems = [], {}
    seen: dict[str, Image.Image] = {}

    def picture(parent: Sample) -> Image.Image:
        if parent.id not in seen:
            seen[parent.id] = images.decode(pixels.bytes_of(parent))
        return seen[parent.id]

    for job in jobs:
        if problem := refusal(job):
            problems[job.sample.id] = problem
            continue
        try:
            pictures = tuple(map(picture, job.parents))
            ready.append(GenerationInput(job, pictures, companions(stage, job.parents, pixels.picture_of)))
        except BadImage as error:
            problems[job.sample.id] = f"a parent cannot be read: {error.message}"
    return ready, problems


def row_of(
    job: Job, made: GeneratedImage | str, generation_config: str, batch: int = 0, slot: int = 0
) -> dict[str, Any]:
    """The row of what was made for a job, or of why nothing was."""
    row: dict[str, Any] = {
        "id": job.sample.id,
        "generation_config": generation_config,
        "batch": batch,
        "slot": slot,
        "problem": "",
        "facts": "{}",
        "companions": [],
        "pictures": "",
        "annotations": "",
    }
    if isinstance(made, str):
        return {**row, "image": b"", "digest": "", "width": 0, "height": 0, "problem": made}
    height, width = made.pixels.shape[:2]
    data = encoded(made)
    made_row = {"image": data, "digest": images.digest(data), "width": width, "height": height}
    return {
        **row,
        **made_row,
        **_companions(made),
        "annotations": dump_annotations(made.annotations),
        "facts": canonical(dict(made.facts)),
    }


def or_why(made: GeneratedImage, stage: Generator) -> GeneratedImage | str:
    """A generated image, or why it is not wanted or broken."""
    if made.problem:
        return made.problem
    what = "the model returned" if stage.trained else f"{stage.name} made"
    return images.degenerate(made.pixels, what) or made


def encoded(made: GeneratedImage) -> bytes:
    """The PNG bytes of a generated image."""
    whole = made.pixels.dtype == np.uint8
    pixels = made.pixels if whole else np.rint(made.pixels * 255.0).clip(0, 255).astype(np.uint8)
    return images.encode_png(Image.fromarray(pixels))


def _companions(made: GeneratedImage) -> dict[str, Any]:
    """The encoded pictures that go with an image, and their digests."""
    encoded = made.encoded_pictures()
    return {"companions": sorted(encoded.items()), "pictures": dump_pictures(digests_of(encoded))}


def companions(
    stage: Generator, parents: Sequence[Sample], read: Callable[[Sample, str], bytes]
) -> tuple[dict[str, bytes], ...]:
    """The encoded pictures of the parents that a generator is given; () if it uses none. BadImage as `read`."""
    if stage.uses_pictures is not None and not stage.uses_pictures:
        return ()
    return tuple({name: read(parent, name) for name in stage.pictures_of(parent)} for parent in parents)


def size_of(row: Mapping[str, Any]) -> int:
    """Bytes of the pixels of a row."""
    return len(row["image"]) + sum(len(data) for _, data in row["companions"])


def generation_config_of(stage: Generator, facts: Mapping[str, Any]) -> str:
    """What all images of one call share, as JSON: generator, options, model, device, precision, versions."""
    hidden = stage.decision_options - {"batch"}
    options = {name: value for name, value in stage.options().items() if name.replace("-", "_") not in hidden}
    asked = {name: value for name, value in options.items() if name in facts and not _says(facts[name], value)}
    described = {**options, **facts, **({"asked": asked} if asked else {})}
    return canonical({"generator": stage.name, "generator-version": stage.version, **described})


def _says(fact: Any, option: Any) -> bool:
    """Whether what was recorded says as much as the option did: the same, or the model of that name."""
    return bool(fact == option or (isinstance(fact, Mapping) and fact.get("name") == option))


def finished(jobs: Sequence[Job], parts: Parts, name: str) -> Iterator[Sample]:
    """The planned samples with what became of them."""
    columns = [column for column in GENERATED.names if column not in ("image", "companions")]
    rows = parts.rows([job.sample.id for job in jobs], columns)
    for planned, row in zip((job.sample for job in jobs), rows, strict=True):
        problem = row["problem"] or None
        yield replace(
            planned,
            digest=row["digest"],
            pictures=parse_pictures(row["pictures"]),
            annotations=parse_annotations(row["annotations"]),
            width=row["width"],
            height=row["height"],
            ref=f"generated:{name}",
            sampled_params={
                **planned.sampled_params,
                "batch-number": row["batch"],
                "slot": row["slot"],
                **json.loads(row["facts"]),
            },
            generation_config=row["generation_config"],
            kept=problem is None,
            dropped=problem,
            dropped_by=planned.stage if problem else None,
        )
