"""Heads that make one number of an embedding: linear layers, one or several, as published for aesthetic scores."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from augforge.errors import ModelError
from augforge.models.table import Model
from augforge.models.vision import model_folder
from augforge.optional import require

Floats = NDArray[np.float64]
Activation = Literal["none", "relu"]


class ScoreHead:
    """Linear layers after each other: `layers` are (weight (out, in), bias (out,)), the last one with one output."""

    def __init__(self, layers: Sequence[tuple[Floats, Floats]], activation: Activation = "none") -> None:
        self.layers, self.activation = layers, activation

    @property
    def width(self) -> int:
        """Of how many numbers an embedding has to be."""
        return int(self.layers[0][0].shape[1])

    def scores(self, vectors: NDArray[np.float32]) -> Floats:
        """(n,) what the head says of vectors (n, width); with `relu` between its layers, not after the last."""
        found = vectors.astype(np.float64)
        for place, (weight, bias) in enumerate(self.layers):
            found = found @ weight.T + bias
            if self.activation == "relu" and place < len(self.layers) - 1:
                found = np.maximum(found, 0)
        flat: Floats = found[:, 0]
        return flat


def load_head(model: Model, activation: Activation = "none") -> ScoreHead:
    """The head of a row: a safetensors file, a directory or repository that holds one.

    Raises:
        ModelError: there is none, or its tensors are no linear layers that end in one number.
    """
    require("safetensors", who="a head", error=ModelError)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = _weights_of(model)
    try:
        return ScoreHead(layers_of(load_file(path)), activation)
    except (OSError, SafetensorError, ValueError) as error:
        hint = "linear layers are known here: `NAME.weight` (out, in) and `NAME.bias` (out,), the last with one output"
        raise ModelError(f"{path} is no head that can be used: {error}", hint) from error


def layers_of(tensors: Mapping[str, NDArray[Any]]) -> list[tuple[Floats, Floats]]:
    """The layers among tensors, in the order of the numbers in their names; a bias that is missing is 0.

    Raises:
        ValueError: another tensor is among them, or a layer does not fit the next one.
    """
    names = sorted((name for name in tensors if name.rpartition(".")[2] == "weight"), key=_in_order)
    if others := tensors.keys() - {*names, *map(_bias_of, names)}:
        raise ValueError(f"what is {min(others)}?")
    if not names or any(tensors[name].ndim != 2 for name in names):
        raise ValueError("it has no linear layers, or others beside them")
    layers = [_layer(tensors, name) for name in names]
    inputs, outputs = zip(*(weight.shape[::-1] for weight, _ in layers), strict=True)
    if outputs != (*inputs[1:], 1):
        raise ValueError(f"layers of {inputs} inputs and {outputs} outputs do not end in one number")
    return layers


def _layer(tensors: Mapping[str, NDArray[Any]], name: str) -> tuple[Floats, Floats]:
    """The weight called `name` and its bias; ValueError where that is not of one number for each output."""
    weight = tensors[name].astype(np.float64)
    bias = tensors.get(_bias_of(name), np.zeros(len(weight))).astype(np.float64)
    if bias.shape != (len(weight),):
        raise ValueError(f"{_bias_of(name)} has shape {bias.shape}, not ({len(weight)},)")
    return weight, bias


def _bias_of(name: str) -> str:
    """The name of the bias of the weight called `name`."""
    return name.removesuffix("weight") + "bias"


def _in_order(name: str) -> list[tuple[int, str]]:
    """What names are sorted by, so that layer 10 comes after layer 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _weights_of(model: Model) -> Path:
    """The one safetensors file of a row."""
    place = model_folder(model)
    files = [place] if place.is_file() else sorted(place.glob("*.safetensors"))
    if len(files) != 1 or files[0].suffix != ".safetensors":
        what = f"{len(files)} files of weights" if place.is_dir() else "no .safetensors file"
        raise ModelError(
            f"{place} is {what}" if place.is_file() else f"{place} holds {what}, not one",
            "a pickled head (.pth) can run any code when it is read: save its tensors with safetensors, and give that",
        )
    return files[0]
