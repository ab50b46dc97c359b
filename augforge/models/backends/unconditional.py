"""A model that reads nothing paints the empty part of an image, so that it goes with the rest: RePaint."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from augforge.errors import ModelError
from augforge.models.backends.base import Request
from augforge.models.backends.diffusion import Diffusion, needs
from augforge.models.backends.image_to_image import fitted
from augforge.models.backends.inpainting import mask_image
from augforge.models.backends.options import Options
from augforge.models.backends.steps import why_not

if TYPE_CHECKING:
    from augforge.models.table import Model

SCHEDULER = "RePaintScheduler"
"""What provenance calls the schedule, and the only one that can be asked for."""


class Unconditional(Diffusion):
    """A DDPMPipeline of diffusers, as `train diffusion` writes it, with RePaint's schedule in place of its own."""

    carries: ClassVar[frozenset[str]] = frozenset({"image", "mask"})
    reads_prompt: ClassVar[bool] = False
    pipeline: ClassVar[str] = "DDPMPipeline"
    accepts: ClassVar[frozenset[str]] = frozenset({"DDPMPipeline", "DDIMPipeline"})

    def __init__(
        self, model: Model | str, device: str = "auto", dtype: str = "auto", options: Options | None = None
    ) -> None:
        options = options or type(self).options()
        if options.scheduler not in (None, SCHEDULER):
            raise ModelError("an unconditional model fills in by RePaint's own schedule", "leave `scheduler` out")
        super().__init__(model, device, dtype, replace(options, scheduler=None))
        self._channels = int(self.denoiser.config.in_channels)
        if self._channels not in (1, 3):
            raise ModelError(
                f"the model works on {self._channels} channels, not on pixels", "use a DDPMPipeline of RGB images"
            )

    @property
    def native_size(self) -> tuple[int, int] | None:
        """(width, height) in px that the model was made for, None where it does not say."""
        side = self.denoiser.config.sample_size
        if side is None:
            return None
        height, width = (side, side) if isinstance(side, int) else side
        return width, height

    @property
    def trained_steps(self) -> int:
        """Steps of noise that the model was trained with."""
        return int(self._pipe.scheduler.config.num_train_timesteps)

    def check(self, request: Request) -> None:
        """ModelError where the request has no images or no masks, or steps that the model cannot take."""
        super().check(request)
        needs(request.images, "an image", self)
        needs(request.masks, "a mask", self)
        if problem := why_not(request.steps, self.trained_steps):
            raise ModelError(problem, f"give a divisor of {self.trained_steps} as `steps`")

    def _more_facts(self) -> dict[str, Any]:
        return {"scheduler": SCHEDULER}

    def _denoise(self, request: Request) -> Any:
        import torch

        from augforge.algorithms.repaint import Jumps, repaint, scheduler_for

        images = fitted(needs(request.images, "an image", self), request.size or self.native_size)
        known = torch.stack([self._pixels(image) for image in images]).to(self.device)
        masks = [np.asarray(mask_image(mask, images[0].size)) for mask in needs(request.masks, "a mask", self)]
        keep = torch.from_numpy(np.stack(masks) == 0)[:, None].to(self.device, known.dtype)
        scheduler = scheduler_for(self._pipe.scheduler, request.steps, request.jumps or Jumps())
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in request.seeds]
        made = repaint(self._noise, scheduler, known, keep, generators)
        unit = (made / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
        return np.broadcast_to(unit, (*unit.shape[:3], 3))

    def _pixels(self, image: Any) -> Any:
        """(c, h, w) in [-1, 1], float32: RePaint reckons in that, whatever the model does."""
        import torch

        pixels = torch.from_numpy(np.asarray(image, np.float32) / np.float32(127.5) - 1).permute(2, 0, 1)
        return pixels if self._channels == 3 else pixels.mean(0, keepdim=True)

    def _noise(self, pictures: Any, time: Any) -> Any:
        """The noise in pictures (n, c, h, w), whatever the model predicts."""
        said = self.denoiser(pictures.to(self.dtype), time).sample.float()[:, : self._channels]
        scheduler = self._pipe.scheduler
        signal = scheduler.alphas_cumprod[time].to(pictures.device)
        root, rest = signal**0.5, (1 - signal) ** 0.5
        kind = scheduler.config.get("prediction_type", "epsilon")
        if kind == "v_prediction":
            return root * said + rest * pictures
        return (pictures - root * said) / rest if kind == "sample" else said
