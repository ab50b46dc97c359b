"""How large models are, for those who wait for one."""

from __future__ import annotations

from augforge.models.digests import WEIGHT_FILES
from augforge.models.table import Model


def size_of(model: Model) -> str:
    """About how much its weights take: as the table says, else what its files do; "" for what is not on this disk."""
    directory = model.directory
    if model.weights or directory is None or not directory.exists():
        return model.weights
    files = [directory] if directory.is_file() else [p for p in directory.rglob("*") if p.suffix in WEIGHT_FILES]
    return told(sum(file.stat().st_size for file in files))


def told(size: int) -> str:
    """Bytes with two digits at most: `0.6 GB`, `25 MB`; "" for none."""
    if not size:
        return ""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= 0.1 * factor:
            value = size / factor
            return f"{value:.0f} {unit}" if value >= 9.95 else f"{value:.1f} {unit}"
    return f"{size} bytes"
