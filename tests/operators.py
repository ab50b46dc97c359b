"""Small operators whose results are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from augforge.algorithms.geometry import Flip, Geometry
from augforge.data.ids import rng
from augforge.data.pool import Pools
from augforge.data.sample import Sample
from augforge.errors import BadImage
from augforge.stages.generator import GeneratedImage, GenerationInput, SampledParams
from augforge.stages.generators.operator import OperatorGenerator


class Tint(OperatorGenerator):
    """Adds a grey that was drawn, and mirrors; refuses what `bad` says of it."""

    name: ClassVar[str] = "tint"
    calls_seen: ClassVar[list[list[str]]] = []
    bad: bool = False

    def draw(self, label: Any, parent: Sample, pools: Pools, variant: int, seed: int) -> SampledParams:
        return [parent], {"variant": variant, "grey": int(rng(seed, "tint").integers(1, 40))}

    def operate(self, item: GenerationInput) -> GeneratedImage:
        grey = item.job.sample.sampled_params["grey"]
        if self.bad and grey % 2:
            raise BadImage(f"{grey} is odd")
        moves = Geometry((Flip(),))
        tinted = np.asarray(item.images[0]).astype(np.int64) + grey
        return self.followed(item, moves.apply(tinted.clip(0, 255).astype(np.uint8)), moves)

    def operate_on(self, items: Sequence[GenerationInput]) -> list[GeneratedImage]:
        self.calls_seen.append([item.job.sample.id for item in items])
        return super().operate_on(items)


class Triplet(Tint):
    """Three of each image, made in one call."""

    name: ClassVar[str] = "triplet"
    images_per_call: ClassVar[int] = 3


class Across(OperatorGenerator):
    """The mean of an image and one of another class."""

    name: ClassVar[str] = "across"

    def draw(self, label: Any, parent: Sample, pools: Pools, variant: int, seed: int) -> SampledParams:
        other = pools.together.partner(parent, variant, lambda sample: sample.label != label)
        return [parent] if other is None else [parent, other], {"variant": variant}

    def operate(self, item: GenerationInput) -> GeneratedImage:
        pictures = [np.asarray(image, dtype=np.float32) / 255 for image in item.images]
        return GeneratedImage(np.mean([picture[:16, :16] for picture in pictures], axis=0, dtype=np.float32))
