"""The adapter for copy detectors: a directory with `config.json` and `model.safetensors` of SSCD."""

from __future__ import annotations

import json

from PIL import Image

from augforge.data.preprocessing import Preprocessing
from augforge.errors import ModelError
from augforge.models.devices import pick_device
from augforge.models.pickles import refuse_pickled
from augforge.models.table import Model
from augforge.models.vision import Tower, model_folder
from augforge.optional import require

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE, POWER = 320, 3.0
"""The side in px to which images are squashed, and the power of the mean, as published; config.json may say others."""


def open_copy_detector(model: Model, device: str = "auto") -> Tower:
    """What embeds images with the copy detector of this row.

    Raises:
        ModelError: its weights are of another network, or missing.
    """
    require("torch", "timm", "safetensors")
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from augforge.models.networks.copies import copy_detector

    folder = model_folder(model)
    refuse_pickled(folder)
    try:
        facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        net = copy_detector(load_file(folder / "model.safetensors"), float(facts.get("power", POWER)))
        side = int(facts.get("size", SIZE))
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"the copy detector in {folder} cannot be loaded: {error}",
            "SSCD's ResNet with torchvision's names is known here: see the page on filters, memorised",
        ) from error
    net = net.to(pick_device(device)).eval()
    seen = Preprocessing(side, MEAN, STD, None, Image.Resampling.BILINEAR)
    return Tower(model, seen, net, pick_device(device), "timm", net)
