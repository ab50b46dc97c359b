"""Text alone: whatever AutoPipelineForText2Image accepts (Stable Diffusion, XL, 3, Flux and newer)."""

from __future__ import annotations

from typing import ClassVar

from augforge.models.backends.diffusion import Diffusion


class TextToImage(Diffusion):
    """AutoPipelineForText2Image."""

    carries: ClassVar[frozenset[str]] = frozenset()
    pipeline: ClassVar[str] = "AutoPipelineForText2Image"
