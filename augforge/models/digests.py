"""The files of weights, and digests of what a model directory holds."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

PICKLED = frozenset({".bin", ".ckpt", ".pt", ".pth", ".pkl"})
WEIGHT_FILES = PICKLED | {".safetensors", ".h5", ".hdf5", ".keras", ".onnx"}
"""The endings of files that hold weights."""


def digest(path: Path) -> str:
    """SHA-256 over the names and contents of the weights and configurations in a directory, or of one file."""
    kinds = WEIGHT_FILES | {".json", ".txt"}
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.suffix in kinds and p.is_file())
    return _digest(path, tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files))


@cache
def _digest(path: Path, stamped: tuple[tuple[Path, int, int], ...]) -> str:
    """Computed again only when a file's size or time has changed."""
    total = hashlib.sha256()
    for file, _, _ in stamped:
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        name = file.name if file == path else file.relative_to(path).as_posix()
        total.update(f"{name} {content}\n".encode())
    return total.hexdigest()
