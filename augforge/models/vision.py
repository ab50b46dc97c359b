"""Adapters for models that embed images: open_clip's, transformers' vision models, timm's networks without a head."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augforge.data.preprocessing import Preprocessing, Seen
from augforge.errors import ModelError
from augforge.models.devices import pick_device, quiet, setting
from augforge.models.hub import failure
from augforge.models.image_text import BATCH, ImageText
from augforge.models.pickles import refuse_pickled
from augforge.models.table import Model
from augforge.models.tasks import vision_backend
from augforge.models.text_towers import TextTower
from augforge.optional import require

if TYPE_CHECKING:
    from torch import Tensor

Vectors = NDArray[np.float32]
FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
"""What is fetched of a repository on the hub: configurations, weights, and what a tokenizer needs."""
CLASS_TOKENS = ("cls_token", "class_token", "class_embedding")
"""What vision models of transformers call the token that stands for the whole picture."""


class ImageEmbedder(Protocol):
    """A model that turns each image into a vector: of unit length, or a classifier's logits."""

    def embed_images(self, images: Sequence[Image.Image]) -> Vectors:
        """(n, d) the vectors of n RGB images, whatever their neighbours in the batch."""


class Tower:
    """A network that embeds images after its `preprocessing`. `encode` turns (n, 3, s, s) into (n, d)."""

    def __init__(
        self,
        model: Model,
        preprocessing: Preprocessing,
        encode: Callable[[Tensor], Tensor],
        device: str,
        library: str,
        network: Any,
    ):
        import torch

        self.preprocessing, self.device, self._encode = preprocessing, device, encode
        self.network = network
        self.facts = {"model": model.facts(), **setting(device, torch.float32, library)}

    def embed_images(self, images: Sequence[Image.Image]) -> Vectors:
        """(n, d) embeddings of n RGB images, n >= 1, of unit length."""
        return self.embed_preprocessed(np.stack([self.preprocessing.resize_and_crop(image) for image in images]))

    def embed_preprocessed(self, seen: Seen) -> Vectors:
        """(n, d) embeddings of n images that `preprocessing` has looked at, of unit length."""
        return in_batches(self._encode, seen, self.preprocessing, self.device)


class TwoTowers(Tower):
    """A model of transformers that embeds images, and texts by its `texts`."""

    texts: TextTower

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """(n, d) embeddings of n texts, of unit length."""
        return self.texts.embed_texts(texts)


class ClipTower(ImageText):
    """An image-text model of open_clip; `preprocessing` is None where `Preprocessing` cannot say how it sees."""

    def __init__(self, model: Model, device: str = "auto") -> None:
        super().__init__(model, device)
        self.preprocessing = clip_preprocessing(self._net.visual.preprocess_cfg)
        self.network = self._net.visual

    def embed_preprocessed(self, seen: Seen) -> Vectors:
        """(n, d) embeddings of n images that `preprocessing` has looked at, of unit length."""
        if self.preprocessing is None:
            raise TypeError("images of this model are not preprocessed ahead: give them to `embed_images`")
        return in_batches(self._net.encode_image, seen, self.preprocessing, self.device)


def open_tower(model: Model, device: str = "auto") -> ClipTower | Tower:
    """What embeds images with the model of this row.

    Raises:
        ModelError: it cannot be loaded, or it sees images in a way that is not known here.
    """
    if model.backends == ("open_clip",):
        return ClipTower(model, device)
    folder = model_folder(model)
    backend = vision_backend(folder)
    if backend == "open_clip":
        return ClipTower(model, device)
    if backend not in ("transformers", "timm"):
        raise ModelError(f"{model.name!r} has no config.json of a model that embeds images", "which model is it?")
    refuse_pickled(folder)
    opened = {"transformers": _open_transformers, "timm": _open_timm}[backend]
    try:
        return opened(model, folder, pick_device(device))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"model {model.name!r} cannot be loaded: {error}", f"is {folder} complete?") from error


def model_folder(model: Model) -> Path:
    """The directory with the model's files, from the hub (or its local cache) if need be; of the hub's, `FILES`."""
    if model.directory is not None:
        return model.directory
    from huggingface_hub import snapshot_download

    name = model.location.removeprefix("hub:")
    try:
        return Path(snapshot_download(name, revision=model.revision, allow_patterns=FILES))
    except (OSError, ValueError) as error:  # huggingface_hub's errors are of these
        hint = "is the model hub in reach, or is the model in the local cache?"
        raise ModelError(f"the model {name!r} cannot be had from the hub: {failure(error)}", hint) from error


def in_batches(encode: Callable[[Tensor], Tensor], seen: Seen, preprocessing: Preprocessing, device: str) -> Vectors:
    """(n, d) vectors of unit length of n >= 1 images (n, s, s, 3), computed in padded batches of one size."""
    import torch

    parts = []
    for start in range(0, len(seen), BATCH):
        few = seen[start : start + BATCH]
        full = few if len(few) == BATCH else np.concatenate([few, np.repeat(few[-1:], BATCH - len(few), axis=0)])
        with torch.inference_mode():
            vectors = torch.nn.functional.normalize(encode(preprocessing.normalize(full, device)).float(), dim=-1)
        parts.append(vectors[: len(few)].cpu().numpy())
    return np.concatenate(parts)


def clip_preprocessing(facts: Mapping[str, Any]) -> Preprocessing | None:
    """How an open_clip model sees, None if in another way than `Preprocessing` can say."""
    size = facts["size"]
    sides = {size} if isinstance(size, int) else set(size)
    known = facts["resize_mode"] in ("shortest", "squash") and facts["interpolation"] in ("bicubic", "bilinear")
    if not known or len(sides) != 1:
        return None
    (side,) = sides
    resize = side if facts["resize_mode"] == "shortest" else None
    resample = Image.Resampling[facts["interpolation"].upper()]
    return Preprocessing(side, tuple(facts["mean"]), tuple(facts["std"]), resize, resample)


def _open_timm(model: Model, folder: Path, device: str) -> Tower:
    """A timm network without its head, from the directory that timm's save_for_hf wrote (with safe_serialization)."""
    require("timm")
    import timm

    net = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).to(device).eval()
    return Tower(model, timm_preprocessing(timm.data.resolve_model_data_config(net)), net, device, "timm", net)


def timm_preprocessing(facts: Mapping[str, Any]) -> Preprocessing:
    """How a timm network sees, from its data configuration."""
    _, height, width = facts["input_size"]
    if height != width or facts["crop_mode"] not in ("center", "squash"):
        raise ValueError(f"it sees {height}x{width} px, crop mode {facts['crop_mode']}, which is not supported")
    shorter = None if facts["crop_mode"] == "squash" else int(height / facts["crop_pct"])
    resample = Image.Resampling[facts["interpolation"].upper()]
    return Preprocessing(height, tuple(facts["mean"]), tuple(facts["std"]), shorter, resample)


def _open_transformers(model: Model, folder: Path, device: str) -> Tower:
    """A vision model of transformers, from the directory that save_pretrained wrote."""
    require("transformers")
    import transformers

    quiet()
    preprocessing = processor_preprocessing(
        json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    )
    names = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures") or [""]
    projects = names[0].endswith("VisionModelWithProjection")
    loader = getattr(transformers, names[0]) if projects else transformers.AutoModel
    net, info = loader.from_pretrained(folder, output_loading_info=True, use_safetensors=True)
    missing = sorted(info["missing_keys"])
    unpooled = any("pooler." in name for name in missing)
    if lost := [name for name in missing if "pooler." not in name]:
        raise ValueError(f"{len(lost)} of its tensors are missing, {lost[0]} for one")
    net = net.to(device).eval()

    def encode(batch: Tensor) -> Tensor:
        return transformers_vectors(net, batch, not unpooled)

    if not hasattr(net, "get_text_features"):
        return Tower(model, preprocessing, encode, device, "transformers", net)
    both = TwoTowers(model, preprocessing, encode, device, "transformers", net)
    both.texts = TextTower(net, folder, device)
    return both


def transformers_vectors(net: Any, batch: Tensor, pooled: bool) -> Tensor:
    """(n, d) what a vision model of transformers says of n images.

    In this order: the projection into the space shared with texts; what its pooler gives, if its weights were in the
    checkpoint (`pooled`); the class token; the mean of all tokens of a model without one, such as AIMv2.
    """
    if hasattr(net, "get_image_features"):
        found = net.get_image_features(pixel_values=batch)
        vectors = getattr(found, "pooler_output", found)
    else:
        found = net(pixel_values=batch)
        vectors = getattr(found, "image_embeds", None)
        if vectors is None and pooled:
            vectors = getattr(found, "pooler_output", None)
        if vectors is None:
            vectors = found.last_hidden_state[:, 0] if _has_class_token(net) else found.last_hidden_state.mean(dim=1)
    flat: Tensor = vectors.flatten(1)
    return flat


def _has_class_token(net: Any) -> bool:
    """Whether the first token of a vision model of transformers stands for the whole picture."""
    return any(name.rpartition(".")[2] in CLASS_TOKENS for name, _ in net.named_parameters())


def processor_preprocessing(facts: Mapping[str, Any]) -> Preprocessing:
    """How a vision model of transformers sees, from its preprocessor_config.json; ValueError where it is not known."""
    if not _has_usual_steps(facts):
        raise ValueError("its preprocessor_config.json asks for what is not supported")
    size, cropped = facts["size"], facts.get("do_center_crop", False)
    resample = Image.Resampling(facts.get("resample", Image.Resampling.BICUBIC))
    mean, std = tuple(facts["image_mean"]), tuple(facts["image_std"])
    shorter = size.get("shortest_edge") if isinstance(size, dict) else size if cropped else None
    if shorter is None and not cropped:
        return Preprocessing(_side(size), mean, std, None, resample)
    if shorter is None or not cropped:
        raise ValueError(f"the size {size} of its pictures is not supported")
    return Preprocessing(_side(facts.get("crop_size", shorter)), mean, std, shorter, resample)


def _has_usual_steps(facts: Mapping[str, Any]) -> bool:
    """Whether images are resized, divided by 255 and normalised, and not padded."""
    usual = all(facts.get(name, True) for name in ("do_resize", "do_rescale", "do_normalize"))
    by_255 = abs(facts.get("rescale_factor", 1 / 255) * 255 - 1) <= 1e-6
    return usual and by_255 and not facts.get("do_pad")


def _side(size: Any) -> int:
    """The side of a square, from a number or `height` and `width`."""
    sides = {size["height"], size["width"]} if isinstance(size, dict) else {size}
    if len(sides) != 1:
        raise ValueError(f"its pictures are not square but {size}")
    side: int = sides.pop()
    return side
