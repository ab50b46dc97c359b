"""Looking into the files of sources, the first work of a run; what filters measure of pixels is done on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from augforge.data.bundle import addressed
from augforge.engine.facts import EMPTY, Opened, opened_facts
from augforge.engine.pixels import Pixels
from augforge.engine.rows import Glance, Look
from augforge.engine.work import Made, Maker, Refused, Rows, Work
from augforge.io.base import Entry, Source
from augforge.progress import Progress

TOGETHER = 1 << 18
"""Pixels of decoded images that are held at a time, so that they stay in the cache; one larger image is held alone."""
UNIT, LARGEST_UNIT, UNITS = 1024, 4096, 256
"""Images of a unit: more than the first where there are so many units of it, as each costs some writes to the disk."""


def unit_size(count: int) -> int:
    """How many of `count` images are a unit."""
    return min(LARGEST_UNIT, max(UNIT, count // UNITS))


@dataclass(frozen=True, slots=True)
class Found:
    """An entry of a source, with the key under which its facts are stored."""

    number: int
    entry: Entry
    key: str


@dataclass(frozen=True)
class Reading(Work[Found]):
    """Looking into every file: its digest and size, or what is wrong with it; and what `looks` see of the image.

    Rows are addressed to a bundle: the facts come first, then what each look sees.
    """

    looks: tuple[Look, ...] = ()
    per_unit: int = UNIT

    @property
    def title(self) -> str:  # type: ignore[override]  # read only
        """As `Work.title`."""
        return ", ".join(["read", *(look.title for look in self.looks)])

    def open(self, pixels: Pixels, device: str, progress: Progress) -> Maker:
        """As `Work.open`."""
        return _Reader(pixels.sources, self.looks)

    def name_of(self, item: Found) -> str:
        """As `Work.name_of`."""
        return item.key

    def lost(self, items: Sequence[Found], why: str) -> Made:
        """As `Work.lost`: bad images."""
        return Made(addressed(0, [{"key": each.key, **EMPTY, "problem": why} for each in items]))


class _Reader(Maker):
    def __init__(self, sources: Sequence[Source], looks: Sequence[Look]) -> None:
        self._sources, self._looks = sources, looks

    def load(self, batch: Sequence[Found]) -> Made:
        facts: Rows = []
        glances = [Glance(look) for look in self._looks]
        for some in self._opened(batch, facts):
            for glance in glances:
                for digest, opened in some:
                    glance.at(digest, opened)
        rows = addressed(0, facts)
        unjudged: dict[str, str] = {}
        for number, made in enumerate((glance.made() for glance in glances), 1):
            rows += addressed(number, made.rows)
            unjudged |= {f"{number}:{digest}": why for digest, why in made.refused.unjudged.items()}
        return Made(rows, refused=Refused(unjudged=unjudged))

    def _opened(self, batch: Sequence[Found], facts: Rows) -> Iterator[list[tuple[str, Opened]]]:
        """The images that can be used, by digest, as many small ones as are held at a time; notes the facts of all.

        All of these are decoded, then measured by one look, then by the next: so the code of each stays in the cache of
        the processor, which takes two thirds of the time of doing all with one image after the other.
        """
        some: list[tuple[str, Opened]] = []
        held = 0
        for each in batch:
            row, opened = opened_facts(self._sources[each.number], each.entry)
            facts.append({"key": each.key, **row})
            if opened is not None:
                some.append((row["digest"], opened))
                held += row["width"] * row["height"]
            if held >= TOGETHER:
                yield some
                some, held = [], 0
        yield some

    def rows(self, made: Made) -> Made:
        return made
