"""The size of the picture that annotations are for, as their file says it, beside the size that the picture has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from augforge.data.annotations import KINDS
from augforge.data.ids import key
from augforge.data.images import TURNED, Facts
from augforge.io.base import Entry
from augforge.io.own import without
from augforge.io.wrapped import Wrapped

if TYPE_CHECKING:
    from augforge.io.understood import Understood

WidthHeight = tuple[int, int]
FOR = "the annotations are for "
"""What the note on an image of another size begins with."""
ADVICE = (
    "bring the pictures or their annotations to one size; in a recipe, a source with sizes: false takes the "
    "annotations as they are"
)
LONGEST = 20
"""Characters of the longest number that is read."""


def said_size(width: Any, height: Any) -> WidthHeight | None:
    """A width and a height as files write them, in px; None where they say nothing, such as 0 x 0."""
    sides = _side(width), _side(height)
    return None if None in sides else sides  # type: ignore[return-value]  # neither is None


def _side(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)) or len(str(value)) > LONGEST:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return int(number) if number > 0 and number.is_integer() else None


def fitting(annotations: Mapping[str, Any], size: WidthHeight | None, facts: Facts) -> tuple[Mapping[str, Any], str]:
    """The annotations of an image less those that have a place in it, if they are for another `size`; and a note.

    Nobody can tell whether the picture was scaled or cut since. The size of a picture before it is turned upright, as
    its EXIF data say, is one that it may have: coordinates are of the upright picture all the same.
    """
    placed = [name for name, value in annotations.items() if value and KINDS[name].placed]
    if size is None or size == (facts.width, facts.height) or not placed:
        return annotations, ""
    shown = f"{size[0]}x{size[1]}"
    if size == (facts.height, facts.width) and TURNED in facts.note:
        return annotations, f"{FOR}{shown} px, the size of the picture before it is turned; they are read as upright"
    why = f"{FOR}{shown} px, the picture has {facts.width}x{facts.height}: {' and '.join(placed)} left out"
    return without(annotations, placed), why


def is_left_out(note: str) -> bool:
    """Whether the note on an image says that annotations are left out for their size."""
    return FOR in note and "px, the picture has " in note


class AnySize(Wrapped):
    """A source whose annotations fit its pictures, whatever size their file says."""

    def entries(self) -> Iterator[Entry]:
        """The entries of the source, of no size."""
        yield from (replace(entry, size=None) for entry in self._source.entries())

    def fingerprint(self) -> str:
        """That of the source, and that sizes do not count."""
        return key("any size", self._source.fingerprint())

    def notes(self, told: Understood) -> Iterator[str]:
        """As the source."""
        yield from self._source.notes(told)
