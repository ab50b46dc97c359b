"""A model directory: weights, `model.json`, sample sheet, loss curves and card. `model.json` comes last, and whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augforge.data.files import SEAL, digest_of, unseal
from augforge.errors import ModelError
from augforge.optional import require

if TYPE_CHECKING:
    from torch import Tensor

    from augforge.progress import Progress

FORMAT = 1
DIGITS = 20
"""Hex digits of the SHA-256 of each training image that the record keeps."""
HELD_OUT = "held-out"
"""The role of images that a training only measures itself by."""
RECORD, WEIGHTS, CHECKPOINT = "model.json", "model.safetensors", "checkpoint.safetensors"
WEIGHTS_FILE = "weights-file"
"""What the record calls the file of the weights, where that is not WEIGHTS."""
MORE_WEIGHTS = "more-weights"
"""What the record calls the digests of further files of weights, by their names."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model as it lies in its directory."""

    task: str
    facts: Mapping[str, Any]
    weights: Mapping[str, Tensor]


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a finished model, None where there is none; ModelError where it is damaged or too new."""
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        content = path.read_bytes()
        record = json.loads(content)
        if SEAL in record:
            record = unseal(content)
        known = record["format"] == FORMAT and isinstance(record["task"], str)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is damaged: {error}", "train the model again") from error
    if not known:
        raise ModelError(f"{path} is of format {record['format']}, this augforge reads {FORMAT}", "train it again")
    return dict(record)


def trained_on(folder: Path) -> frozenset[str] | None:
    """The first DIGITS of the digests of all images that a model was trained on; those held out do not count.

    Empty where the directory holds no model of ours; None where its record does not say, as those of earlier versions.
    """
    record = read_record(folder)
    if record is None:
        return frozenset()
    roles = [about for role, about in dict(record.get("data", {})).items() if role != HELD_OUT]
    if not roles or any("digests" not in about for about in roles):
        return None
    return frozenset(digest for about in roles for digest in about["digests"])


def sound_record(folder: Path, progress: Progress) -> dict[str, Any] | None:
    """The record of a finished model whose files are what they were; a damaged one is said, and taken for none."""
    try:
        record = read_record(folder)
        if record is not None:
            check_weights(folder, record)
    except (ModelError, OSError) as error:
        progress.say(f"the model in {folder} is damaged and is trained again: {error}")
        (folder / RECORD).unlink(missing_ok=True)
        return None
    return record


def check_weights(folder: Path, record: Mapping[str, Any]) -> None:
    """ModelError where the weights are not those that the record of the model names."""
    digests = {weights_path(folder, record): record.get("weights")}
    digests |= {folder / name: wanted for name, wanted in dict(record.get(MORE_WEIGHTS, {})).items()}
    for path, wanted in digests.items():
        if digest_of(path) != wanted:
            raise ModelError(f"{path} is not what was trained", "train the model again")


def weights_path(folder: Path, record: Mapping[str, Any]) -> Path:
    """The file of a model's weights."""
    return folder / str(record.get(WEIGHTS_FILE, WEIGHTS))


def read_model(folder: Path) -> Trained:
    """A trained model; ModelError where the directory holds none, or one that is damaged."""
    require("safetensors")
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    record = read_record(folder)
    if record is None:
        raise ModelError(f"{folder} holds no trained model: it has no {RECORD}", "give the --out of augforge train")
    path = weights_path(folder, record)
    try:
        check_weights(folder, record)
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read: {error}", "train the model again") from error
    return Trained(record["task"], record["facts"], weights)
