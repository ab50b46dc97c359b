"""How much memory a model's weights take, before it is loaded."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

from augforge.models.table import Model

BYTES = {"fp32": 4, "fp16": 2, "bf16": 2}
GIB = 1 << 30
LEFT_OUT = frozenset({"safety_checker"})
"""Parts of a pipeline that are not loaded."""


def parameters_of(model: Model) -> int | None:
    """How many parameters are loaded: counted in the files that are here, else about what the row says, else None."""
    folder = model.directory
    if folder is not None and folder.exists():
        files = [folder] if folder.is_file() else sorted(folder.rglob("*.safetensors"))
        wanted = [file for file in files if file.suffix == ".safetensors" and _is_loaded(file, folder)]
        return sum(map(_count, wanted)) or None
    return round(model.billions * 1e9) if model.billions else None


def weights_gib(parameters: int, dtype: str) -> float:
    """GiB of so many parameters in "fp32", "fp16" or "bf16"."""
    return parameters * BYTES[dtype] / GIB


def _is_loaded(file: Path, folder: Path) -> bool:
    """Whether a file is one of those that loading reads: of a part, and not a copy of one in another precision."""
    if file == folder:
        return True
    part, is_variant = file.parent.relative_to(folder), "." in file.stem
    return not LEFT_OUT & set(part.parts) and not (
        is_variant and file.with_name(file.stem.split(".")[0] + ".safetensors").exists()
    )


def _count(file: Path) -> int:
    """Numbers in a safetensors file, by its header; 0 of one that is damaged, which loading it says."""
    try:
        with file.open("rb") as content:
            header = json.loads(content.read(int.from_bytes(content.read(8), "little")))
        return sum(prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    except (ValueError, KeyError, TypeError, OverflowError, MemoryError):
        return 0
