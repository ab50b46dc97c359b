"""The columns that a source has beyond what augforge knows: carried along unchanged, with their Arrow types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from augforge.data.annotations.arrow_values import feature_of, from_json, name_of, to_json
from augforge.data.annotations.base import Kind, Size


class Extra(Kind):
    """Other columns by their names, each `{"type": "int64", "value": 3}`; see `arrow_values` for types and values."""

    name: ClassVar[str] = "extra"

    def checked(self, value: Any, size: Size) -> tuple[Any, list[str]]:
        """A mapping; empty ones are nothing."""
        if isinstance(value, dict):
            return value or None, []
        return None, [f"extra: {value!r} is no mapping"]

    def feature(self, values: Iterable[Any], classes: Sequence[str]) -> Any:
        """A struct of the columns; one that has several types is text."""
        types: dict[str, set[str]] = {}
        for value in values:
            for name, one in value.items():
                types.setdefault(name, set()).add(one["type"])
        return {name: feature_of(next(iter(kinds)) if len(kinds) == 1 else "string") for name, kinds in types.items()}

    def cell(self, value: Any, feature: Any, classes: Sequence[str]) -> Any:
        """The values of all columns."""
        return {n: from_json(value[n]["value"] if n in value else None, name_of(feature[n])) for n in feature}

    def value(self, cell: Any, feature: Any, classes: Sequence[str]) -> Any:
        """The columns that are not empty, with their types."""
        if cell is None:
            return None
        there = {name: each for name, each in cell.items() if each is not None}
        return {n: {"type": name_of(feature[n]), "value": to_json(each)} for n, each in there.items()} or None

    def described(self, value: Any) -> str:
        """The names of the columns."""
        return ", ".join(value)
