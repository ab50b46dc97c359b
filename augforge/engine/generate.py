"""Run a generator: plan every image first, then make what is not there yet, in fixed and padded batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from augforge import images
from augforge.engine.ingest import Pixels
from augforge.errors import BadImage
from augforge.flow import flow
from augforge.ids import canonical, key, seed_of
from augforge.ledger import Ledger
from augforge.models import find_model, model_key
from augforge.pool import Pool
from augforge.progress import Progress
from augforge.sample import Sample, is_evaluation
from augforge.stage import Generator, Job, Loaded
from augforge.store import Parts, Store

MADE = pa.schema(
    [
        ("id", pa.string()),
        ("image", pa.large_binary()),
        ("digest", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("problem", pa.string()),
        ("maker", pa.dictionary(pa.int32(), pa.string())),
        ("batch", pa.int32()),
        ("slot", pa.int32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some jobs of the plan, with their place in it."""

    number: int
    jobs: tuple[Job, ...]


def stage_key(stage: Generator, seed: int) -> str:
    """What an image of this stage depends on beside its parents: options, model weights, seed, code version."""
    models = {option: model_key(find_model(getattr(stage, option), task)) for option, task in stage.tasks().items()}
    return key(stage.name, stage.version, stage.measured_options(), models, seed)


def generator_parts(stage: Generator, store: Store, seed: int) -> tuple[str, Parts]:
    """Where the images of this stage lie, and under which name."""
    name = f"generate-{stage.name}-{stage_key(stage, seed)[:12]}"
    return name, store.parts(name, MADE)


def plan(stage: Generator, ledger: Ledger, seed: int, title: str) -> Iterator[Job]:
    """Every image that the stage should make, in order; nothing is loaded and no pixel is read."""
    fingerprint = stage_key(stage, seed)
    pools = {label: Pool(samples, stage.shots) for label, samples in ledger.conditioning(stage.split).items()}
    wanted = stage.wanted(training_counts(ledger))
    for label, count in wanted.items():
        for parent, variant in pools[label].turns(count):
            yield _job(stage, fingerprint, pools[label], parent, variant, title)


def training_counts(ledger: Ledger) -> dict[str, int]:
    """How many kept images each class has to train on (evaluation splits do not count)."""
    indices = ledger.visible()
    splits = ledger.column("split", indices)
    training = np.array([not is_evaluation(split) for split in splits], dtype=bool)
    return ledger.class_counts(indices[training])


def _job(stage: Generator, fingerprint: str, pool: Pool, parent: Sample, variant: int, title: str) -> Job:
    parents, draws = stage.draw(parent, pool, variant, seed_of(key(fingerprint, parent.id, variant)))
    identity = key(fingerprint, [p.id for p in parents], draws)
    sample = Sample(
        id=identity,
        label=parent.label,
        origin="synthetic",
        parents=tuple(p.id for p in parents),
        stage=title,
        seed=seed_of(identity),
        split=parent.split,
        draws=draws,
    )
    return Job(sample, tuple(parents))


def run_generator(
    stage: Generator,
    title: str,
    ledger: Ledger,
    store: Store,
    pixels: Pixels,
    seed: int,
    device: str,
    progress: Progress,
) -> dict[str, int]:
    """Make what the plan asks for and add it to the ledger; says how many were made and how many were there."""
    name, parts = generator_parts(stage, store, seed)
    jobs = list(plan(stage, ledger, seed, title))
    todo = list(_batches(jobs, stage.batch, parts))
    if todo:
        _make(stage, todo, parts, pixels, device, progress)
    pixels.made[name] = parts
    ledger.extend(finished(jobs, parts, name))
    made = sum(len(batch.jobs) for batch in todo)
    return {"made": made, "reused": len(jobs) - made}


def _batches(jobs: Sequence[Job], size: int, parts: Parts) -> Iterator[Batch]:
    """The plan cut into batches once; of each, the jobs whose image is not there yet."""
    waiting = iter(jobs)
    for number, batch in enumerate(iter(lambda: list(islice(waiting, size)), [])):
        missing = set(parts.missing([job.sample.id for job in batch]))
        if missing:
            yield Batch(number, tuple(job for job in batch if job.sample.id in missing))


def _make(
    stage: Generator, todo: Sequence[Batch], parts: Parts, pixels: Pixels, device: str, progress: Progress
) -> None:
    total = sum(len(batch.jobs) for batch in todo)
    progress.say(f"{stage.name}: loading the model")
    studio = stage.open(device)
    maker = maker_of(stage, studio.facts)

    def load(batch: Batch) -> tuple[Batch, list[Loaded], dict[str, str]]:
        return batch, *_load(batch, pixels)

    def work(loaded: tuple[Batch, list[Loaded], dict[str, str]]) -> tuple[Batch, dict[str, Any]]:
        batch, ready, problems = loaded
        made: dict[str, Any] = dict(problems)
        if ready:
            padded = ready + [ready[-1]] * (stage.batch - len(ready))
            pictures = studio.make(padded)[: len(ready)]
            made |= {item.job.sample.id: picture for item, picture in zip(ready, pictures, strict=True)}
        return batch, made

    with progress.bar(stage.name, total) as bar, parts.writing() as writer:

        def save(result: tuple[Batch, dict[str, Any]]) -> None:
            batch, made = result
            rows = [_row(job, made[job.sample.id], maker, batch.number, slot) for slot, job in enumerate(batch.jobs)]
            writer.add(rows, sum(len(row["image"]) for row in rows))
            bar.advance(len(rows))

        flow(todo, load, work, save)


def _load(batch: Batch, pixels: Pixels) -> tuple[list[Loaded], dict[str, str]]:
    """The jobs with their parents' pixels, and for the others why they cannot be made."""
    ready, problems = [], {}
    for job in batch.jobs:
        try:
            ready.append(Loaded(job, tuple(images.decode(pixels.bytes_of(parent)) for parent in job.parents)))
        except BadImage as error:
            problems[job.sample.id] = f"a parent cannot be read: {error.message}"
    return ready, problems


def _row(job: Job, made: NDArray[np.float32] | str, maker: str, batch: int, slot: int) -> dict[str, Any]:
    row: dict[str, Any] = {"id": job.sample.id, "maker": maker, "batch": batch, "slot": slot}
    problem = made if isinstance(made, str) else degenerate(made)
    if problem or isinstance(made, str):
        return {**row, "image": b"", "digest": "", "width": 0, "height": 0, "problem": problem}
    height, width = made.shape[:2]
    data = images.encode_png(Image.fromarray(np.rint(made * 255.0).clip(0, 255).astype(np.uint8)))
    return {**row, "image": data, "digest": images.digest(data), "width": width, "height": height, "problem": ""}


def degenerate(picture: NDArray[np.float32]) -> str:
    """Why a picture (h, w, 3) in [0, 1] is none: NaN or infinite values, or one constant colour; else ""."""
    if not np.isfinite(picture).all():
        return "the model returned NaN or infinite pixels"
    spread = picture.max(axis=(0, 1)) - picture.min(axis=(0, 1))
    return "the model returned a constant picture" if float(spread.max()) < 1 / 255 else ""


def maker_of(stage: Generator, facts: Mapping[str, Any]) -> str:
    """What all images of one call share, as JSON: generator, options, model, device, precision, versions."""
    hidden = stage.decides - {"batch"}
    options = {name: value for name, value in stage.options().items() if name.replace("-", "_") not in hidden}
    return canonical({"generator": stage.name, "generator-version": stage.version, **options, **facts})


def finished(jobs: Sequence[Job], parts: Parts, name: str) -> Iterator[Sample]:
    """The planned samples with what became of them."""
    columns = [column for column in MADE.names if column != "image"]
    rows = parts.rows([job.sample.id for job in jobs], columns)
    for planned, row in zip((job.sample for job in jobs), rows, strict=True):
        problem = row["problem"] or None
        yield replace(
            planned,
            digest=row["digest"],
            width=row["width"],
            height=row["height"],
            ref=f"made:{name}",
            draws={**planned.draws, "batch-number": row["batch"], "slot": row["slot"]},
            maker=row["maker"],
            kept=problem is None,
            dropped=problem,
            dropped_by=planned.stage if problem else None,
        )
