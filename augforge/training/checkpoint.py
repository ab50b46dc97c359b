"""Checkpoints: nested state as one safetensors file, written whole or not at all, read without unpickling anything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from augforge.data.files import write_atomically
from augforge.errors import StoreError


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write nested dicts, lists, numbers, texts, None and tensors."""
    tensors: dict[str, Tensor] = {}
    outline = json.dumps(_fold(state, tensors))
    write_atomically(path, save(tensors, metadata={"state": outline, "sha256": _digest(outline, tensors)}))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `write_checkpoint` wrote, tensors on the CPU.

    Raises:
        StoreError: the file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
            about = file.metadata() or {}
        if _digest(about["state"], tensors) != about["sha256"]:
            raise ValueError("its content does not match its SHA-256")
        outline = json.loads(about["state"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise StoreError(
            f"checkpoint {path} cannot be read: {error}", "delete it to begin the training anew"
        ) from error
    state: dict[str, Any] = _unfold(outline, tensors)
    return state


def _digest(outline: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the outline and the names, types, shapes and bytes of all tensors."""
    total = hashlib.sha256(outline.encode())
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        total.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def _fold(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = f"{len(tensors):06d}"
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"dict": [[key, _fold(item, tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"list": [_fold(item, tensors) for item in value], "tuple": isinstance(value, tuple)}
    return {"plain": value}


def _unfold(outline: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    if "tensor" in outline:
        return tensors[outline["tensor"]]
    if "dict" in outline:
        return {key: _unfold(item, tensors) for key, item in outline["dict"]}
    if "list" in outline:
        items = [_unfold(item, tensors) for item in outline["list"]]
        return tuple(items) if outline["tuple"] else items
    return outline["plain"]


def to_device(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """The tensors of a batch on `device`; everything else as it is."""
    return {
        name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
        for name, value in batch.items()
    }
