"""The adapter for image classifiers with published weights: a directory or repository of transformers or timm."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augforge.data.preprocessing import Preprocessing, Seen
from augforge.errors import ModelError
from augforge.models.devices import pick_device, quiet, setting
from augforge.models.image_text import BATCH
from augforge.models.pickles import refuse_pickled
from augforge.models.table import Model
from augforge.models.tasks import vision_backend
from augforge.models.vision import model_folder, processor_preprocessing, timm_preprocessing
from augforge.optional import require

if TYPE_CHECKING:
    from torch import Tensor

Vectors = NDArray[np.float32]
Opened = tuple[Any, Callable[["Tensor"], "Tensor"], Preprocessing]


class ImageClassifier:
    """A published classifier on its device. `classes` are the c names that its logits stand for, in their order."""

    def __init__(self, model: Model, device: str = "auto") -> None:
        require("torch")
        import torch

        folder = model_folder(model)
        self.classes, self.device = named_classes(folder), pick_device(device)
        refuse_pickled(folder)
        library = vision_backend(folder)
        try:
            net, self._encode, self.preprocessing = _opened(folder, library)
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"model {model.name!r} cannot be loaded: {error}", f"is {folder} complete?") from error
        net.to(self.device).eval()
        self.facts = {"model": model.facts(), **setting(self.device, torch.float32, str(library))}

    def embed_images(self, images: Sequence[Image.Image]) -> Vectors:
        """(n, c) logits of n RGB images, n >= 1, whatever their neighbours."""
        return self.embed_preprocessed(np.stack([self.preprocessing.resize_and_crop(image) for image in images]))

    def embed_preprocessed(self, seen: Seen) -> Vectors:
        """(n, c) logits of n images that `preprocessing` has looked at."""
        import torch

        parts = []
        for start in range(0, len(seen), BATCH):
            few = seen[start : start + BATCH]
            full = np.concatenate([few, np.repeat(few[-1:], BATCH - len(few), axis=0)])
            with torch.inference_mode():
                logits = self._encode(self.preprocessing.normalize(full, self.device))
            parts.append(logits[: len(few)].float().cpu().numpy())
        return np.concatenate(parts)


def _opened(folder: Path, library: str | None) -> Opened:
    """The network of a directory, what makes logits of a batch, and how it sees."""
    if library == "timm":
        require("timm")
        import timm

        net = timm.create_model(f"local-dir:{folder}", pretrained=True)
        return net, net, timm_preprocessing(timm.data.resolve_model_data_config(net))
    require("transformers")
    import transformers

    quiet()
    facts = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    loader = transformers.AutoModelForImageClassification
    net, info = loader.from_pretrained(folder, output_loading_info=True, use_safetensors=True)
    if lost := sorted(info["missing_keys"]):
        raise ValueError(f"{len(lost)} of its tensors are missing, {lost[0]} for one")
    return net, lambda batch: net(pixel_values=batch).logits, processor_preprocessing(facts)


def named_classes(folder: Path) -> list[str]:
    """The names of the classes, from config.json alone: numbers where timm's has none.

    Raises:
        ModelError: it names none.
    """
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if "architecture" in found:
            numbers = range(int(found["num_classes"]))
            return [str(name) for name in found.get("label_names") or numbers]
        names = {int(number): str(name) for number, name in found["id2label"].items()}
        return [names[number] for number in range(len(names))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{folder} does not name its classes: {error}", "its config.json needs id2label (transformers)"
        ) from error
