"""Make synthetic images again from their rows in the ledger alone: options, model, sampled parameters, parents."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from augforge.data import images
from augforge.data.annotations import dump_annotations
from augforge.data.ledger import Ledger
from augforge.data.pictures import digests_of
from augforge.data.places import folder_to_read
from augforge.data.sample import Sample
from augforge.data.store import Store
from augforge.engine.ingest import known_samples, open_sources
from augforge.engine.pixels import Pixels
from augforge.engine.runners.generated import GENERATED, companions, encoded
from augforge.engine.runners.train import trained_model
from augforge.errors import AugforgeError, BadImage, ModelError, StoreError
from augforge.io.run import Run
from augforge.models import Model, find_model, trained_models
from augforge.models.directory import read_record
from augforge.models.table import model_digest
from augforge.optional import installed
from augforge.recipe import Recipe, build_stage, load_recipe
from augforge.remote.places import path_of
from augforge.reproduce.alike import largest
from augforge.stages.catalog import stage_class
from augforge.stages.generator import GenerationInput, Generator, Job, like_parents
from augforge.stages.stage import kebab


@dataclass(frozen=True, slots=True)
class Remade:
    """One image that was made again: its PNG bytes, and how far it is from the one that was made first.

    `apart` is the largest difference of a value in 255ths: 0 where bytes are equal, NaN where the first one is gone.
    `annotations` are those of the image that was made again, as text.
    """

    sample: Sample
    data: bytes
    apart: float
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    annotations: str = ""

    @property
    def same_pictures(self) -> bool:
        """Whether the pictures that go with it are those of the ledger, to the byte."""
        return digests_of(self.pictures) == dict(self.sample.pictures)

    @property
    def equal(self) -> bool:
        """Whether image, pictures and annotations are those of the ledger, to the byte."""
        same = images.digest(self.data) == self.sample.digest and self.same_pictures
        return same and self.annotations == dump_annotations(self.sample.annotations)


class _AsItLies(Run):
    """A run whose ledger is read even where it is not the recorded one; `augforge verify` says what is wrong."""

    def check_sound(self) -> None:
        """Take it as it is."""


class Archive:
    """A finished run folder: its ledger, and the bytes of its samples, wherever they still are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._run = _AsItLies(str(folder))
        self.ledger: Ledger = known_samples([self._run], Store(folder))[0]
        self._refs = _refs(folder)
        self._before: dict[int, Archive] = {}

    def bytes_of(self, sample: Sample, what: str = "image") -> bytes:
        """The bytes of an image, or of a picture that goes with it, by its name: from the dataset, from the source, or
        from what the run made.

        Raises:
            BadImage: they are gone, or have another digest.
        """
        digest = sample.digest if what == "image" else sample.pictures.get(what, "")
        archive, met = self, set[str]()
        while (data := archive.own_bytes(sample, what)) is None:
            met.add(os.path.realpath(archive.folder))
            archive = archive.before(sample)
            if os.path.realpath(archive.folder) in met:
                raise BadImage(f"the {what} of {sample.id} is in none of the runs that it came through")
        if images.digest(data) != digest:
            raise BadImage(f"the {what} of {sample.id} has another digest than the ledger says")
        return data

    def own_bytes(self, sample: Sample, what: str) -> bytes | None:
        """The bytes as far as this run and its sources have them; None where the run that is its source must know."""
        with suppress(BadImage):
            return self._run.read(sample.id) if what == "image" else self._run.read_picture(sample.id, what)
        if self._place_before(sample) is not None:
            return None
        found = replace(sample, ref=self._refs.get(sample.id, ""))
        return self._pixels.bytes_of(found) if what == "image" else self._pixels.picture_of(found, what)

    def _place_before(self, sample: Sample) -> int | None:
        """Which of the sources a sample came from, if that is a run."""
        place = self._refs.get(sample.id, "").partition(":")[0]
        return int(place) if place.isdecimal() and self._recipe.sources[int(place)].kind == "run" else None

    @cached_property
    def _recipe(self) -> Recipe:
        return load_recipe(self.folder / "recipe.yaml")

    def before(self, sample: Sample) -> Archive:
        """The run that is the source of a sample: what it dropped may lie in its own sources."""
        place = self._place_before(sample)
        if place is None:
            raise BadImage(f"{sample.id} came from no run")
        if place not in self._before:
            self._before[place] = Archive(folder_to_read(str(path_of(self._recipe.sources[place].value))))
        return self._before[place]

    @cached_property
    def _pixels(self) -> Pixels:
        recipe = self._recipe
        pixels = Pixels(open_sources(recipe), recipe.sources)
        store = Store(self.folder)
        for place in sorted((self.folder / "parts").glob("generate-*")):
            pixels.generated[place.name] = store.parts(place.name, GENERATED)
        return pixels


def _refs(folder: Path) -> dict[str, str]:
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "samples.parquet", columns=["id", "ref"])
    return dict(zip(table.column("id").to_pylist(), table.column("ref").to_pylist(), strict=True))


def remake(archive: Archive, samples: Sequence[Sample], device: str = "auto") -> Iterator[Remade]:
    """Make `samples` again, one maker after the other, each in a batch of the size that it was made in.

    Raises:
        StoreError: a sample is not synthetic, or a parent is not in the ledger.
        ModelError: the model is not to be had, or is no longer the one that made them.
        BadImage: a parent's bytes are gone.
    """
    for sample in samples:
        if sample.generation_config is None:
            raise StoreError(f"{sample.id} is a real image: it was not made", "give the id of a synthetic one")
    for text in dict.fromkeys(str(sample.generation_config) for sample in samples):
        generation_config = json.loads(text)
        with trained_models(_trained_for(archive.folder, generation_config)):
            yield from _of_one_config(
                archive, [s for s in samples if s.generation_config == text], generation_config, device
            )


def _of_one_config(
    archive: Archive, samples: Sequence[Sample], generation_config: Mapping[str, Any], device: str
) -> Iterator[Remade]:
    stage = stage_of(generation_config)
    with _threads(generation_config):
        loaded = stage.load(device if device != "auto" else str(generation_config.get("device", "auto")))
        for group in _batches(archive, stage, samples):
            inputs = [_input(archive, stage, sample) for sample in group]
            padded = inputs + [inputs[-1]] * (int(stage.batch) - len(inputs))
            pictures = like_parents(inputs, loaded.generate(padded)[: len(inputs)])
            for sample, picture in zip(group, pictures, strict=True):
                if sample in samples:
                    data = encoded(picture)
                    said = dump_annotations(picture.annotations)
                    yield Remade(sample, data, _apart(archive, sample, data), picture.encoded_pictures(), said)


def _batches(archive: Archive, stage: Generator, samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    """The samples by batches; where images of a batch influence each other, with the others of theirs, in its order."""
    if not stage.batch_dependent:
        size = int(stage.batch)
        yield from (list(samples[start : start + size]) for start in range(0, len(samples), size))
        return
    made = np.array(archive.ledger.column("generation_config"), dtype=object) == samples[0].generation_config
    mates = list(archive.ledger.samples(np.flatnonzero(made)))
    for number in dict.fromkeys(sample.sampled_params["batch-number"] for sample in samples):
        batch = [mate for mate in mates if mate.sampled_params["batch-number"] == number]
        yield sorted(batch, key=lambda mate: int(mate.sampled_params["slot"]))


def stage_of(generation_config: Mapping[str, Any]) -> Generator:
    """The generator with the options that a `generation_config` records, its model being the one that it records.

    Raises:
        ModelError: the model is not to be had, or has another digest now.
    """
    cls = stage_class("generate", str(generation_config["generator"]))
    known = {kebab(name) for name in cls.model_fields}
    told = {**generation_config, **generation_config.get("asked", {})}
    options = {name: _option(value) for name, value in told.items() if name in known and value is not None}
    stage = build_stage("generate", str(generation_config["generator"]), options)
    if not isinstance(stage, Generator):
        raise TypeError(f"`{stage.verb}: {stage.name}` generates no images")
    for option, task in stage.tasks().items():
        recorded = generation_config.get(kebab(option))
        if isinstance(recorded, dict) and "digest" in recorded:
            _check_model(getattr(stage, option), task, str(recorded["digest"]))
    for recorded in generation_config.get("loras", ()):
        _check_model(recorded["name"], "lora", str(recorded["digest"]))
    return stage


def _option(told: Any) -> Any:
    """An option's value: of a model that is recorded with its digest, the name."""
    return told["name"] if isinstance(told, dict) and "digest" in told else told


def _check_model(name: str, task: str, digest: str) -> None:
    if model_digest(find_model(name, task)) != digest:
        raise ModelError(f"the model {name!r} has other weights now than those that made the image", "bring them back")


def _input(archive: Archive, stage: Generator, sample: Sample) -> GenerationInput:
    known = archive.ledger.by_id(sample.parents)
    missing = [parent for parent in sample.parents if parent not in known]
    if missing:
        raise StoreError(f"the parent {missing[0]} of {sample.id} is not in the ledger", "the run folder is not whole")
    parents = tuple(known[parent] for parent in sample.parents)
    pictures = tuple(images.decode(archive.bytes_of(parent)) for parent in parents)
    return GenerationInput(Job(sample, parents), pictures, companions(stage, parents, archive.bytes_of))


def why_not_reproducible(archive: Archive, sample: Sample) -> str:
    """Why a synthetic image cannot be made again for want of its parents; "" if they are all there."""
    known = archive.ledger.by_id(sample.parents)
    for parent in sample.parents:
        if parent not in known:
            return f"its parent {parent} is not in the ledger"
        try:
            archive.bytes_of(known[parent])
        except AugforgeError as error:
            return f"its parent {parent} is not to be had: {error.message}"
    return ""


def _apart(archive: Archive, sample: Sample, data: bytes) -> float:
    if images.digest(data) == sample.digest:
        return 0.0
    try:
        return largest(images.decode(archive.bytes_of(sample)), images.decode(data))
    except AugforgeError:
        return float("nan")


def _trained_for(folder: Path, generation_config: Mapping[str, Any]) -> dict[str, Model]:
    """The models that the run trained and that images of `generation_config` were made with, by name."""
    models = [*generation_config.values(), *generation_config.get("loras", ())]
    wanted = {m["digest"]: str(m["name"]) for m in models if isinstance(m, dict) and "digest" in m}
    found = {}
    for place in sorted((folder / "models").glob("*")):
        record = read_record(place)
        if record is not None and (name := wanted.get(record["identity"])) is not None:
            found[name] = trained_model(name, record["task"], record["identity"], place)
    return found


@contextmanager
def _threads(generation_config: Mapping[str, Any]) -> Iterator[None]:
    """As many threads of torch as the images were made with: their number changes low bits."""
    if not installed("torch"):  # then none of them was made with it
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(int(generation_config.get("threads", before)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
