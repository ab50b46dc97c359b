"""The adapter for models of monocular depth: transformers' depth-estimation pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augforge.algorithms.weather import from_disparity
from augforge.errors import ModelError
from augforge.models.devices import pick_device, quiet, setting
from augforge.models.find import find_model
from augforge.models.pickles import refuse_pickled
from augforge.models.vision import model_folder
from augforge.optional import require

TASK = "depth-estimation"
METRIC = frozenset({"depth_pro", "glpn", "prompt_depth_anything", "zoedepth"})
"""Architectures whose answers are metres; those of others are inverse depths of no scale, unless they say otherwise."""


class DepthEstimator:
    """A model that sees how far away everything in a picture is.

    `metric` says whether it answers in metres. Otherwise it answers in inverse depths of unknown scale and offset (as
    MiDaS, DPT and Depth Anything do): what it finds nearest is put at 3 m, and what it finds furthest at `far`.
    """

    def __init__(self, name: str, device: str = "auto") -> None:
        require("torch", "transformers")
        import torch
        import transformers

        model = find_model(name, TASK)
        folder = model_folder(model)
        refuse_pickled(folder)
        quiet()
        self.device = pick_device(device)
        try:
            self._pipe: Any = transformers.pipeline(TASK, model=str(folder), device=self.device, dtype=torch.float32)
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            hint = f"is {folder} the complete directory of a model for depth estimation?"
            raise ModelError(f"model {name!r} cannot be loaded: {error}", hint) from error
        config = self._pipe.model.config
        kind = getattr(config, "depth_estimation_type", "metric" if config.model_type in METRIC else "relative")
        self.metric = kind == "metric"
        self.facts = {"model": model.facts(), **setting(self.device, torch.float32, "transformers")}

    def depth(self, image: Image.Image, far: float) -> NDArray[np.float64]:
        """(h, w) metres to what each pixel of an RGB image shows, at most `far`."""
        answer = self._pipe(image)["predicted_depth"].float().cpu().numpy().reshape(image.height, image.width)
        if not self.metric:
            return from_disparity(answer, far=far)
        metres: NDArray[np.float64] = answer.astype(np.float64).clip(0, far)
        return metres
