"""Where the encoded bytes of every sample of a run are: in its sources, or among what it made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from augforge.data import images
from augforge.data.ledger import CHUNK, Indices, Ledger
from augforge.data.parts import Parts
from augforge.data.sample import Sample
from augforge.errors import BadImage
from augforge.io.base import Source
from augforge.recipe import SourceSpec


class Located(NamedTuple):
    """As much of a sample as it takes to find its bytes; a tenth of it, where millions are handed out."""

    id: str
    digest: str
    ref: str


def located(ledger: Ledger, indices: Indices) -> Iterator[Located]:
    """The samples at `indices`, one after the other."""
    for start in range(0, len(indices), CHUNK):
        part = indices[start : start + CHUNK]
        columns = (ledger.column(name, part) for name in Located._fields)
        yield from map(Located._make, zip(*columns, strict=True))


class Pixels:
    """Finds the encoded bytes of any sample and of its pictures: in its source, or in this run's parts."""

    def __init__(self, sources: Sequence[Source], specs: Sequence[SourceSpec] = ()) -> None:
        self.sources, self.specs = sources, tuple(specs)
        self.generated: dict[str, Parts] = {}
        """The parts in which generated images lie, by their names; and others that a work reads."""

    def bytes_of(self, sample: Sample | Located) -> bytes:
        """The exact encoded bytes; BadImage if they are gone or are no longer the ones that were hashed."""
        place, _, locator = sample.ref.partition(":")
        if place == "generated":
            data = bytes(self.generated[locator].row(sample.id)["image"])
        else:
            data = self.sources[int(place)].read(locator)
        if sample.digest and images.digest(data) != sample.digest:
            raise BadImage("the file changed while the run was under way, or is damaged", "run again")
        return data

    def picture_of(self, sample: Sample, name: str) -> bytes:
        """The exact encoded bytes of a picture that goes with it; BadImage as `bytes_of`, and if it has none."""
        if name not in sample.pictures:
            raise BadImage(f"it has no {name}")
        place, _, locator = sample.ref.partition(":")
        if place == "generated":
            data = bytes(dict(self.generated[locator].row(sample.id)["companions"])[name])
        else:
            data = self.sources[int(place)].read_picture(locator, name)
        if images.digest(data) != sample.pictures[name]:
            raise BadImage(f"its {name} changed while the run was under way, or is damaged", "run again")
        return data

    def column(self, refs: Sequence[str], name: str) -> list[Sequence[float] | None]:
        """(n,) the numbers in a column of the sources for the samples with `refs` (n,), None where there are none."""
        places: dict[str, list[int]] = defaultdict(list)
        for place, ref in enumerate(refs):
            places[ref.partition(":")[0]].append(place)
        found: list[Sequence[float] | None] = [None] * len(refs)
        for number in places.keys() - {"generated"}:
            locators = [refs[place].partition(":")[2] for place in places[number]]
            values = self.sources[int(number)].numbers(locators, name)
            for place, value in zip(places[number], values, strict=True):
                found[place] = value
        return found
