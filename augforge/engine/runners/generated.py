"""What is stored of generated images: their rows, and the samples that these become."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from augforge.data import images
from augforge.data.annotations import dump_annotations, parse_annotations
from augforge.data.ids import canonical
from augforge.data.parts import Parts
from augforge.data.pictures import digests_of, dump_pictures, parse_pictures
from augforge.data.sample import Sample
from augforge.engine.pixels import Pixels
from augforge.errors import BadImage
from augforge.stages.generator import GeneratedImage, GenerationInput, Generator, Job

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
