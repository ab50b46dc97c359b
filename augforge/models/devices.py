"""Which device and precision a model runs in."""

from __future__ import annotations

import platform
from importlib import import_module
from typing import Any

from augforge.errors import ModelError
from augforge.optional import installed, require


def quiet() -> None:
    """Keep the libraries' own progress bars and remarks off the terminal; errors still come through."""
    for name in filter(installed, ("diffusers", "transformers")):
        library = import_module(name)
        library.utils.logging.disable_progress_bar()
        library.utils.logging.set_verbosity_error()


def pick_device(wanted: str) -> str:
    """ "cpu" or "cuda" for "auto", "cpu" or "cuda"; ModelError where CUDA is asked for and absent."""
    require("torch")
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ModelError("no CUDA device is visible", "use --device cpu, or install a CUDA build of torch")
    return wanted


def setting(device: str, dtype: Any, *libraries: str) -> dict[str, Any]:
    """What provenance records of the machine: device, precision, threads, library versions."""
    from importlib.metadata import version

    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    return {
        "device": device,
        "device-name": name,
        "dtype": str(dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "versions": {library: version(library) for library in ("augforge", "numpy", "pillow", "torch", *libraries)},
    }
