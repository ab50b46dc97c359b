"""Text alone: whatever AutoPipelineForText2Image accepts (Stable Diffusion, XL, 3, Flux and newer), and SANA-Sprint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from augforge.models.backends.checkpoint import Checkpoint
from augforge.models.backends.diffusion import Diffusion

BEYOND = ("SanaSprintPipeline", "Flux2KleinKVPipeline")
"""Classes that AutoPipelineForText2Image does not know."""


class TextToImage(Diffusion):
    """AutoPipelineForText2Image."""

    carries: ClassVar[frozenset[str]] = frozenset()
    pipeline: ClassVar[str] = "AutoPipelineForText2Image"
    refuses: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("QwenImageEditPipeline", "QwenImageEditPlusPipeline"),
        "it makes one image of another one and is never called without: generate img2img with it; it would learn from "
        "pairs, so train a LoRA of qwen-image, whose layers are the same",
    )

    def _loader(self, checkpoint: Checkpoint) -> str:
        return checkpoint.pipeline if checkpoint.pipeline in BEYOND else self.pipeline
