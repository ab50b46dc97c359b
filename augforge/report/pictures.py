"""Find the bytes of any image of a finished run: in its dataset, in its parts, or in the sources."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from augforge.data import images
from augforge.data.key_index import KeyIndex
from augforge.data.pictures import parse_pictures
from augforge.errors import AugforgeError, BadImage, RemoteError, SourceError
from augforge.io import open_source
from augforge.io.base import Source
from augforge.io.run import Run
from augforge.recipe import Recipe, SourceSpec, load_recipe

REMOTE = "hub"
BY_HAND = "it is read from there if you name a recipe with this source yourself, with --recipe"


class Pictures:
    """The pictures of the run in `folder`. Whatever is gone, or is no longer what it was, is a BadImage.

    Whoever made the run has chosen its sources. So one that is not on this machine is not asked, unless it is among
    those that its user `trusts`: nothing is downloaded because somebody looks at a run.
    """

    def __init__(self, folder: Path, recipe: Recipe | None, trusts: Sequence[SourceSpec] = ()) -> None:
        self._folder, self._recipe, self._trusts = folder, recipe, trusts
        self._run = self._opened(lambda: Run(str(folder)))
        self._made: dict[str, _Made] = {}
        self._sources: dict[int, Source | None] = {}

    def image(self, row: Mapping[str, Any]) -> bytes:
        """The encoded bytes of the image of a ledger row (id, kept, ref, digest)."""
        return self._read(row, "image", row["digest"])

    def beside(self, row: Mapping[str, Any], name: str) -> bytes:
        """The encoded bytes of a picture that goes with it."""
        digests = parse_pictures(row["pictures"])
        if name not in digests:
            raise BadImage(f"it has no {name}")
        return self._read(row, name, digests[name])

    def _read(self, row: Mapping[str, Any], what: str, digest: str) -> bytes:
        data = self._bytes(row, what)
        if images.digest(data) != digest:
            raise BadImage("the file has changed since the run")
        return data

    def _bytes(self, row: Mapping[str, Any], what: str) -> bytes:
        place, _, locator = (row["ref"] or "").partition(":")
        if row["kept"] and self._run is not None:
            return _of_source(self._run, row["id"], what)
        if place == "generated":
            return self._of_parts(locator, row["id"], what)
        source = self._source(int(place)) if place.isdecimal() else None
        if source is None:
            raise BadImage("its source is out of reach")
        return _of_source(source, locator, what)

    def _of_parts(self, name: str, identity: str, what: str) -> bytes:
        if Path(name).name != name:
            raise BadImage("the part that held it is none of this run")
        if name not in self._made:
            self._made[name] = _Made(self._folder / "parts" / name)
        cell = self._made[name].cell(identity, "image" if what == "image" else "companions")
        cell = cell if what == "image" else dict(cell or ()).get(what)
        if not cell:
            raise BadImage("the part that held it is gone")
        return bytes(cell)

    def _source(self, number: int) -> Source | None:
        if number not in self._sources:
            specs = () if self._recipe is None else self._recipe.sources
            spec = specs[number] if number < len(specs) else None
            if spec is not None and is_elsewhere(spec) and spec not in self._trusts:
                raise BadImage(f"its source is not on this machine: {spec.kind} {spec.value}", BY_HAND)
            self._sources[number] = (
                None if spec is None else self._opened(lambda: open_source(spec.kind, spec.value, **spec.options))
            )
        return self._sources[number]

    @staticmethod
    def _opened(how: Any) -> Any:
        """What `how` opens; None where it is gone: then its images are shown as missing."""
        try:
            return how()
        except AugforgeError:
            return None


def is_elsewhere(spec: SourceSpec) -> bool:
    """Whether a source, or something that one of its options names, is not on this machine's disk."""
    texts = [spec.value, *(value for value in spec.options.values() if isinstance(value, str))]
    return spec.kind == REMOTE or any("://" in re.sub(r"(?i)\bfile://", "", text) for text in texts)


def sources_named_in(recipe: Path | None) -> tuple[SourceSpec, ...]:
    """The sources of a recipe that a user has named: these are trusted. () where there is none that can be read."""
    with suppress(AugforgeError):
        return () if recipe is None else load_recipe(recipe).sources
    return ()


def _of_source(source: Source, locator: str, what: str) -> bytes:
    try:
        return source.read(locator) if what == "image" else source.read_picture(locator, what)
    except BadImage:
        raise
    except (SourceError, RemoteError, OSError) as error:
        raise BadImage("its source is out of reach") from error


class _Made:
    """The images that lie in a folder of parts, found by their ids; the files are mapped, not read."""

    def __init__(self, folder: Path) -> None:
        self._tables: list[pa.Table] = []
        for path in sorted(folder.glob("*.arrow")):
            with suppress(pa.ArrowException, OSError):  # damaged: the next run makes it again, here images are missing
                self._tables.append(pa.ipc.open_file(pa.memory_map(str(path))).read_all())
        self._starts = np.cumsum([0, *map(len, self._tables)])
        self._index = KeyIndex([table.column("id") for table in self._tables])

    def cell(self, identity: str, column: str) -> Any:
        """What a column has of an image; None of one that is not there."""
        (row,) = self._index.find([identity]).tolist()
        if row < 0:
            return None
        number = int(np.searchsorted(self._starts, row, "right")) - 1
        return self._tables[number].column(column)[row - int(self._starts[number])].as_py()
