"""Degrade: pairs of low and high quality, for training sets of restoration and super-resolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from augforge.data.ids import rng
from augforge.data.pool import Pools
from augforge.data.sample import Sample
from augforge.stages.generator import GeneratedImage, GenerationInput, Job, SampledParams
from augforge.stages.generators.sized import SizedOperator
from augforge.stages.stage import Share, words_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.geometry import Geometry

TARGET, NEGATIVE = "target", "negative"


class Degrade(SizedOperator):
    """Make images worse, with the image as it was as their `target`: pairs for restoration and super-resolution.

    The steps are blur, resize (smaller and back), noise, mined-noise and jpeg. Mined noise is that of real frames, what
    flat windows show beside their mean, after NegVSR (Song et al., AAAI 2024): the frames are other images of the run,
    neighbours of one video where a source has videos, and are recorded as parents. With `negatives`, each image gets a
    third picture, `negative`: the degraded one with that share of its patches turned. Annotations follow.
    """

    name: ClassVar[str] = "degrade"
    made_with: ClassVar[tuple[str, ...]] = ("numpy", "pillow", "scipy")
    example: ClassVar[Mapping[str, Any]] = {"per-class": 3, "size": 32}

    steps: tuple[str, ...] = Field(
        default=("blur", "resize", "noise", "jpeg"),
        description="What is done, in this order: some of blur, resize, noise, mined-noise, jpeg.",
    )
    rounds: int = Field(
        default=1, ge=1, le=4, description="How often all steps are done; each time half as strong as before."
    )
    severity: Share = Field(default=0.5, description="How strong: 0 leaves the image alone, 1 is full strength.")
    downscale: int = Field(
        default=1, ge=1, le=16, description="How many times smaller than its target an image becomes in the end."
    )
    frames: int = Field(default=3, ge=1, le=64, description="Frames of a video of which noise is mined together.")
    window: int = Field(default=64, ge=8, le=1024, description="Side in px of the windows of which noise is mined.")
    negatives: Share = Field(
        default=0.0, description="Share of the 8 x 8 patches that are turned in `negative`; 0 makes none."
    )

    @field_validator("steps", mode="before")
    @classmethod
    def _known_steps(cls, steps: Any) -> tuple[str, ...]:
        from augforge.algorithms.degrade import DRAWS

        return words_of(steps, tuple(DRAWS))

    def draw(self, label: str | None, parent: Sample, pools: Pools, variant: int, seed: int) -> SampledParams:
        """The steps with their parameters, and the frames of which noise is mined."""
        from augforge.algorithms.degrade import MINED, draw_chain

        random = rng(seed, "degrade")
        chain = draw_chain(random, self.severity, self.steps, self.rounds)
        drawn: dict[str, Any] = {"variant": variant, "chain": chain}
        if self.negatives:
            drawn["turned"] = {"share": self.negatives, "seed": int(random.integers(2**31))}
        if not any(step["step"] == MINED for step in chain):
            return [parent], drawn
        donor = pools.together.partner(parent, variant) or parent
        frames = [frame for frame in pools.around(donor, self.frames) if frame.id != parent.id]
        return [parent, *frames], drawn

    def refusal(self, job: Job) -> str:
        """That an image is too large, or would become too small."""
        from augforge.data.images import MIN_SIDE

        width, height = job.parents[0].width, job.parents[0].height
        if (self.size or min(width, height)) // self.downscale < MIN_SIDE:
            return f"its parent of {width}x{height} px would be under {MIN_SIDE} px when {self.downscale} times smaller"
        return super().refusal(job)

    def operate(self, item: GenerationInput) -> GeneratedImage:
        """Degraded, with its target."""
        from augforge.algorithms.degrade import apply_chain, turn_patches
        from augforge.algorithms.geometry import Geometry

        drawn = item.job.sample.sampled_params
        target, moves = self._target(item)
        bank, facts = self._bank(item)
        smaller = self._smaller(target)
        worse = smaller.apply(apply_chain(target, drawn["chain"], bank), "bicubic")
        found = self.followed(item, worse, Geometry((*moves.ops, *smaller.ops)))
        pictures = {**found.pictures, TARGET: target}
        if "turned" in drawn:
            turned = drawn["turned"]
            pictures[NEGATIVE] = turn_patches(worse, turned["share"], rng(turned["seed"], "patches"))
        return replace(found, facts={**found.facts, **facts}, pictures=pictures)

    def _target(self, item: GenerationInput) -> tuple[NDArray[np.uint8], Geometry]:
        """The image of high quality, cut at the lower right to sides that are multiples of `downscale`."""
        from augforge.algorithms.geometry import Crop, Geometry

        pixels, moves = self.resized(item)
        height, width = (side - side % self.downscale for side in pixels.shape[:2])
        if (height, width) == pixels.shape[:2]:
            return pixels, moves
        return pixels[:height, :width], Geometry((*moves.ops, Crop(0, 0, height, width)))

    def _smaller(self, target: NDArray[np.uint8]) -> Geometry:
        from augforge.algorithms.geometry import Geometry, Resize

        if self.downscale == 1:
            return Geometry()
        return Geometry((Resize(*(side // self.downscale for side in target.shape[:2])),))

    def _bank(self, item: GenerationInput) -> tuple[NDArray[np.float32] | None, dict[str, Any]]:
        """(n, s, s, 3) the mined noise of the frame in the middle, if any is asked for, and from how many windows."""
        import numpy as np

        from augforge.algorithms.degrade import MINED, Limits, mine

        if not any(step["step"] == MINED for step in item.job.sample.sampled_params["chain"]):
            return None, {}
        frames = [np.asarray(image) for image in (item.images[1:] or item.images[:1])]
        noise = mine(frames, Limits(side=self.window))
        return noise[:, noise.shape[1] // 2], {"noise-windows": len(noise)}
