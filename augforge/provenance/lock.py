"""The lock of a recipe: everything that its result depends on, and what the result was, as text to be committed.

A lock has two halves. The causes: recipe, sources (file by file), models, versions of stages and libraries, device and
batches. The effects: rows per class, counts per stage, a digest of ids and sampled parameters, one of pixels, and
thumbnails of a few images. `augforge rebuild` compares both, so that it can say what drifted and why.
"""

from __future__ import annotations

import base64
import json
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from heapq import nsmallest
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from augforge import __version__
from augforge.data import images
from augforge.data.ids import canonical, key, unit
from augforge.data.ledger import Indices, Ledger
from augforge.data.pictures import identity_of
from augforge.data.sample import Sample
from augforge.data.texts import TextView
from augforge.errors import StoreError
from augforge.models import find_model, model_digest
from augforge.provenance.listing import listed_sources
from augforge.recipe import Recipe
from augforge.review.follow import review_digests
from augforge.stages.generator import Generator

Lock = dict[str, Any]

FORMAT = 2
NAME = "recipe.lock"
"""The lock of a run, in its folder."""
LISTED = 10_000
"""A source of more images is listed folder by folder instead of file by file."""
DIGITS = 10
"""Hex digits of an id, as far as a lock lists it."""
THUMBNAILS, SIDE = 64, 8
PLAN = ("batch-number", "slot")
"""Draws that say where in the batch plan an image was made, not what it is."""
LIBRARIES = ("augforge", "diffusers", "numpy", "open_clip_torch", "pillow", "torch", "transformers")
HEADER = "# What {name} depends on, and what came of it. Written by augforge; commit it beside the recipe.\n"


def lock_of(recipe: Recipe, ledger: Ledger, pixels: Any, work: Sequence[Mapping[str, Any]]) -> Lock:
    """The lock of a run that has just ended.

    Args:
        recipe: what was run.
        ledger: every sample, decided.
        pixels: finds the bytes of a sample, as `augforge.engine.ingest.Pixels`.
        work: a row for the source and each stage, with the counts `in` and `out`.
    """
    makers = _makers(ledger)
    return {
        "format": FORMAT,
        "augforge": __version__,
        "recipe": recipe.plain(),
        "sources": _sources(recipe, ledger),
        "models": _models(recipe),
        "stages": {row["stage"]: _stage(row, recipe, number, makers) for number, row in enumerate(work)},
        "environment": _environment(),
        **({"words": ledger.words} if ledger.words else {}),
        **({"review": review} if (review := review_digests(recipe.stages, recipe.folder)) else {}),
        "result": result_of(ledger),
        "kept-ids": _kept_ids(ledger),
        "thumbnails": dict(_thumbnails(ledger, pixels)),
    }


def result_of(ledger: Ledger) -> Lock:
    """The effects: counts, and digests of what every sample is and of every kept pixel."""
    real, synthetic = (ledger.class_counts(ledger.visible(origin)) for origin in ("real", "synthetic"))
    dropped = {stage: n for stage, n in ledger.coded("dropped_by").counts().items() if stage is not None}
    return {
        "kept": int(ledger.kept.sum()),
        "dropped": dict(sorted(dropped.items())),
        "classes": {label: {"real": real[label], "synthetic": synthetic[label]} for label in ledger.classes},
        "identity": _identity(ledger),
        "outcomes": key(ledger.each(("id", "kept", "dropped_by"), ledger.order_of_ids())),
        "pixels": _pixels(ledger),
    }


def _identity(ledger: Ledger) -> str:
    """A digest of ids, labels, splits, parents and sampled parameters in any order; of nothing that was measured."""
    rows = ledger.each(("id", "label", "split", "parents", "sampled_params"), ledger.order_of_ids())
    return key([*said, _without_plan(sampled_params)] for *said, sampled_params in rows)


def _kept_ids(ledger: Ledger) -> str:
    """The first digits of the kept samples' ids, sorted, as base64; "" of a large ledger."""
    if len(ledger) > LISTED:
        return ""
    kept = sorted(identity[:DIGITS] for identity in ledger.column("id", ledger.visible()))
    return base64.b64encode(bytes.fromhex("".join(kept))).decode()


def kept_ids(lock: Lock) -> set[str]:
    """The first digits of the ids of the samples that were kept; empty where the lock does not list them."""
    digits = base64.b64decode(lock.get("kept-ids", "")).hex()
    return {digits[start : start + DIGITS] for start in range(0, len(digits), DIGITS)}


def samples_of(lock: Lock) -> int:
    """How many samples the run saw: kept and dropped."""
    return int(lock["result"]["kept"] + sum(lock["result"]["dropped"].values()))


def _without_plan(sampled_params: str) -> str:
    """Draws as text, without the place in the batch plan."""
    if "batch-number" not in sampled_params:
        return sampled_params
    return canonical({name: value for name, value in json.loads(sampled_params).items() if name not in PLAN})


def _pixels(ledger: Ledger) -> str:
    """A digest of the bytes of every kept image and of what goes with it, whatever the order."""
    kept = ledger.visible()
    rows = ledger.each(("id", "digest", "pictures", "annotations"), kept[ledger.order_of_ids(kept)])
    return key([*own, identity_of(pictures), *([said] if said else [])] for *own, pictures, said in rows)


def _sources(recipe: Recipe, ledger: Ledger) -> list[Lock]:
    """For each source its images, and a digest of each; of a large source a digest of each folder."""
    return listed_sources(recipe, ledger, LISTED)


def _models(recipe: Recipe) -> Lock:
    """Every model that a stage names, by its digest; one that the recipe trains stands for what it is trained from."""
    found = {}
    for stage in recipe.stages:
        for name, task in stage.models():
            model = find_model(name, task)
            found[name] = {"digest": model_digest(model), "revision": model.revision, "licence": model.licence}
    return dict(sorted(found.items()))


def _stage(row: Mapping[str, Any], recipe: Recipe, number: int, makers: Mapping[str, list[Lock]]) -> Lock:
    """What is recorded of the source (number 0) or of a stage."""
    counts = {"in": row["in"], "out": row["out"]}
    if number == 0:
        return counts
    stage = recipe.stages[number - 1]
    made = {"made-with": makers.get(row["stage"], [])} if isinstance(stage, Generator) else {}
    return {"version": stage.version, **counts, **made}


def _makers(ledger: Ledger) -> dict[str, list[Lock]]:
    """Of every stage that makes images: on what they were made, in which batches, with which libraries."""
    wanted = ("device", "dtype", "threads", "batch", "versions")
    made = np.flatnonzero(~ledger.coded("generation_config").equal(None))
    counted = Counter(ledger.each(("stage", "generation_config"), made))
    found: dict[str, list[Lock]] = {}
    for (stage, generation_config), count in sorted(
        (pair, count) for pair, count in counted.items() if pair[1] is not None
    ):
        made = json.loads(generation_config)
        found.setdefault(stage, []).append({"images": count, **{name: made[name] for name in wanted if name in made}})
    return found


def _environment() -> Lock:
    """What a machine makes different: scores in their last bits, and bytes."""
    machine = {"python": platform.python_version(), "machine": platform.machine(), "processor": _processor()}
    return {**machine, "libraries": _libraries()}


def _processor() -> str:
    """The model of the processor, on which the order of floating-point sums depends; its kind where none is told."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _libraries() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _thumbnails(ledger: Ledger, pixels: Any) -> Iterator[tuple[str, str]]:
    """The mean colours of 8x8 blocks of some kept synthetic images, which a hash chooses, as base64."""
    for sample in chosen(ledger, ledger.visible("synthetic"), THUMBNAILS):
        yield sample.id, base64.b64encode(blocks(pixels.bytes_of(sample))).decode()


def chosen(ledger: Ledger, indices: Indices, count: int) -> list[Sample]:
    """`count` of the samples at `indices`, by a hash of their ids, in the order of their ids."""
    ids = TextView(ledger.texts("id", indices))
    first = nsmallest(count, range(len(ids)), key=lambda place: unit("thumbnail", ids[place]))
    return list(ledger.samples(indices[np.array(sorted(first, key=lambda place: ids[place]), dtype=np.int64)]))


def blocks(data: bytes) -> bytes:
    """(8 * 8 * 3,) mean colours of an encoded image, rounded to 8 bits."""
    from PIL.Image import Resampling

    return images.decode(data).resize((SIDE, SIDE), Resampling.BOX).tobytes()


def text_of(lock: Lock, name: str) -> str:
    """A lock as YAML, in a fixed order."""
    return HEADER.format(name=name) + yaml.safe_dump(lock, sort_keys=False, allow_unicode=True, width=1000)


def read_lock(path: Path) -> Lock:
    """The lock in a file.

    Raises:
        StoreError: it is missing, damaged, or of another format version.
    """
    try:
        lock = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except FileNotFoundError as error:
        raise StoreError(
            f"there is no {path}", "augforge lock RECIPE writes it; commit it beside the recipe"
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StoreError(
            f"{path} cannot be read: {str(error).splitlines()[0]}", "write it again: augforge lock"
        ) from error
    if not isinstance(lock, dict) or "format" not in lock:
        raise StoreError(f"{path} is no lock", "write it again: augforge lock RECIPE")
    if lock["format"] != FORMAT:
        raise StoreError(
            f"{path} is of format {lock['format']}, this augforge reads format {FORMAT}",
            "write it again: augforge lock",
        )
    try:
        _Shape.model_validate(lock)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise StoreError(
            f"{path} is no lock: {where} is missing or of another kind", "write it again: augforge lock"
        ) from None
    return lock


class _Model(BaseModel):
    digest: str
    revision: str | None


class _Source(BaseModel):
    source: dict[str, Any]
    images: int
    digest: str


class _Counts(BaseModel):
    out: int
    into: int = Field(alias="in")


class _Environment(BaseModel):
    libraries: dict[str, str]


class _Result(BaseModel):
    kept: int
    dropped: dict[str, int]
    classes: dict[str, dict[str, float]]
    identity: str
    outcomes: str
    pixels: str


class _Shape(BaseModel):
    """What must be in a lock to be compared."""

    model_config = ConfigDict(strict=True)

    recipe: dict[str, Any]
    sources: list[_Source]
    models: dict[str, _Model]
    stages: dict[str, _Counts]
    environment: _Environment
    result: _Result
    thumbnails: dict[str, str]


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
