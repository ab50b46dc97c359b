"""Text and a picture of the layout: Stable Diffusion or XL with a T2I-Adapter, a small network that is asked once."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from augforge.errors import ModelError
from augforge.models.backends.base import Request
from augforge.models.backends.checkpoint import Checkpoint
from augforge.models.backends.control import (
    ControlOptions,
    control_facts,
    control_options,
    find_control,
    load_control,
)
from augforge.models.backends.diffusion import Diffusion, needs
from augforge.models.backends.image_to_image import fitted
from augforge.models.backends.options import Options

if TYPE_CHECKING:
    from PIL.Image import Image

FAMILIES = {
    "StableDiffusionPipeline": "StableDiffusionAdapterPipeline",
    "StableDiffusionXLPipeline": "StableDiffusionXLAdapterPipeline",
}
"""The pipeline of a model from text alone, and that with an adapter."""


class T2IAdapter(Diffusion):
    """The adapter pipelines of diffusers, through `image` and `adapter_conditioning_scale`."""

    carries: ClassVar[frozenset[str]] = frozenset({"control"})
    options: ClassVar[type[Options]] = ControlOptions
    pipeline: ClassVar[str] = "AutoPipelineForText2Image"

    def _completed(self, pipe: Any, checkpoint: Checkpoint) -> Any:
        import diffusers

        own = control_options(self._options)
        family = type(pipe).__name__
        if family not in FAMILIES:
            kinds = " or ".join(FAMILIES)
            raise ModelError(
                f"{checkpoint.name!r} is a {family}, which takes no T2I-Adapter", f"use a model of {kinds}"
            )
        path = find_control(own)
        adapter = load_control(path, "", ("T2IAdapter",), self.dtype, own)
        self._control_facts = control_facts(own, path, adapter)
        with_adapter = getattr(diffusers, FAMILIES[family])
        wanted = inspect.signature(with_adapter.__init__).parameters
        parts = {**pipe.config, **pipe.components, "adapter": adapter}
        completed = with_adapter(**{name: part for name, part in parts.items() if name in wanted})
        completed.set_progress_bar_config(disable=True)
        return completed

    def _more_facts(self) -> dict[str, Any]:
        return self._control_facts

    def check(self, request: Request) -> None:
        """ModelError where the request has no control pictures, or a span of steps that the pipeline cannot keep."""
        super().check(request)
        needs(request.controls, "a control picture", self)
        span = request.control
        if span.start or (span.end < 1 and "adapter_conditioning_factor" not in self._takes):
            raise ModelError(
                f"{type(self._pipe).__name__} follows the adapter from the first step"
                + ("" if span.start else " to the last"),
                "leave control-start out" if span.start else "leave control-end out, or use XL",
            )

    def _condition(self, request: Request) -> dict[str, Any]:
        controls = fitted(needs(request.controls, "a control picture", self), request.size or self.native_size)
        given = {"image": self._in_channels(controls), "adapter_conditioning_scale": float(request.control.scale)}
        if "adapter_conditioning_factor" in self._takes:
            given["adapter_conditioning_factor"] = request.control.end
        return given

    def _in_channels(self, controls: Sequence[Image]) -> list[Image]:
        """In grey for an adapter of one channel, such as those for edges."""
        grey = self._pipe.adapter.config.in_channels == 1
        return [control.convert("L") for control in controls] if grey else list(controls)
