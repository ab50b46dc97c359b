"""Images and their label maps, as a segmenter is given them: read once, cut and mixed anew for every batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augforge.algorithms.metrics.overlap import VOID
from augforge.data import images
from augforge.data.pictures import MASK, kind_of
from augforge.data.sample import Sample
from augforge.errors import AugforgeError, BadImage

if TYPE_CHECKING:
    from torch import Tensor

Pixels = NDArray[np.uint8]
SCALES = (0.75, 1.5)
"""How much larger or smaller the classical arm shows an image."""
MIXED = 0.5
"""The share of the classical arm's images into which classes of another are pasted."""


@dataclass(frozen=True, slots=True)
class LabelMap:
    """An image (h, w, 3) uint8 and its labels (h, w): numbers of classes, `VOID` where there is none."""

    image: Pixels
    labels: Pixels


def mask_of(sample: Sample, pixels: Any) -> Pixels:
    """(h, w) the mask of a sample, as it is stored.

    Raises:
        AugforgeError: it cannot be read, or is a picture in colours instead of a label map.
    """
    try:
        mask = kind_of(MASK).decoded(pixels.picture_of(sample, MASK))
    except BadImage as error:
        raise AugforgeError(f"the mask of image {sample.id} cannot be read: {error.message}", "run again") from error
    if mask.ndim != 2:
        raise AugforgeError(
            f"the mask of image {sample.id} is a picture in colours, not a label map",
            "give masks whose pixels are classes",
        )
    return np.asarray(mask, dtype=np.uint8)


def numbers_of(values: Sequence[int]) -> Pixels:
    """(256,) the number of the class of each value of a mask; `VOID` of all that are not among `values`."""
    table = np.full(256, VOID, dtype=np.uint8)
    table[list(values)] = np.arange(len(values), dtype=np.uint8)
    return table


def read(sample: Sample, pixels: Any, size: int, labels: Pixels) -> LabelMap:
    """An image whose shorter side is `size` px (bicubic), and its `labels` (h, w) of any size (nearest)."""
    try:
        picture = images.decode(pixels.bytes_of(sample))
    except BadImage as error:
        raise AugforgeError(f"image {sample.id} cannot be read any more: {error.message}", "run again") from error
    scale = size / min(picture.size)
    side = (max(size, round(picture.width * scale)), max(size, round(picture.height * scale)))
    return LabelMap(
        np.asarray(picture.resize(side, Image.Resampling.BICUBIC)),
        np.asarray(Image.fromarray(labels).resize(side, Image.Resampling.NEAREST)),
    )


class Crops:
    """Squares of `size` px of images, drawn anew for every batch; half of them mirrored, with `flip`.

    The classical arm's are also scaled, their light and colours changed (torchvision's ColorJitter), and into half of
    them half of the classes of another are pasted (ClassMix: Olsson et al., WACV 2021, arXiv 2007.07936).
    """

    def __init__(self, maps: Mapping[int, LabelMap], size: int, *, flip: bool, classical: bool) -> None:
        self._maps, self._size, self._flip, self._classical = maps, size, flip, classical

    def drawn(self, rows: Sequence[int], random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """uint8 (b, 3, s, s) and labels int64 (b, s, s) of the images at `rows` (b,)."""
        import torch

        found = [self._cut(self._maps[row], random) for row in rows]
        if self._classical:
            found = [self._mixed(found, place, random) for place in range(len(found))]
        pictures = np.stack([one.image for one in found]).transpose(0, 3, 1, 2)
        labels = np.stack([one.labels for one in found]).astype(np.int64)
        return torch.from_numpy(np.ascontiguousarray(pictures)), torch.from_numpy(labels)

    def _cut(self, whole: LabelMap, random: np.random.Generator) -> LabelMap:
        """A square of it."""
        if self._classical:
            whole = _scaled(whole, self._size, random)
        height, width = whole.labels.shape
        top, left = (int(random.integers(side - self._size + 1)) for side in (height, width))
        place = (slice(top, top + self._size), slice(left, left + self._size))
        image, labels = whole.image[place], whole.labels[place]
        if self._flip and random.random() < 0.5:
            image, labels = image[:, ::-1], labels[:, ::-1]
        return LabelMap(image, labels)

    def _mixed(self, batch: Sequence[LabelMap], place: int, random: np.random.Generator) -> LabelMap:
        """With classes of another of the batch pasted in, or not, and other colours."""
        one, other = batch[place], batch[(place + 1) % len(batch)]
        if random.random() < MIXED:
            one = class_mix(one, other, random)
        return LabelMap(_jittered(one.image, int(random.integers(1 << 62))), one.labels)


def class_mix(one: LabelMap, other: LabelMap, random: np.random.Generator) -> LabelMap:
    """`one` with the pixels of half of the classes of `other` (rounded up), which are drawn, and their labels."""
    classes = np.setdiff1d(other.labels, [VOID])
    chosen = random.choice(classes, (len(classes) + 1) // 2, replace=False)
    pasted = np.isin(other.labels, chosen)
    image = np.where(pasted[..., None], other.image, one.image)
    return LabelMap(image, np.where(pasted, other.labels, one.labels))


def _scaled(whole: LabelMap, least: int, random: np.random.Generator) -> LabelMap:
    """Larger or smaller, but no side under `least`."""
    height, width = whole.labels.shape
    scale = max(float(random.uniform(*SCALES)), least / min(height, width))
    side = (max(least, round(width * scale)), max(least, round(height * scale)))
    return LabelMap(
        np.asarray(Image.fromarray(whole.image).resize(side, Image.Resampling.BILINEAR)),
        np.asarray(Image.fromarray(whole.labels).resize(side, Image.Resampling.NEAREST)),
    )


def _jittered(image: Pixels, seed: int) -> Pixels:
    import torch
    from torchvision.transforms.v2 import ColorJitter

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        picture = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
        changed = ColorJitter(0.4, 0.4, 0.4)(picture).permute(1, 2, 0)
    return np.asarray(changed.numpy())
