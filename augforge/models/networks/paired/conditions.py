"""From a training sample to what the generator is given: planes that say what the picture must show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from augforge.errors import ModelError, RecipeError, shortened
from augforge.models.networks.paired.edges import edge_map
from augforge.models.networks.paired.instances import components, label_classes, seam
from augforge.models.networks.paired.views import View, centred, seen
from augforge.models.tensors import to_tensor

Pixels = NDArray[np.uint8]
Kind = Literal["labelmap", "edges", "downsample", "files"]
FACTOR = 8
"""By how much `downsample` shrinks a picture before it is enlarged again."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A condition (c, s, s), and for the style the instance of every pixel (s, s) from 1, and its class (s, s)."""

    condition: Tensor
    ids: Tensor
    classes: Tensor


@dataclass(frozen=True, slots=True)
class Conditioner:
    """How a condition is built; everything that a trained model must remember of it.

    Args:
        kind: `labelmap` one plane a class of the mask, `edges` of the image, `downsample` a blurred image,
            `files` the mask as a picture of its own.
        size: the side of the square condition, in px.
        values: the classes of a label map; 0 where masks are no label maps.
        planes: the channels of a `files` picture, 1 or 3.
        instances: whether a plane shows where the instances of the label map meet.
        labels: the images' classes, for one constant plane each; empty for none.
    """

    kind: Kind
    size: int
    values: int = 0
    planes: int = 0
    instances: bool = False
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.instances and self.kind == "files":
            raise RecipeError("condition `files` has no instances: its mask is a picture, not a label map")
        if self.kind == "files" and self.planes not in (1, 3):
            raise RecipeError("condition `files` takes grey or RGB pictures: 1 or 3 channels")
        if self.has_labelmap and not 0 < self.values < 256:
            raise RecipeError("the masks show no class at all", "a label map holds 0, 1, 2 …; 255 means nothing known")

    @property
    def has_labelmap(self) -> bool:
        """Whether the masks are label maps, so that there are instances."""
        return self.kind == "labelmap" or self.instances

    @property
    def reads_masks(self) -> bool:
        """Whether a sample without a mask cannot be used."""
        return self.has_labelmap or self.kind == "files"

    @property
    def regions(self) -> int:
        """How many classes of regions a style is given to: those of the label map, or one."""
        return self.values if self.has_labelmap else 1

    @property
    def channels(self) -> int:
        """How many planes a condition has."""
        own = {"labelmap": self.values, "edges": 1, "downsample": 3, "files": self.planes}
        return own[self.kind] + self.instances + len(self.labels)

    def crop(self, image: Pixels, mask: Pixels | None, view: View) -> tuple[Pixels, Pixels | None]:
        """Image and mask (size, size[, 3]) as one view shows them: the same geometry for both."""
        shown = None if mask is None else seen(mask, view, self.size, smooth=self.kind == "files")
        return seen(image, view, self.size, smooth=True), shown

    def fit(self, image: Pixels, mask: Pixels | None) -> tuple[Pixels, Pixels | None]:
        """Image and mask of any size as (size, size[, 3]): their middle."""
        return self.crop(image, mask, centred(*image.shape[:2]))

    def prepare(self, image: Pixels, mask: Pixels | None, label: str | None) -> Prepared:
        """The condition of an image (s, s, 3) that fits, with its mask (s, s[, 3]) and its class.

        Raises:
            ModelError: there is no mask where one is needed, or the class is none of those that were trained.
        """
        classes, ids = self._regions(image, mask)
        planes = [self._own(image, mask, classes)]
        if self.instances:
            planes.append(torch.from_numpy(seam(ids)).float().unsqueeze(0))
        if self.labels:
            planes.append(self._label_planes(label, ids.shape))
        return Prepared(torch.cat(planes), torch.from_numpy(ids), torch.from_numpy(classes))

    def facts(self) -> dict[str, Any]:
        """Plain values from which `from_facts` builds the same conditioner."""
        return asdict(self) | {"labels": list(self.labels)}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Conditioner:
        """The conditioner of `facts`, also after a way through JSON."""
        return cls(**{**facts, "labels": tuple(facts["labels"])})

    def _regions(self, image: Pixels, mask: Pixels | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Class and instance of every pixel."""
        if self.reads_masks and mask is None:
            raise ModelError(
                f"condition `{self.kind}` needs a mask with every image",
                "name the masks' folder (`masks:` of a folder source), or with `of` a class that has masks",
            )
        if not self.has_labelmap or mask is None:
            return np.zeros(image.shape[:2], np.int64), np.ones(image.shape[:2], np.int64)
        if mask.ndim != 2:
            raise ModelError(f"a label map has one channel, not {mask.shape[2]}")
        classes = label_classes(mask, self.values)
        return classes, components(classes)

    def _own(self, image: Pixels, mask: Pixels | None, classes: NDArray[np.int64]) -> Tensor:
        if self.kind == "labelmap":
            return one_hot(classes, self.values)
        if self.kind == "edges":
            return torch.from_numpy(edge_map(image)).unsqueeze(0)
        if self.kind == "downsample":
            return to_tensor(blurred(image))
        if mask is None:
            raise TypeError("a condition of `files` is made from the mask, and there is none")
        return _picture(mask, self.planes)

    def _label_planes(self, label: str | None, shape: tuple[int, ...]) -> Tensor:
        if label not in self.labels:
            raise ModelError(
                f"class {label!r} is none of those that were trained", "trained: " + shortened(self.labels)
            )
        planes = torch.zeros(len(self.labels), *shape)
        planes[self.labels.index(label)] = 1
        return planes


def one_hot(classes: NDArray[np.int64], values: int) -> Tensor:
    """(values, h, w): 1 in the plane of the pixel's class; zero in all of them where it is void."""
    return torch.from_numpy(classes).eq(torch.arange(values).view(-1, 1, 1)).float()


def blurred(image: Pixels) -> Pixels:
    """(h, w, 3): an image made 8 times smaller and large again, both bicubic."""
    picture = Image.fromarray(image)
    small = (max(1, round(picture.width / FACTOR)), max(1, round(picture.height / FACTOR)))
    return np.asarray(picture.resize(small, Image.Resampling.BICUBIC).resize(picture.size, Image.Resampling.BICUBIC))


def count_values(masks: Iterable[Pixels]) -> int:
    """One more than the largest class of the label maps; 0 where all of them are void (255)."""
    return max((int(mask[mask != 255].max(initial=0)) + 1 for mask in masks if (mask != 255).any()), default=0)


def _picture(mask: Pixels, planes: int) -> Tensor:
    """(planes, h, w) in [-1, 1] of a grey or RGB picture."""
    channels = 1 if mask.ndim == 2 else mask.shape[2]
    if channels != planes:
        raise ModelError(f"the condition has {channels} channels, those in training had {planes}")
    return to_tensor(mask.reshape(*mask.shape[:2], channels).copy())
