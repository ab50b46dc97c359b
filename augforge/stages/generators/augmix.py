"""AugMix: an image mixed with what chains of operations make of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from augforge.data.ids import rng
from augforge.data.pool import Pools
from augforge.data.sample import Sample
from augforge.stages.generator import GeneratedImage, GenerationInput, SampledParams
from augforge.stages.generators.operator import OperatorGenerator

PLACED = ("boxes", "keypoints")
"""Annotations of things in their places."""


class AugMix(OperatorGenerator):
    """Mix an image with what several chains of operations make of it (AugMix; Hendrycks et al., 2020).

    Operations, magnitudes and weights are those of torchvision's `v2.AugMix`. A mixture of an image and moved copies
    has no one geometry: an image with a mask or another picture, boxes or keypoints gets the other operations alone,
    and keeps them. Without an amount every image has its turn once.
    """

    name: ClassVar[str] = "augmix"
    example: ClassVar[Mapping[str, Any]] = {"per-class": 4}

    severity: int = Field(default=3, ge=0, le=10, description="How strong operations may be; 0 leaves the image alone.")
    mixture_width: int = Field(default=3, ge=1, le=16, description="Chains that are mixed.")
    chain_depth: int = Field(
        default=0, ge=0, le=16, description="Operations in a chain; 0 draws one to three for each chain."
    )
    interpolation: Literal["nearest", "bilinear"] = Field(
        default="bilinear", description="How pixels are looked up where a copy is moved."
    )
    fill: int = Field(default=0, ge=0, le=255, description="Grey that lies where a moved copy shows nothing.")

    def draw(self, label: str | None, parent: Sample, pools: Pools, variant: int, seed: int) -> SampledParams:
        """The weights, and the operations of each chain with their magnitudes."""
        from augforge.algorithms.policies import draw_augmix

        placed = bool(parent.pictures) or any(name in parent.annotations for name in PLACED)
        size, chains = (parent.height, parent.width), (self.mixture_width, self.chain_depth)
        drawn = draw_augmix(rng(seed, self.name), size, self.severity, chains, moves=not placed)
        return [parent], {"variant": variant, **drawn}

    def operate(self, item: GenerationInput) -> GeneratedImage:
        """The mixture."""
        from augforge.algorithms.geometry import Geometry
        from augforge.algorithms.policies import mixed

        pixels = mixed(item.images[0], item.job.sample.sampled_params, self.interpolation, self.fill)
        return self.followed(item, pixels, Geometry())
