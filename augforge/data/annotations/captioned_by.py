"""Who wrote the caption of an image, where it was no source: the stage, its model, and what that was asked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from augforge.data.annotations.base import Kind, Size


class CaptionedBy(Kind):
    """A mapping of texts, such as `{"stage": "1-caption-vlm", "model": ..., "digest": ..., "prompt": ...}`."""

    name: ClassVar[str] = "captioned_by"

    def checked(self, value: Any, size: Size) -> tuple[Any, list[str]]:
        """A mapping of texts that is not empty."""
        if isinstance(value, dict) and all(isinstance(text, str) for text in (*value, *value.values())):
            return value or None, []
        return None, [f"captioned_by: {value!r} is no mapping of texts"]

    def feature(self, values: Iterable[Any], classes: Sequence[str]) -> Any:
        """A text."""
        from datasets import Value

        return Value("string")

    def cell(self, value: Any, feature: Any, classes: Sequence[str]) -> str:
        """As JSON."""
        return json.dumps(value, sort_keys=True, ensure_ascii=False)

    def value(self, cell: Any, feature: Any, classes: Sequence[str]) -> Any:
        """The mapping of such a text."""
        return json.loads(cell) if cell else None

    def described(self, value: Mapping[str, str]) -> str:
        """The stage, the model with the first digits of its digest, and the words that it was asked."""
        model = f" by {value['model']} (weights {value.get('digest', '')[:12]})" if "model" in value else ""
        asked = f", asked {value['prompt']!r}" if value.get("prompt") else ""
        return f"{value.get('stage', 'nobody knows whom')}{model}{asked}"
