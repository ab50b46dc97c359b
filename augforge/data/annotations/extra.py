"""The columns that a source has beyond what augforge knows: carried along unchanged, with their Arrow types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from augforge.data.annotations.base import Kind, Size


class Extra(Kind):
    """Other columns by their names, each `{"type": "int64", "value": 3}`; `type` as `str(pyarrow.DataType)`."""

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
        return {name: _feature(next(iter(kinds)) if len(kinds) == 1 else "string") for name, kinds in types.items()}

    def cell(self, value: Any, feature: Any, classes: Sequence[str]) -> Any:
        """The values of all columns."""
        return {name: (value[name]["value"] if name in value else None) for name in feature}

    def value(self, cell: Any, feature: Any, classes: Sequence[str]) -> Any:
        """The columns that are not empty, with their types."""
        if cell is None:
            return None
        return {n: {"type": _type(feature[n]), "value": each} for n, each in cell.items() if each is not None} or None

    def described(self, value: Any) -> str:
        """The names of the columns."""
        return ", ".join(value)


def _feature(kind: str) -> Any:
    """The feature of an Arrow type, by its name."""
    from datasets import List, Value

    if kind.startswith("list<") and kind.endswith(">"):
        return List(_feature(kind[5:-1].partition(": ")[2]))
    return Value(kind)


def _type(feature: Any) -> str:
    """The name of the Arrow type of a feature."""
    inner = getattr(feature, "feature", None)
    return str(feature.dtype) if inner is None else f"list<item: {_type(inner)}>"
