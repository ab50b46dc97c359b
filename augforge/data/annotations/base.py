"""What every kind of annotation offers. A kind is one file, and one line in the table of `augforge.data.annotations`.

A value is JSON: what a reader gives, what the ledger holds, and what a writer gets. Coordinates are pixels of the
upright image: x to the right, y down, (0, 0) the upper left corner of the upper left pixel, so that its centre is
(0.5, 0.5).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Size = tuple[int, int]
"""Height and width in px."""
RELATIVE = "relative"
"""The key, true, of a box or instance whose coordinates a reader gives as shares of the width and the height."""
DIGITS = Context(prec=60)
"""What shares are reckoned with: no bit of a coordinate is lost."""


class PointMap(Protocol):
    """Where the points of an image go when it is moved."""

    before: Size
    """The size of the image before."""
    after: Size
    """The size of the image after."""
    lines: Literal["straight", "smooth", "cut"]
    """What becomes of a straight line: it stays straight, it bends, or it may be cut into pieces."""
    mirrored: bool
    """Whether left and right have changed places."""

    def points(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 2) where the points `xy` (n, 2) went; perhaps outside."""

    def label_map(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(h', w') a label map (h, w) moved, of the nearest pixels; 0 outside."""


class Kind(ABC):
    """A kind of annotation, by the name that it has in the ledger and in the dataset."""

    name: ClassVar[str]
    placed: ClassVar[bool] = False
    """Whether its values have places in the image."""

    @abstractmethod
    def checked(self, value: Any, size: Size) -> tuple[Any, list[str]]:
        """The part of a value that can be used (None: nothing of it) on an image of `size`, and what is wrong with the
        rest: a text for each part that is left out or was changed.
        """

    def moved(self, value: Any, point_map: PointMap, min_visibility: float) -> Any:
        """The value after the image was moved; None if nothing is left. What has no place in the image stays."""
        return value

    @abstractmethod
    def feature(self, values: Iterable[Any], classes: Sequence[str]) -> Any:
        """The feature of `datasets` for a column with these `values`, of a dataset with these `classes`."""

    def cell(self, value: Any, feature: Any, classes: Sequence[str]) -> Any:
        """A value as a cell of such a column, of a dataset with these `classes`."""
        return value

    def value(self, cell: Any, feature: Any, classes: Sequence[str]) -> Any:
        """The value of such a cell, None if it is empty: what `cell` made of it, taken back."""
        return cell

    def counts(self, value: Any, size: Size | None = None) -> Mapping[str, int]:
        """How many things an unchecked value tells of, such as {"box": 3}; by their names for people.

        The first are those that can be used, as far as that is known without the picture, of which `size` is said.
        """
        return {}

    def described(self, value: Any) -> str:
        """The value in a few words, for people."""
        return str(value)


def each_checked(
    value: Any, name: str, one_word: str, check: Callable[[Any], tuple[Any, str]]
) -> tuple[list[Any] | None, list[str]]:
    """What `check` finds usable (None: nothing) of each thing in a list of the kind `name`, and what is wrong."""
    if not isinstance(value, (list, tuple)):
        return None, [f"{name}: {value!r} is no list"]
    found = [check(one) for one in value]
    wrong = [f"{one_word} {place}: {problem}" for place, (_, problem) in enumerate(found) if problem]
    return [usable for usable, _ in found if usable is not None], wrong


def number(value: Any) -> float | None:
    """A finite number as a float; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if value == value and abs(value) != float("inf") else None


def finite(value: Any) -> Any:
    """A JSON value without NaN and infinite numbers: null stands for them, as in other writers of JSON."""
    if isinstance(value, dict):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def in_pixels(shares: Any, size: Size) -> Any:
    """Shares (x, y, x, y, ...) of an image's width and height in px, each rounded once; what is none stays as it is.

    A share is a number, or the text of one that a float cannot hold.
    """
    if not isinstance(shares, (list, tuple)):
        return shares
    return [_in_pixels(share, size[1 - place % 2]) for place, share in enumerate(shares)]


def _in_pixels(share: Any, side: int) -> Any:
    try:
        return float(DIGITS.multiply(Decimal(share), Decimal(side)))
    except (InvalidOperation, TypeError, ValueError, OverflowError):
        return share


def fields_of(things: Iterable[Mapping[str, Any]]) -> tuple[set[str], list[str]]:
    """The keys that occur in some things, and their different labels in the order in which they are met. One pass."""
    names: set[str] = set()
    labels: dict[str, None] = {}
    for thing in things:
        names.update(thing)
        if thing.get("label") is not None:
            labels[thing["label"]] = None
    return names, list(labels)


def class_feature(met: Iterable[str], classes: Sequence[str]) -> Any:
    """A `ClassLabel` of the dataset's classes, and of labels that are none of them after these."""
    from datasets import ClassLabel, Value

    names = list(dict.fromkeys([*classes, *met]))
    return ClassLabel(names=names) if names else Value("string")


def class_cell(label: str | None, feature: Any) -> int | str | None:
    """A label as a cell of a `class_feature`."""
    return feature.str2int(label) if label is not None and hasattr(feature, "str2int") else label


def class_of(cell: int | str | None, feature: Any) -> str | None:
    """The label of a cell."""
    if isinstance(cell, int):
        return str(feature.int2str(cell))
    return cell
