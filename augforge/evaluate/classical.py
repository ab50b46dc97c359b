"""The classical arm: RandAugment (Cubuk et al., 2020, arXiv 1909.13719) of the real images, torchvision's."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from augforge.data import images
from augforge.data.ids import key, seed_of
from augforge.data.ledger import Ledger
from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.engine.pixels import Located

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 1
OF, NUMBER = "of", "number"
_ONE_AT_A_TIME = threading.Lock()  # torchvision draws from torch's one generator, and several threads decode


def rand_augment(image: Tensor | Image.Image, seed: int) -> Any:
    """A picture, uint8 (3, h, w) or PIL, after two operations of magnitude 9 of 31, those that `seed` draws."""
    import torch
    from torchvision.transforms.v2 import RandAugment

    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return RandAugment()(image)


class Copies:
    """Augmented copies of real samples, drawn when their bytes are asked for. `ledger` has a sample for each.

    `wanted` says how many each class gets; every image has its turn before one has another.
    """

    def __init__(self, real: Ledger, rows: Any, wanted: Mapping[str, int], pixels: Any) -> None:
        self._real, self._pixels = real, pixels
        pools: dict[str, list[Sample]] = {}
        for sample in real.samples(rows):
            pools.setdefault(str(sample.label), []).append(sample)
        self.ledger = Ledger(real.classes)
        self.ledger.extend(
            _copy(parent, number)
            for label, members in sorted(pools.items())
            for parent, number in Pool(members).cycle(wanted.get(label, 0))
        )

    def bytes_of(self, sample: Sample | Located) -> bytes:
        """A PNG of the augmented parent."""
        (parent,) = self._real.by_id({sample.ref.partition(":")[2]}).values()
        picture = images.decode(self._pixels.bytes_of(parent))
        return images.encode_png(Image.fromarray(np.asarray(rand_augment(picture, seed_of(sample.id)))))


def _copy(parent: Sample, number: int) -> Sample:
    """A sample whose digest names what it is made of: the copy is always the same."""
    identity = key("randaugment", VERSION, parent.digest, number)
    return Sample(
        id=identity,
        label=parent.label,
        origin="synthetic",
        parents=(parent.id,),
        digest=hashlib.sha256(f"randaugment {identity}".encode()).hexdigest(),
        ref=f"copy:{parent.id}",
        sampled_params={OF: parent.id, NUMBER: number},
    )
