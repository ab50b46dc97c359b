"""A source for tests that says exactly what a test gives it: images by number, with any annotations."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from augforge.data import images as data_images
from augforge.io import Entry, Source

SIZE = (24, 40)
"""Height and width in px of every picture."""


def picture(number: int) -> bytes:
    """A random picture."""
    out = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


class Given(Source):
    """What `contents` has under a name: (label, split, annotations) of every picture, numbered from 0."""

    contents: ClassVar[dict[str, Sequence[tuple[str | None, str | None, dict[str, Any]]]]] = {}

    def __init__(self, value: str) -> None:
        self.where, self._rows = f"given {value}", self.contents[value]

    def classes(self) -> list[str]:
        """The labels, in the order in which they are met."""
        return list(dict.fromkeys(label for label, _, _ in self._rows if label is not None))

    def entries(self) -> Iterator[Entry]:
        """Row by row."""
        for number, (label, split, said) in enumerate(self._rows):
            yield Entry(str(number), label, split, data_images.digest(repr(said).encode()), annotations=said)

    def read(self, locator: str) -> bytes:
        """The picture of the row's number."""
        return picture(int(locator))
