"""A generator whose share of good images is known, and the filter that tells them apart. No model, no waiting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from augforge.data.ids import unit
from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.stages.filter import PixelFilter
from augforge.stages.generator import Drawn, Generator, Loaded, Picture, Studio


class Coin(Generator):
    """Images that are bright, by a hash, in a share of all tries; the share is `share` or that of the class."""

    name: ClassVar[str] = "coin"
    shares: Mapping[str, float] = {}
    share: float = 0.5
    coupled: bool = False

    @property
    def couples(self) -> bool:
        return self.coupled

    def draw(self, label: Any, parent: Sample | None, pool: Pool, variant: int, seed: int) -> Drawn:
        assert parent is not None
        return [parent], {"variant": variant, "bright": is_bright(self, parent, variant)}

    def open(self, device: str) -> Studio:
        return Studio(self._make, {})

    def _make(self, batch: Sequence[Loaded]) -> list[Picture]:
        return [Picture(picture(item.job.sample.draws["bright"], item.job.sample.seed)) for item in batch]


class Bright(PixelFilter):
    """The mean of the pixels, in 0 to 255."""

    name: ClassVar[str] = "bright"
    measures: ClassVar[tuple[str, ...]] = ("bright",)

    def measure(self, image: Any) -> dict[str, float]:
        return {"bright": float(np.asarray(image).mean())}


def is_bright(stage: Coin, parent: Sample, variant: int) -> bool:
    return unit("coin", parent.id, variant) < stage.shares.get(str(parent.label), stage.share)


def picture(bright: bool, seed: int | None) -> np.ndarray:
    """(8, 8, 3) noise about 0.8 or 0.2."""
    noise = np.random.default_rng(seed).uniform(-0.1, 0.1, (8, 8, 3))
    return ((0.8 if bright else 0.2) + noise).astype(np.float32)
