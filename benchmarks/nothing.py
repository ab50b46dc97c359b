"""Work that costs nothing, in a module of its own, so that workers can be given it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from augforge.engine.pixels import Pixels
from augforge.engine.work import Made, Maker, Work
from augforge.progress import Progress


@dataclass(frozen=True)
class Nothing(Work[int]):
    """Work that costs nothing."""

    title: str = "nothing"
    per_unit: int = 1

    def open(self, pixels: Pixels, device: str, progress: Progress) -> Maker:
        """As `Work.open`."""
        return _Nothing()

    def name_of(self, item: int) -> str:
        """As `Work.name_of`."""
        return str(item)

    def lost(self, items: Sequence[int], why: str) -> Made:
        """As `Work.lost`."""
        raise AssertionError(why)


class _Nothing(Maker):
    def rows(self, made: Any) -> Made:
        return Made([])
