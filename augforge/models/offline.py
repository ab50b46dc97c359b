"""Real weights that need no hub: they come as ordinary Python packages, and their digests are checked.

EfficientNet-Lite2 (Tan & Le, 2019; the Lite variants, 2020), trained on ImageNet, embeds and classifies photos.
Open-NSFW (Yahoo, 2016) says how likely a photo is pornographic.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augforge.errors import ModelError
from augforge.models.batches import in_batches
from augforge.models.devices import pick_device
from augforge.models.find import find_model
from augforge.models.table import Model
from augforge.models.vision import Tower, timm_preprocessing
from augforge.optional import require

if TYPE_CHECKING:
    from torch import Tensor, nn

ARCHITECTURE = "tf_efficientnet_lite2"
NSFW_RESIZE, NSFW_SIZE = 256, 224
NSFW_MEAN = (104.0, 117.0, 123.0)
"""Of the channels blue, green, red in 0..255."""


def package_file(model: Model) -> Path:
    """The checked file of a row that lies in a Python package.

    Raises:
        ModelError: the package is not installed, or the file is missing or another one.
    """
    if model.directory is None:
        raise ModelError(f"{model.name!r} lies in no Python package", "name a model that does")
    path, hint = model.directory / str(model.options["file"]), "install the package that it belongs to again"
    if not path.is_file():
        raise ModelError(f"{path} is missing", hint)
    stat = path.stat()
    if _sha256(path, stat.st_size, stat.st_mtime_ns) != model.revision:
        raise ModelError(f"{path} is not the file that augforge knows: its SHA-256 differs", hint)
    return path


@cache
def _sha256(path: Path, size: int, changed: int) -> str:
    """Computed again only when the file's size or time has changed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Lite2(Tower):
    """EfficientNet-Lite2: vectors (1280,) of unit length, and logits over the 1,000 ImageNet classes."""

    def __init__(self, model: Model, device: str = "auto") -> None:
        require("timm", "torch")
        import timm
        import torch

        net = lite2_network(package_file(model)).to(pick_device(device))
        self._net = net.to(memory_format=torch.channels_last)  # 1.8 times as fast on a CPU
        preprocessing = timm_preprocessing(timm.data.resolve_model_data_config(self._net))
        super().__init__(model, preprocessing, self._pooled, pick_device(device), "timm", self._net)
        self.classes = imagenet_classes()

    def _pooled(self, batch: Tensor) -> Tensor:
        features: Tensor = self._net.forward_head(self._net.forward_features(batch), pre_logits=True)  # type: ignore[operator]  # timm gives it
        return features

    def logits(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """(n, 1000) logits of n RGB images, in the order of `classes`."""

        def load(few: Sequence[int]) -> NDArray[np.float32]:
            seen = np.stack([self.preprocessing.resize_and_crop(images[number]) for number in few])
            return self.preprocessing.normalize(seen, "cpu").numpy()

        return in_batches(self._net, load, range(len(images)))


class Lite2Logits:
    """The same network as a classifier: its vectors are logits (1000,)."""

    def __init__(self, model: Model, device: str = "auto") -> None:
        self._net = Lite2(model, device)
        self.classes = self._net.classes
        self.facts = self._net.facts

    def embed_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """(n, 1000) logits of n RGB images, in the order of `classes`."""
        return self._net.logits(images)


open_lite2 = Lite2


def lite2_network(path: Path) -> nn.Module:
    """timm's tf_efficientnet_lite2 with the weights of the package's file, ready to answer."""
    require("timm", "torch")
    import timm
    import torch

    net: nn.Module = timm.create_model(ARCHITECTURE)
    found = torch.load(path, map_location="cpu", weights_only=True)
    net.load_state_dict(renamed(found, [len(stage) for stage in net.blocks]))  # type: ignore[union-attr]  # a list of stages
    return net.eval()


def renamed(found: Mapping[str, Any], depths: Sequence[int]) -> dict[str, Any]:
    """The tensors under timm's names.

    The file counts its blocks through, timm by stage: `depths` are the blocks of each stage. A block without
    expansion, those of the first stage, has two convolutions around one depth-wise; timm counts its norms from the
    first that is there.
    """
    places = [f"blocks.{stage}.{place}" for stage, depth in enumerate(depths) for place in range(depth)]
    outer = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    full = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
    full |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
    plain = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    expanding = {name.split(".")[1] for name in found if "_expand_conv" in name}

    def name_of(name: str) -> str:
        if block := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
            number, layer, tensor = block.groups()
            return f"{places[int(number)]}.{(full if number in expanding else plain)[layer]}.{tensor}"
        layer, _, tensor = name.partition(".")
        return f"{outer[layer]}.{tensor}"

    return {name_of(name): tensor for name, tensor in found.items()}


@cache
def imagenet_classes() -> list[str]:
    """The 1,000 classes of ImageNet-1k in the usual order, the first word or words for each."""
    require("timm")
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    return [info.index_to_description(number).split(",")[0] for number in range(1000)]


class OpenNsfw:
    """Open-NSFW as ONNX. One session, which may be asked from several threads."""

    def __init__(self, model: Model) -> None:
        path = package_file(model)
        require("onnxruntime", who="Open-NSFW", error=ModelError)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the callers are several threads already
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def risks(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """(n,) probability in [0, 1] that each of n RGB images is pornographic."""
        batch = np.stack([nsfw_input(image) for image in images])
        risks: NDArray[np.float32] = self._session.run(None, {self._input: batch})[0][:, 1]
        return risks


def nsfw_input(image: Image.Image) -> NDArray[np.float32]:
    """(224, 224, 3) what Open-NSFW sees: squashed to 256 px, once through JPEG as in training, its centre, as BGR."""
    squashed = image.resize((NSFW_RESIZE, NSFW_RESIZE), Image.Resampling.BILINEAR)
    through = io.BytesIO()
    squashed.save(through, "JPEG")
    values = np.asarray(Image.open(through).convert("RGB"), dtype=np.float32)
    edge = (NSFW_RESIZE - NSFW_SIZE) // 2
    centre = values[edge : edge + NSFW_SIZE, edge : edge + NSFW_SIZE, ::-1]
    return np.ascontiguousarray(centre - np.array(NSFW_MEAN, dtype=np.float32))


@cache
def open_nsfw() -> OpenNsfw:
    """The checker, loaded once; ModelError where it cannot be had."""
    return OpenNsfw(find_model("open-nsfw", "safety"))


def open_nsfw_risk(image: Image.Image) -> float:
    """The risk in [0, 1] of one RGB image, as `filter: safety` asks its checker."""
    return float(open_nsfw().risks([image])[0])
