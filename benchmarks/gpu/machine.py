"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

LIBRARIES = (
    "torch",
    "torchvision",
    "diffusers",
    "transformers",
    "accelerate",
    "open_clip_torch",
    "simplejpeg",
    "numpy",
)


def machine(device: str) -> dict[str, Any]:
    """The card, its driver and memory, the processor's cores, library versions and the date."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("no CUDA device is visible: use --device cpu --smoke, or install a CUDA build of torch")
    card = torch.cuda.get_device_name() if device == "cuda" else f"CPU ({platform.machine()})"
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30 if device == "cuda" else None
    return {
        "card": card,
        "driver": _driver() if device == "cuda" else None,
        "memory-gib": memory and round(memory, 1),
        "cuda": torch.version.cuda if device == "cuda" else None,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: found for name in LIBRARIES if (found := _version(name))},
        "date": datetime.now(UTC).date().isoformat(),
        "device": device,
    }


def _driver() -> str | None:
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        found = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return None
    return found[0] if found else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
