"""Images and the boxes in them, as a detector is given them: read once, moved anew for every batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augforge.algorithms.metrics.detection import Truth
from augforge.data import images
from augforge.data.annotations.boxes import Boxes
from augforge.data.sample import Sample
from augforge.errors import AugforgeError, BadImage

if TYPE_CHECKING:
    from torch import Tensor

BOXES = Boxes.name
UNNAMED = "thing"
"""The class of boxes without one."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture (s, s, 3) of an image of `width` and `height` px, and its boxes in px of the image."""

    pixels: NDArray[np.uint8]
    width: int
    height: int
    truth: Truth

    def scaled(self) -> NDArray[np.float64]:
        """(n, 4) the boxes in px of the picture."""
        side = len(self.pixels)
        found: NDArray[np.float64] = self.truth.boxes * (side / np.array([self.width, self.height] * 2))
        return found


def classes_in(sample: Sample) -> list[str]:
    """The class of each box."""
    return [str(box.get("label") or UNNAMED) for box in sample.annotations[BOXES]]


def count_boxes(samples: Iterable[Sample]) -> dict[str, int]:
    """How many boxes of each class samples have."""
    counts: Counter[str] = Counter()
    for sample in samples:
        counts.update(classes_in(sample))
    return dict(counts)


def truth_of(sample: Sample, names: Sequence[str]) -> Truth:
    """The boxes of a sample in its own px; those of other classes than `names` are left out."""
    boxes = zip(sample.annotations[BOXES], classes_in(sample), strict=True)
    known = [(box, names.index(name)) for box, name in boxes if name in names]
    return Truth(
        np.array([box["box"] for box, _ in known], dtype=np.float64).reshape(-1, 4),
        np.array([number for _, number in known], dtype=np.int64),
        np.array([bool(box.get("iscrowd")) for box, _ in known], dtype=bool),
    )


def read_scene(sample: Sample, pixels: Any, size: int, names: Sequence[str]) -> Scene:
    """A sample as a square of `size` px.

    Raises:
        AugforgeError: it cannot be read.
    """
    try:
        picture = images.decode(pixels.bytes_of(sample))
    except BadImage as error:
        raise AugforgeError(f"image {sample.id} cannot be read any more: {error.message}", "run again") from error
    seen = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))
    return Scene(seen, picture.width, picture.height, truth_of(sample, names))


class Moves:
    """Pictures with their boxes, half of them mirrored, with `flip`.

    The classical arm's also change colours, are zoomed out and cropped around boxes: torchvision's transforms of SSD
    (Liu et al., ECCV 2016, arXiv 1512.02325).
    """

    def __init__(self, size: int, *, flip: bool, classical: bool) -> None:
        from torchvision.transforms import v2

        steps: list[Any] = [v2.RandomHorizontalFlip()] if flip else []
        self._always = v2.Compose(steps or [v2.Identity()])
        self._crop = v2.RandomIoUCrop() if classical else None
        self._others = v2.Compose([v2.RandomPhotometricDistort(), v2.RandomZoomOut(side_range=(1.0, 2.0))])
        self._end = v2.Compose([v2.Resize((size, size)), v2.SanitizeBoundingBoxes()])
        self._size = size

    def drawn(self, scene: Scene, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
        """uint8 (3, s, s), and `boxes` (n, 4) and `labels` (n,), from 1, without crowds."""
        import torch
        from torchvision import tv_tensors

        single = ~scene.truth.crowds
        sides = (self._size, self._size)
        boxes = tv_tensors.BoundingBoxes(scene.scaled()[single].astype(np.float32), format="XYXY", canvas_size=sides)
        target: Any = {"boxes": boxes, "labels": torch.from_numpy(scene.truth.classes[single] + 1)}
        picture: Any = tv_tensors.Image(torch.from_numpy(scene.pixels.copy()).permute(2, 0, 1))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            picture, target = self._always(picture, target)
            if self._crop is not None:
                picture, target = self._others(picture, target)
                picture, target = self._crop(picture, target) if len(target["boxes"]) else (picture, target)
            picture, target = self._end(picture, target)
        return picture.as_subclass(torch.Tensor), {
            name: value.as_subclass(torch.Tensor) for name, value in target.items()
        }
