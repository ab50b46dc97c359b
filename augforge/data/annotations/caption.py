"""A caption: a text that describes the image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from augforge.data.annotations.base import Kind, Size


class Caption(Kind):
    """A text."""

    name: ClassVar[str] = "caption"

    def checked(self, value: Any, size: Size) -> tuple[Any, list[str]]:
        """A text that is not empty."""
        if isinstance(value, str):
            return value or None, []
        return None, [f"caption: {value!r} is no text"]

    def counts(self, value: Any, size: Size | None = None) -> Mapping[str, int]:
        """One."""
        return {"caption": int(bool(value))}

    def feature(self, values: Iterable[Any], classes: Sequence[str]) -> Any:
        """A text."""
        from datasets import Value

        return Value("string")
