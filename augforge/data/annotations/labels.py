"""Several labels of one image, and a distribution over the classes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from augforge.data.annotations.base import Kind, Size, class_cell, class_feature, class_of, number

SUM_TOLERANCE = 1e-3
"""How far the sum of a distribution may be from 1: what float16 leaves of a thousand classes."""


class Labels(Kind):
    """Several classes: a list of different texts, [] where it is known that there is none."""

    name: ClassVar[str] = "labels"

    def checked(self, value: Any, size: Size) -> tuple[Any, list[str]]:
        """A list of texts; those that come twice are kept once."""
        if not isinstance(value, (list, tuple)):
            return None, [f"labels: {value!r} is no list"]
        good = [label for label in value if isinstance(label, str)]
        wrong = [f"labels: {label!r} is no text" for label in value if not isinstance(label, str)]
        return list(dict.fromkeys(good)), wrong

    def feature(self, values: Iterable[Any], classes: Sequence[str]) -> Any:
        """A list of class labels."""
        from datasets import List

        return List(class_feature((label for value in values for label in value), classes))

    def cell(self, value: Any, feature: Any, classes: Sequence[str]) -> Any:
        """The numbers of the classes."""
        return [class_cell(label, feature.feature) for label in value]

    def value(self, cell: Any, feature: Any, classes: Sequence[str]) -> Any:
        """The classes of the numbers."""
        return None if cell is None else [class_of(each, feature.feature) for each in cell]

    def described(self, value: Any) -> str:
        """The classes."""
        return ", ".join(value) or "none"


class SoftLabel(Kind):
    """A distribution over the classes: the share of each, of those with a share above 0. The shares sum to 1."""

    name: ClassVar[str] = "soft_label"

    def checked(self, value: Any, size: Size) -> tuple[Any, list[str]]:
        """Shares of at least 0 that sum to 1 within `SUM_TOLERANCE`; as they are, not rescaled."""
        if not isinstance(value, dict) or not value:
            return None, [f"soft_label: {value!r} is no distribution"]
        known = {str(label): found for label, share in value.items() if (found := number(share)) is not None}
        if len(known) < len(value) or min(known.values()) < 0:
            return None, ["soft_label: a share is negative or no number"]
        total = math.fsum(known.values())
        if abs(total - 1) > SUM_TOLERANCE:
            return None, [f"soft_label: the shares sum to {total:g}, not 1"]
        return {label: share for label, share in known.items() if share}, []

    def feature(self, values: Iterable[Any], classes: Sequence[str]) -> Any:
        """A list of floats, one for each class of the dataset."""
        from datasets import List, Value

        return List(Value("float64"), length=len(classes))

    def cell(self, value: Any, feature: Any, classes: Sequence[str]) -> Any:
        """(classes,) the share of each class."""
        return [value.get(label, 0.0) for label in classes]

    def value(self, cell: Any, feature: Any, classes: Sequence[str]) -> Any:
        """The shares above 0, by class."""
        return None if cell is None else {label: share for label, share in zip(classes, cell, strict=True) if share}

    def described(self, value: Any) -> str:
        """The classes with their shares, the largest first."""
        ordered = sorted(value.items(), key=lambda item: -item[1])
        return ", ".join(f"{label} {share:.3g}" for label, share in ordered)
