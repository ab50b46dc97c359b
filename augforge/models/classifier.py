"""The adapter for classifiers that we trained: a timm network, or a linear probe on an embedder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augforge.data.ids import key, seed_of
from augforge.errors import ModelError
from augforge.models.batches import in_batches
from augforge.models.devices import pick_device, setting
from augforge.models.digests import digest
from augforge.models.directory import read_model, read_record
from augforge.models.embedders import load_embedder
from augforge.models.find import find_model
from augforge.models.table import Model, model_digest
from augforge.optional import require

if TYPE_CHECKING:
    from torch import Tensor, nn

    from augforge.models.vision import ClipTower, Tower

Vectors = NDArray[np.float32]
LEAST_AREA, LONGEST = 0.35, 4 / 3
MOST_PIXELS = 1 << 24
"""px that a picture is resized to as a whole."""
FROM_HUB = "pretrained"
TASK, PROBE, TIMM = "classification", "probe", "timm:"


@dataclass(frozen=True, slots=True)
class View:
    """How a network sees a picture: its shorter side becomes `resize` px, the centre `size` px are cut out, and each
    channel in [0, 1] loses `mean` and is divided by `std`."""

    size: int
    resize: int
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def resample(self) -> Image.Resampling:
        """Pillow's filter for both kinds of crop."""
        return Image.Resampling[self.interpolation.upper()]

    def centre(self, image: Image.Image) -> Image.Image:
        """The middle of an RGB image, `size` px wide and high."""
        scale = self.resize / min(image.size)
        width, height = (max(self.size, round(side * scale)) for side in image.size)
        left, top = (width - self.size) // 2, (height - self.size) // 2
        if width * height > MOST_PIXELS:  # what the crop shows alone: the same but for the last bit
            across, down = image.width / width, image.height / height
            box = (left * across, top * down, (left + self.size) * across, (top + self.size) * down)
            return image.resize((self.size, self.size), self.resample, box=box)
        return image.resize((width, height), self.resample).crop((left, top, left + self.size, top + self.size))

    def random(self, image: Image.Image, random: np.random.Generator, flip: bool = True) -> Image.Image:
        """A crop of an RGB image at random, `size` px wide and high; half of them are mirrored unless `flip` is false.

        It has 0.35 to 1 of the area and is up to a third longer or higher than the image, as far as it has room.
        """
        area, shape = random.uniform(LEAST_AREA, 1), np.exp(random.uniform(-1, 1) * np.log(LONGEST))
        across = min(1.0, np.sqrt(area * shape))
        down = min(1.0, np.sqrt(area / shape))
        left, top = random.uniform(0, 1 - across) * image.width, random.uniform(0, 1 - down) * image.height
        box = (left, top, left + across * image.width, top + down * image.height)
        crop = image.resize((self.size, self.size), self.resample, box=box)
        return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 and flip else crop

    def numbers(self, image: Image.Image) -> Vectors:
        """(3, size, size) normalised channels of an RGB image that is `size` px wide and high."""
        values = (np.asarray(image, dtype=np.float32) / 255 - self.mean) / self.std
        return np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32)

    def facts(self) -> dict[str, Any]:
        """What a model directory records of it."""
        plain = {"size": self.size, "resize": self.resize, "interpolation": self.interpolation}
        return {**plain, "mean": list(self.mean), "std": list(self.std)}


class Classifier:
    """A trained classifier on its device. `classes` are the c names that its logits stand for, in their order."""

    def __init__(self, model: Model, device: str = "auto") -> None:
        require("torch")
        import torch

        self.device = pick_device(device)
        trained = read_model(_directory(model))
        self.classes = trained_classes(model)
        try:
            net, self._inputs, embedder = self._parts(trained.facts, trained.weights)
            net.load_state_dict(dict(trained.weights))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"the classifier in {_directory(model)} is damaged: {error}", "train it again") from error
        self._net = net.to(self.device).eval()
        self.facts = {"model": model.facts(), **embedder, **setting(self.device, torch.float32, "timm")}

    def logits(self, images: Sequence[Image.Image]) -> Vectors:
        """(n, c) logits of n RGB images, whatever their neighbours."""
        if not images:
            return np.zeros((0, len(self.classes)), dtype=np.float32)
        return in_batches(self._net, lambda few: self._inputs([images[i] for i in few]), range(len(images)))

    def embed_images(self, images: Sequence[Image.Image]) -> Vectors:
        """The logits, under the name by which every model that makes vectors is asked."""
        return self.logits(images)

    def _parts(
        self, facts: Mapping[str, Any], weights: Mapping[str, Tensor]
    ) -> tuple[nn.Module, Callable[[list[Image.Image]], Vectors], dict[str, Any]]:
        """The network without its weights, what feeds it, and what provenance adds for a probe."""
        from augforge.models.networks.probe import Probe

        architecture = str(facts["architecture"])
        if architecture == PROBE:
            embedder = _embedder(facts["embedder"], self.device)
            width = weights["head.weight"].shape[1]
            return Probe(width, len(self.classes)), embedder.embed_images, {"embedder": embedder.facts["model"]}
        view = view_of(facts)
        net = timm_network(architecture.removeprefix(TIMM), len(self.classes), view.size)
        return net, lambda images: np.stack([view.numbers(view.centre(image)) for image in images]), {}


def trained_classes(model: Model) -> list[str]:
    """The names of the classes of a classifier that was trained here, without loading it.

    Raises:
        ModelError: the directory holds no classifier.
    """
    folder = _directory(model)
    record = read_record(folder)
    if record is None or record["task"] != TASK:
        found = "no trained model" if record is None else f"a model for {record['task']}"
        raise ModelError(f"{folder} holds {found}, no classifier", "give what augforge train classifier wrote")
    try:
        return [str(name) for name in record["facts"]["classes"]]
    except (KeyError, TypeError) as error:
        raise ModelError(f"{folder} does not name its classes", "train the classifier again") from error


def view_of(facts: Mapping[str, Any]) -> View:
    """The view that a model directory records. KeyError where it does not."""
    mean, std = tuple(facts["mean"]), tuple(facts["std"])
    return View(int(facts["size"]), int(facts["resize"]), str(facts["interpolation"]), mean, std)


def begin_timm(
    name: str, classes: int, size: int | None, pretrained: str | None, seed: int
) -> tuple[nn.Module, dict[str, Any]]:
    """A network of timm to begin from, and a record of the file that its weights came from."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(key(seed, "initial weights")))
        net = timm_network(name, classes, size)
    if pretrained is None:
        return net, {}
    path = download_timm(name) if pretrained == FROM_HUB else Path(pretrained)
    fill_timm(net, name, path)
    return net, {"began-with": {"name": path.name, "digest": digest(path)}}


def timm_network(name: str, classes: int, size: int | None) -> nn.Module:
    """A network of timm with fresh weights and an output for each class; ModelError where timm has none such."""
    require("timm")
    import timm

    if not timm.is_model(name):
        close = get_close_matches(name, timm.list_models(), n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else "timm.list_models() names them"
        raise ModelError(f"timm has no network called {name!r}", hint)
    try:
        config = timm.get_pretrained_cfg(name)
        fixed = {"img_size": size} if size and config is not None and config.fixed_input_size else {}
        net: nn.Module = timm.create_model(name, num_classes=classes, **fixed)
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise ModelError(f"timm:{name} cannot be built: {error}", "try another size or network") from error
    return net


def timm_view(net: nn.Module, size: int | None) -> View:
    """How a network of timm was meant to see; with another `size`, the same share of the picture."""
    require("timm")
    from timm.data import resolve_model_data_config

    config = resolve_model_data_config(net)
    side = size or int(config["input_size"][-1])
    known = str(config["interpolation"]).upper() in Image.Resampling.__members__
    interpolation = str(config["interpolation"]) if known else "bicubic"
    return View(side, int(side / config["crop_pct"]), interpolation, tuple(config["mean"]), tuple(config["std"]))


def download_timm(name: str) -> Path:
    """timm's own weights, as safetensors and never as a pickle."""
    require("timm")
    import timm
    from huggingface_hub import hf_hub_download

    config = timm.get_pretrained_cfg(name)
    place = config.hf_hub_id if config is not None else None
    hint = f"give as weights a safetensors file of timm's {name}, or leave weights out to begin from random ones"
    if not place:
        raise ModelError(f"the hub has no weights of timm:{name}", hint)
    try:
        return Path(hf_hub_download(place, "model.safetensors"))
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(f"the weights of timm:{name} are not to be had from the hub: {reason}", hint) from error


def fill_timm(net: nn.Module, name: str, path: Path) -> None:
    """Put the weights of a safetensors file into a network; a head for other classes stays as it is."""
    require("safetensors")
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    hint = f"give a safetensors file with the weights of timm's {name}"
    if path.suffix != ".safetensors" or not path.is_file():
        raise ModelError(f"{path} is no safetensors file", hint)
    try:
        found, own = load_file(path), net.state_dict()
        heads: Any = net.pretrained_cfg["classifier"]  # type: ignore[index]  # timm sets it
        for head in (heads,) if isinstance(heads, str) else heads:
            for key in (f"{head}.weight", f"{head}.bias"):
                if key in own and (key not in found or found[key].shape != own[key].shape):
                    found[key] = own[key]
        net.load_state_dict(found)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ModelError(f"{path} does not fit timm:{name}: {error}", hint) from error


def _directory(model: Model) -> Path:
    if model.directory is None:
        raise ModelError(f"{model.name!r} is no directory with a classifier", "give what augforge train wrote")
    return model.directory


def _embedder(recorded: Mapping[str, Any], device: str) -> ClipTower | Tower:
    """The embedder that the probe was trained on, and no other."""
    row = find_model(str(recorded["name"]), "image-embedding")
    if model_digest(row) != recorded["digest"]:
        raise ModelError(
            f"the probe was trained on another {row.name!r} than the one that is here: their digests differ",
            "restore that embedder, or train the probe again",
        )
    return load_embedder(row, device)
