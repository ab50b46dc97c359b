"""A run folder opened to be looked at: its ledger, the order of its stages, and the bytes of all its images."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path

import pyarrow.parquet as pq

from augforge.data import images
from augforge.data.ledger import Ledger
from augforge.data.parts import Parts
from augforge.data.places import folder_to_read
from augforge.data.record import no_run
from augforge.data.sample import Sample
from augforge.data.store import Store
from augforge.engine.ingest import read_sources
from augforge.engine.pixels import Located
from augforge.engine.runners.generated import GENERATED
from augforge.errors import BadImage, SourceError, StoreError
from augforge.io import Source, open_source
from augforge.io.run import Run
from augforge.progress import Progress
from augforge.provenance.chain import circle, said
from augforge.recipe import Recipe, load_recipe
from augforge.recipe.looked_at import settled
from augforge.remote.places import path_of
from augforge.stages.generator import Generator
from augforge.stages.stage import Stage

GONE = "its bytes are gone: the run keeps what it dropped in parts/"


class RunFolder:
    """A finished run and, through its sources, the runs that it goes on from.

    It is where bytes come from, as `augforge.engine.pixels.Pixels`: kept images lie in the dataset, made ones that were
    dropped in the parts, others in the sources.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "recipe.yaml").is_file():
            error = no_run(folder)
            raise SourceError(error.message, error.hint)
        self.folder = folder
        self.run = Run(str(folder))
        self._parts: dict[str, Parts] = {}

    def ledger(self, store: Store, progress: Progress) -> Ledger:
        """Every sample of the run, dropped ones too."""
        ledger, _ = read_sources([self.run], store, progress)
        return ledger

    @cached_property
    def recipe(self) -> Recipe:
        """What was run."""
        return load_recipe(self.folder / "recipe.yaml")

    def stages(self) -> list[tuple[str, Stage]]:
        """Every stage with its title, in order; those of the runs that this one goes on from come first."""
        return [(title, stage) for title, stage, _ in self.located_stages()]

    def located_stages(self) -> list[tuple[str, Stage, RunFolder]]:
        """The same, each with the run whose recipe has it."""
        found: list[tuple[str, Stage, RunFolder]] = []
        for folder in self._chain():
            synthetic = any(isinstance(stage, Generator) for _, stage, _ in found)
            stages = settled(folder.recipe.stages, synthetic)
            found += [(title, stage, folder) for title, stage in zip(folder.recipe.titles(), stages, strict=True)]
        return found

    def _chain(self) -> list[RunFolder]:
        """The runs that this one goes on from, those of its first source first, each after its own; this one last.

        StoreError where they go in a circle, so that there is no order.
        """
        if found := circle(self.folder):
            raise StoreError(f"{said(found)}: there is no order of their stages", "make one of them again, from others")
        waiting, reverse = [self], list[RunFolder]()
        while waiting:
            reverse.append(waiting.pop())
            waiting += reverse[-1].earlier()
        return reverse[::-1]

    def earlier(self) -> list[RunFolder]:
        """The runs that are its sources."""
        values = [spec.value for spec in self.recipe.sources if spec.kind == "run"]
        return [self._earlier(value) for value in values if (path_of(value) / "recipe.yaml").is_file()]

    def bytes_of(self, sample: Sample | Located) -> bytes:
        """The exact encoded bytes; BadImage where they cannot be had."""
        data = self.run.read(sample.id) if self.run.keeps(sample.id) else self.dropped(sample.id)
        if sample.digest and images.digest(data) != sample.digest:
            raise BadImage("the file is no longer the one that the run saw")
        return data

    def picture_of(self, sample: Sample, name: str) -> bytes:
        """The exact encoded bytes of a picture that goes with it; BadImage as `bytes_of`, and if it has none."""
        if name not in sample.pictures:
            raise BadImage(f"it has no {name}")
        kept = self.run.keeps(sample.id)
        data = self.run.read_picture(sample.id, name) if kept else self.dropped(sample.id, name)
        if images.digest(data) != sample.pictures[name]:
            raise BadImage(f"its {name} is no longer the one that the run saw")
        return data

    def dropped(self, identity: str, picture: str = "") -> bytes:
        """The bytes of a sample that is not in the dataset, by its id; where it came from a run, from there or before.

        With `picture`, those of the picture of that name that goes with it. BadImage where no run before has them, or
        the runs go in a circle.
        """
        folder, met = self, set[str]()
        while (real := os.path.realpath(folder.folder)) not in met:
            met.add(real)
            found = folder.dropped_here(identity, picture)
            if isinstance(found, bytes):
                return found
            folder, identity = found
            with suppress(BadImage):
                return folder.run.read_picture(identity, picture) if picture else folder.run.read(identity)
        raise BadImage(GONE)

    def dropped_here(self, identity: str, picture: str = "") -> bytes | tuple[RunFolder, str]:
        """The bytes of a sample that this run dropped; or the run that is its source, and its locator there."""
        place, _, locator = self._refs.get(identity, "").partition(":")
        if place == "generated":
            return self._made(locator, identity, picture)
        if not place.isdigit() or int(place) >= len(self.recipe.sources):
            raise BadImage(GONE)
        spec = self.recipe.sources[int(place)]
        if spec.kind == "run":
            return self._earlier(spec.value), locator
        source = self._source(int(place))
        return source.read_picture(locator, picture) if picture else source.read(locator)

    def _made(self, name: str, identity: str, picture: str) -> bytes:
        if name not in self._parts:
            self._parts[name] = Store(self.folder).parts(name, GENERATED)
        try:
            row = self._parts[name].row(identity)
            return bytes(dict(row["companions"])[picture] if picture else row["image"])
        except KeyError:
            raise BadImage(GONE) from None

    @cached_property
    def _refs(self) -> dict[str, str]:
        """Where the bytes of each sample were, by id."""
        table = pq.read_table(self.folder / "samples.parquet", columns=["id", "ref"])
        return dict(zip(table["id"].to_pylist(), table["ref"].to_pylist(), strict=True))

    @cache  # noqa: B019 - a folder lives as long as its command
    def _source(self, number: int) -> Source:
        spec = self.recipe.sources[number]
        return open_source(spec.kind, spec.value, **spec.options)

    @cache  # noqa: B019 - a folder lives as long as its command
    def _earlier(self, folder: str) -> RunFolder:
        return RunFolder(folder_to_read(str(path_of(folder))))
