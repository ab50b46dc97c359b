"""The adapters for models that we trained to make pictures: day to night, and pix2pixHD."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from augforge.data.ids import rng
from augforge.errors import ModelError
from augforge.models.devices import pick_device, setting
from augforge.models.directory import Trained, read_model
from augforge.models.find import find_model
from augforge.models.table import Model
from augforge.models.tensors import to_tensor, to_unit

if TYPE_CHECKING:
    from augforge.models.networks.paired.conditions import Prepared

Pixels = NDArray[np.uint8]
MULTIPLE = 4  # the night generators halve their input twice
LEAST = 2 * MULTIPLE  # and then pad it by what lies one px inside
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class _Adapter:
    """A trained model on its device, in its precision."""

    def __init__(self, name: str, task: str, device: str, dtype: str) -> None:
        row = find_model(name, task)
        self.device = pick_device(device)
        self._dtype = DTYPES["fp32" if self.device == "cpu" else "fp16"] if dtype == "auto" else DTYPES[dtype]
        if self.device == "cpu" and self._dtype == torch.float16:
            raise ModelError("fp16 needs a GPU", "use dtype fp32 or bf16")
        self._trained = _read(row)
        self.facts = {"model": row.facts(), **setting(self.device, self._dtype)}

    @contextmanager
    def _running(self) -> Iterator[None]:
        half = self._dtype != torch.float32
        with torch.inference_mode(), torch.autocast(self.device, self._dtype, enabled=half):
            yield


def _read(row: Model) -> Trained:
    if row.directory is None:
        raise ModelError(f"{row.name!r} is no directory on this disk", "give the directory that augforge train wrote")
    return read_model(Path(row.directory))


class NightTranslator(_Adapter):
    """The generator of a day-to-night model."""

    def __init__(self, name: str, device: str = "auto", dtype: str = "auto") -> None:
        from augforge.models.networks.night import load_generator, load_reference

        super().__init__(name, "night", device, dtype)
        net = load_generator(self._trained.facts, self._trained.weights)
        self._net = net.to(self.device).eval().requires_grad_(False)
        self.size = int(self._trained.facts.get("size", 0))
        """Side in px of the squares that it was trained on."""
        self.reference = load_reference(self._trained.weights)
        """What the training's real nights were like, if that was kept."""

    def translate(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """(n, h, w, 3) in [0, 1] of n equally large RGB images; sides need not be multiples of 4."""
        day = torch.stack([to_tensor(np.asarray(image)) for image in images])
        height, width = day.shape[-2:]
        sides = [max(LEAST, side + -side % MULTIPLE) for side in (width, height)]
        padding = (0, sides[0] - width, 0, sides[1] - height)
        padded = torch.nn.functional.pad(day, padding, mode="replicate").to(self.device)
        with self._running():
            night = self._net(padded)[..., :height, :width]
        return to_unit(night)


@dataclass(frozen=True, slots=True)
class View:
    """A condition ready to be drawn, and the mask (h, w) that belongs to what comes out."""

    prepared: Prepared
    mask: Pixels | None

    @property
    def shape(self) -> tuple[int, ...]:
        """(c, h, w) of the condition."""
        return tuple(self.prepared.condition.shape)


class PairedDrawer(_Adapter):
    """A pix2pixHD generator with its conditioner and its style codes."""

    def __init__(self, name: str, device: str = "auto", dtype: str = "auto") -> None:
        from augforge.models.networks.paired.model import load_paired

        super().__init__(name, "paired", device, dtype)
        self._model = load_paired(self._trained.facts, self._trained.weights, self.device)

    @property
    def has_styles(self) -> bool:
        """Whether there are style codes to choose from."""
        return self._model.codes is not None

    @property
    def condition(self) -> str:
        """What it draws from: `labelmap`, `edges`, `downsample` or `files`."""
        return self._model.conditioner.kind

    @property
    def values(self) -> int:
        """How many classes its label maps have."""
        return self._model.conditioner.values

    @property
    def size(self) -> int:
        """The shorter side, in px, of what it draws."""
        return self._model.conditioner.size

    def view(self, image: Pixels, mask: Pixels | None, label: str | None) -> View:
        """The condition of an image (h, w, 3) as a whole: its shorter side becomes the model's size."""
        sides = self._model.whole(image.shape[1], image.shape[0])
        resized = np.asarray(Image.fromarray(image).resize(sides, Image.Resampling.BICUBIC))
        smooth = self._model.conditioner.kind == "files"
        how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
        shown = None if mask is None else np.asarray(Image.fromarray(mask).resize(sides, how))
        return View(self._model.conditioner.prepare(resized, shown, label), shown)

    def draw(self, views: Sequence[View], style_seeds: Sequence[int | None]) -> NDArray[np.float32]:
        """(n, h, w, 3) in [0, 1] of n views of equal shape; a style is chosen for every seed that is given."""
        codes = self._model.codes
        styles = None
        if codes is not None:
            styles = [None if seed is None else codes.choose(rng(seed, "style")) for seed in style_seeds]
        with self._running():
            return self._model.make([view.prepared for view in views], styles)
