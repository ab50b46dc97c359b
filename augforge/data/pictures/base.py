"""What every kind of companion picture offers. A kind is one file, and one line in `augforge.data.pictures.KINDS`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from augforge.data import images
from augforge.errors import BadImage

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

Box = tuple[float, float, float, float]


class Moves(Protocol):
    """What moves an image: `augforge.algorithms.geometry.Geometry`."""

    def apply(self, image: NDArray[Any], order: Literal["bilinear", "bicubic"] = "bilinear") -> NDArray[Any]:
        """An image (h, w[, c]), interpolated; outside lies what the edge shows."""

    def apply_label(self, labels: NDArray[Any], void: float | None = 255) -> NDArray[Any]:
        """A map (h, w[, c]), of the nearest pixels; outside `void`, or what the edge shows if it is None."""


class PictureKind(ABC):
    """A kind of companion picture, by the name that it has in the ledger and in the dataset."""

    name: ClassVar[str]
    about: ClassVar[str]
    """What it is, in one sentence: the description of its column."""
    aligned: ClassVar[bool] = True
    """Whether each of its pixels belongs to the pixel of the image at that place, so that both have one size."""

    @abstractmethod
    def decoded(self, data: bytes) -> NDArray[Any]:
        """The pixels (h, w) or (h, w, 3) in encoded bytes. BadImage as `augforge.data.images.inspect`."""

    @abstractmethod
    def encoded(self, pixels: NDArray[Any], like: bytes | None = None) -> bytes:
        """PNG bytes of pixels, in the mode of the picture `like`, that of the first parent, where it has them."""

    @abstractmethod
    def moved(self, pixels: NDArray[Any], moves: Moves) -> NDArray[Any]:
        """The pixels after their image was moved."""

    def resized(self, data: bytes, size: tuple[int, int], box: Box) -> bytes:
        """Encoded bytes of the part `box` (left, top, right, bottom, px), scaled to `size` (width, height, px)."""
        from PIL import Image

        return images.encode_png(self.scaled(Image.fromarray(self.decoded(data)), size, box))

    def scaled(self, picture: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
        """A part of a decoded picture, scaled: the nearest pixels, so that no value appears that was not there."""
        from PIL.Image import Resampling

        return picture.resize(size, Resampling.NEAREST, box=box)

    def checked(self, data: bytes, name: str, image: images.Facts) -> str:
        """The digest of encoded bytes, called `name`; BadImage if they are no picture, or of another size."""
        try:
            facts = images.inspect(data)
        except BadImage as error:
            raise BadImage(f"its {name}: {error.message}") from error
        if self.aligned and (facts.width, facts.height) != (image.width, image.height):
            raise BadImage(f"its {name} is {facts.width}x{facts.height} px, the image {image.width}x{image.height}")
        return images.digest(data)
