"""Images of one mode and one size: decoded as the stages see them, whatever they are stored as."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from augforge.data import images
from augforge.data.annotations import Annotations, move_annotations
from augforge.data.pictures import kind_of
from augforge.errors import RecipeError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

MODES = ("RGB", "L")
LARGEST = 16_384
"""px a side."""
MIN_VISIBLE = 0.1
"""The share of a box that has to be left for it to be kept, as generators have it."""
Size = tuple[int, int]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every image as 8 bits of `mode`, "RGB" or "L"; with `size`, a square of so many px a side.

    For a square the shorter side is scaled to `size` px (bicubic; masks to the nearest), and the centre is cropped.

    Raises:
        RecipeError: there is no such mode, or `size` is not within 2..16384.
    """

    mode: str = "RGB"
    size: int | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise RecipeError(f"there is no image mode {self.mode!r}", did_you_mean(self.mode, list(MODES)))
        if self.size is not None and not images.MIN_SIDE <= self.size <= LARGEST:
            raise RecipeError(f"size: {self.size} px is no side of an image", f"give {images.MIN_SIDE} to {LARGEST:,}")

    @property
    def told(self) -> str:
        """In words, such as "RGB, 64x64 px"."""
        return self.mode + (f", {self.size}x{self.size} px" if self.size else "")

    def decode(self, data: bytes) -> Image.Image:
        """The image in encoded bytes; BadImage as `augforge.data.images.decode`."""
        from PIL.Image import Resampling

        image = images.decode(data).convert(self.mode)
        if self.size is None or image.size == (self.size, self.size):
            return image
        return image.resize((self.size, self.size), Resampling.BICUBIC, box=_centre(*image.size))

    def image(self, data: bytes) -> bytes:
        """Encoded bytes of the image: the same ones if they are so already, else a PNG. BadImage as `decode`."""
        return data if self._is_so(data) else images.encode_png(self.decode(data))

    def picture(self, name: str, data: bytes) -> bytes:
        """Encoded bytes of a picture that goes with an image, cut as the image is; without `size` the same ones."""
        if self.size is None:
            return data
        facts = images.inspect(data)
        if (facts.width, facts.height) == (self.size, self.size):
            return data
        return kind_of(name).resized(data, (self.size, self.size), _centre(facts.width, facts.height))

    def all(self, image: bytes, pictures: Mapping[str, bytes], was: Size) -> tuple[bytes, dict[str, bytes], Size]:
        """Image, the pictures that go with it, and its size in px, from those that they had."""
        size = was if self.size is None else (self.size, self.size)
        return self.image(image), {name: self.picture(name, data) for name, data in pictures.items()}, size

    def annotations(self, annotations: Annotations, was: Size) -> dict[str, Any]:
        """The annotations of an image of width and height `was`, scaled and cut as it is; without `size` the same ones.

        Boxes of which less than `MIN_VISIBLE` is left are dropped.
        """
        if self.size is None:
            return dict(annotations)
        return move_annotations(annotations, _Square(was, self.size), MIN_VISIBLE)

    def _is_so(self, data: bytes) -> bool:
        """Whether any reader sees in the bytes what `decode` gives."""
        from PIL import Image

        facts = images.inspect(data)
        if facts.note or self.size not in (None, facts.width) or self.size not in (None, facts.height):
            return False
        with Image.open(io.BytesIO(data)) as stored:
            return stored.mode == self.mode


class _Square:
    """Where points go when the square in the middle of an image is scaled (`PointMap`)."""

    lines: Literal["straight", "smooth", "cut"] = "straight"
    mirrored = False

    def __init__(self, was: Size, side: int) -> None:
        self.before, self.after = (was[1], was[0]), (side, side)
        self._box = _centre(*was)

    def points(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 2) the points, perhaps outside."""
        left, top, right, _ = self._box
        moved: NDArray[np.float64] = (xy - [left, top]) * (self.after[0] / (right - left))
        return moved

    def label_map(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(side, side) the labels, to the nearest."""
        import numpy as np
        from PIL import Image

        cut = Image.fromarray(labels).resize(self.after, Image.Resampling.NEAREST, box=self._box)
        return np.asarray(cut)


def _centre(width: int, height: int) -> Box:
    """The largest square in the middle of an image."""
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side
