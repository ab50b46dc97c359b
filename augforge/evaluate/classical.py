"""The classical arm: RandAugment (Cubuk et al., 2020, arXiv 1909.13719) of the real images, or darker ones."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from augforge.data import images
from augforge.data.classes import said_labels
from augforge.data.ids import key, seed_of
from augforge.data.ledger import Ledger
from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.engine.pixels import Located

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 1
OF, NUMBER = "of", "number"
DARK, DARKEST = 0.5, 6.0
"""The share of images that `darken` makes darker, and its largest gamma."""
_ONE_AT_A_TIME = threading.Lock()  # torchvision draws from torch's one generator, and several threads decode


def rand_augment(image: Tensor | Image.Image, seed: int) -> Any:
    """A picture, uint8 (3, h, w) or PIL, after two operations of magnitude 9 of 31, those that `seed` draws."""
    import torch
    from torchvision.transforms.v2 import RandAugment

    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return RandAugment()(image)


def darken(image: Tensor | Image.Image, seed: int) -> Any:
    """A picture, uint8 (3, h, w) or PIL, every second one darker: of x in [0, 1] it has x ** gamma, gamma from 1 to 6.

    The logarithm of gamma is uniform. It is what generated nights must beat: they cost no model and no training.
    """
    from torchvision.transforms.v2.functional import adjust_gamma

    random = np.random.default_rng(seed)
    dark, gamma = random.random() < DARK, float(np.exp(random.uniform(0, np.log(DARKEST))))
    return adjust_gamma(image, gamma) if dark else image


Operation = Callable[["Tensor | Image.Image", int], Any]
OPERATIONS: dict[str, Operation] = {"randaugment": rand_augment, "darken": darken}
"""What the classical arm does to an image, by a seed."""


class Copies:
    """Augmented copies of real samples, drawn when their bytes are asked for. `ledger` has a sample for each.

    `wanted` says how many each class gets; every image has its turn before one has another. `name` is that of one of
    `OPERATIONS`.
    """

    def __init__(
        self, real: Ledger, rows: Any, wanted: Mapping[str, int], pixels: Any, name: str = "randaugment"
    ) -> None:
        self._real, self._pixels, self._operation = real, pixels, OPERATIONS[name]
        pools: dict[str, list[Sample]] = {}
        for sample, label in zip(real.samples(rows), real.filed_under(rows), strict=True):
            pools.setdefault(str(label), []).append(sample)
        self.ledger = Ledger(real.classes)
        self.ledger.extend(
            _copy(parent, number, name)
            for label, members in sorted(pools.items())
            for parent, number in Pool(members).cycle(wanted.get(label, 0))
        )

    def bytes_of(self, sample: Sample | Located) -> bytes:
        """A PNG of the augmented parent."""
        (parent,) = self._real.by_id({sample.ref.partition(":")[2]}).values()
        picture = images.decode(self._pixels.bytes_of(parent))
        return images.encode_png(Image.fromarray(np.asarray(self._operation(picture, seed_of(sample.id)))))


def _copy(parent: Sample, number: int, name: str) -> Sample:
    """A sample whose digest names what it is made of: the copy is always the same."""
    identity = key(name, VERSION, parent.digest, number)
    return Sample(
        id=identity,
        label=parent.label,
        origin="synthetic",
        parents=(parent.id,),
        digest=hashlib.sha256(f"{name} {identity}".encode()).hexdigest(),
        ref=f"copy:{parent.id}",
        annotations=said_labels(parent.annotations),
        sampled_params={OF: parent.id, NUMBER: number},
    )
