"""The examples of a paired training: which are learnt from, which are held out, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from augforge.errors import RecipeError
from augforge.models.networks.paired.conditions import Conditioner, Kind, Prepared, count_values
from augforge.models.networks.paired.instances import codes_of
from augforge.models.networks.paired.styles import StyleCodes, cluster
from augforge.models.networks.paired.views import View, random_view
from augforge.models.tensors import eval_mode, to_tensor
from augforge.training.images import TrainingImages

Place = tuple[TrainingImages, int]
"""Where an example is."""
SHOWN = 4
MEASURED = 64
AT_ONCE = 8
"""Examples at a time where nothing is learnt."""
MOST_VIEWED = 2000
"""So many training images at most make the mean image and the style codes, taken evenly from all of them."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A condition, and the real picture (3, s, s) in [-1, 1] that belongs to it."""

    prepared: Prepared
    real: Tensor


class Examples:
    """Images to learn from and images to measure, with the conditioner that prepares both.

    Args:
        train: what is learnt from.
        held_out: what is only measured; training images stand in where there is none. Where the class is part of
            the condition, those of classes that were never trained are left out.
    """

    def __init__(self, train: TrainingImages, held_out: TrainingImages, conditioner: Conditioner) -> None:
        self.conditioner = conditioner
        self.train = [(train, index) for index in range(len(train))]
        known = [(held_out, index) for index in range(len(held_out)) if self._known(held_out.samples[index].label)]
        self.apart = bool(known)
        """Whether what is measured was held out."""
        self.measured = spread(known or self.train, MEASURED)
        self.shown = self.measured[:SHOWN]

    def drawn(self, random: np.random.Generator) -> Ready:
        """A training example, anywhere in it."""
        pictures, index = self.train[int(random.integers(len(self.train)))]
        height, width = pictures.image(index).shape[:2]
        return self._ready((pictures, index), random_view(height, width, random))

    def fixed(self, place: Place) -> Ready:
        """The middle of an example."""
        return self._ready(place, None)

    def mean_image(self) -> NDArray[np.float32]:
        """(s, s, 3) in [0, 1]: the mean over the training images' middles."""
        total = np.zeros((self.conditioner.size, self.conditioner.size, 3))
        viewed = spread(self.train, MOST_VIEWED)
        for pictures, index in viewed:
            total += self.conditioner.fit(pictures.image(index), None)[0]
        return (total / (255 * len(viewed))).astype(np.float32)

    def batches(self, places: Sequence[Place]) -> Iterator[list[Ready]]:
        """The middles of the examples, a few at a time."""
        for start in range(0, len(places), AT_ONCE):
            yield [self.fixed(place) for place in places[start : start + AT_ONCE]]

    def style_codes(self, encoder: nn.Module, most: int, device: torch.device, seed: int) -> StyleCodes:
        """The codes of the instances of at most so many training images, as the encoder sees them now."""
        features, classes = [], []
        for ready in self.batches(spread(self.train, most)):
            batch = stacked(ready)
            with eval_mode(encoder):
                seen = encoder(batch["real"].to(device)).cpu()
            means, kinds = codes_of(seen, batch["ids"], batch["classes"])
            features.append(means)
            classes.append(kinds)
        return cluster(torch.cat(features), torch.cat(classes), self.conditioner.regions, seed)

    def _known(self, label: str | None) -> bool:
        return not self.conditioner.labels or label in self.conditioner.labels

    def _ready(self, place: Place, view: View | None) -> Ready:
        pictures, index = place
        conditioner, whole = self.conditioner, pictures.image(index)
        mask = pictures.mask(index) if conditioner.reads_masks else None
        image, mask = conditioner.fit(whole, mask) if view is None else conditioner.crop(whole, mask, view)
        return Ready(conditioner.prepare(image, mask, pictures.samples[index].label), to_tensor(image))


def fit_conditioner(train: TrainingImages, kind: Kind, size: int, instances: bool, by_class: bool) -> Conditioner:
    """The conditioner for these training images: what it has to know of them is taken from them.

    Raises:
        RecipeError: there is nothing to learn from, a class is missing, or the masks do not go with the condition.
    """
    if not len(train):
        raise RecipeError("there are no images to learn from")
    labels = _labels(train) if by_class else ()
    if kind == "files":
        planes = 1 if train.mask(0).ndim == 2 else 3
        return Conditioner(kind, size, planes=planes, instances=instances, labels=labels)
    masked = kind == "labelmap" or instances
    values = count_values(train.mask(index) for index in range(len(train))) if masked else 0
    return Conditioner(kind, size, values, instances=instances, labels=labels)


def stacked(ready: Sequence[Ready]) -> dict[str, Tensor]:
    """`condition` (b, c, s, s), `real` (b, 3, s, s), `ids` and `classes` (b, s, s)."""
    return {
        "condition": torch.stack([one.prepared.condition for one in ready]),
        "real": torch.stack([one.real for one in ready]),
        "ids": torch.stack([one.prepared.ids for one in ready]),
        "classes": torch.stack([one.prepared.classes for one in ready]),
    }


def spread(places: Sequence[Place], most: int) -> list[Place]:
    """At most `most` of the places, at even distances."""
    count = min(most, len(places))
    return [places[number * len(places) // count] for number in range(count)]


def _labels(train: TrainingImages) -> tuple[str, ...]:
    found = {sample.label for sample in train.samples}
    if None in found:
        raise RecipeError("by-class needs a class for every image, and some have none")
    return tuple(sorted(label for label in found if label is not None))
