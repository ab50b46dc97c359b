"""The logit scale of image-text models: what their cosines were multiplied by when they learnt."""

from __future__ import annotations

import math
from pathlib import Path

from augforge.errors import ModelError
from augforge.models.image_text import READ_FIRST
from augforge.models.table import Model
from augforge.models.vision import model_folder
from augforge.optional import require

NAME = "logit_scale"
"""The tensor that open_clip and transformers keep the logarithm of the scale in."""


def logit_scale_of(model: Model) -> float | None:
    """exp(logit_scale) of a checkpoint, read without loading the model; None where no file has such a tensor.

    Raises:
        ModelError: a file of weights cannot be read, or the scale is no finite number.
    """
    if model.directory is None and not model.location.startswith("hub:"):
        return None  # open_clip keeps these under names of its own
    require("safetensors", "torch", who="a logit scale", error=ModelError)
    from safetensors import SafetensorError, safe_open

    for path in _weights_of(model_folder(model)):
        try:
            with safe_open(path, framework="pt") as tensors:
                if NAME in tensors.keys():  # noqa: SIM118 - what safetensors opens is no mapping
                    return _exp(float(tensors.get_tensor(NAME).double().reshape(())), path)
        except (OSError, SafetensorError, RuntimeError) as error:
            raise ModelError(f"{path} cannot be read: {error}", "are the model's files complete?") from error
    return None


def _weights_of(folder: Path) -> list[Path]:
    """The files of weights in a directory, those first that open_clip reads."""
    files = sorted(folder.glob("*.safetensors"))
    return next(([folder / name] for name in READ_FIRST if folder / name in files), files)


def _exp(logarithm: float, path: Path) -> float:
    if not math.isfinite(logarithm) or logarithm > math.log(1e6):
        raise ModelError(f"{path}: its {NAME} is {logarithm}", "give the scale: what cosines are multiplied by")
    return math.exp(logarithm)
