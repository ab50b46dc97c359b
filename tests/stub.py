"""A generator whose share of good images is known, and the filter that tells them apart. No model, no waiting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from augforge.data.ids import unit
from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.stages.filter import PixelFilter
from augforge.stages.generator import GeneratedImage, GenerationInput, Generator, LoadedGenerator, SampledParams


class Coin(Generator):
    """Images that are bright, by a hash, in a share of all tries; the share is `share` or that of the class."""

    name: ClassVar[str] = "coin"
    shares: Mapping[str, float] = {}
    share: float = 0.5
    coupled: bool = False

    @property
    def batch_dependent(self) -> bool:
        return self.coupled

    def sample_params(self, label: Any, parent: Sample | None, pool: Pool, variant: int, seed: int) -> SampledParams:
        assert parent is not None
        return [parent], {"variant": variant, "bright": is_bright(self, parent, variant)}

    def load(self, device: str) -> LoadedGenerator:
        return LoadedGenerator(self._make, {})

    def _make(self, batch: Sequence[GenerationInput]) -> list[GeneratedImage]:
        return [
            GeneratedImage(picture(item.job.sample.sampled_params["bright"], item.job.sample.seed)) for item in batch
        ]


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
