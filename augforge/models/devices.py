"""Which device and precision a model runs in."""

from __future__ import annotations

import ctypes
import platform
import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from augforge.errors import ModelError
from augforge.optional import installed, require


def quiet() -> None:
    """Keep the libraries' own progress bars and remarks off the terminal; errors still come through."""
    for name in filter(installed, ("diffusers", "transformers")):
        library = import_module(name)
        library.utils.logging.disable_progress_bar()
        library.utils.logging.set_verbosity_error()


def kind_of(device: str) -> str:
    """The kind of a device, such as "cuda" of "cuda:1"."""
    return device.partition(":")[0]


def check_device(wanted: str) -> None:
    """Refuse a device that is not here, before anything is loaded.

    torch is only imported where neither the platform, nor how torch was built, nor a missing driver answers for it.

    Args:
        wanted: "auto", "cpu", "cuda", "cuda:N" or "mps".

    Raises:
        ModelError: there is no such device, on this machine or at all.
    """
    check_device_name(wanted)
    if wanted in ("auto", "cpu"):
        return
    require("torch", who=f"the device {wanted}")
    if wanted == "mps":
        _check_mps()
    else:
        _check_cuda(wanted)


def check_device_name(wanted: str) -> None:
    """ModelError where `wanted` can be no device on any machine."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?|mps", wanted, re.ASCII):
        raise ModelError(
            f"there is no device called {wanted!r}", "give auto, cpu, cuda, cuda:1 (the second GPU) or mps"
        )


def _check_mps() -> None:
    if sys.platform == "darwin":
        import torch

        if torch.backends.mps.is_available():
            return
    raise ModelError("there is no MPS device: it is the GPU of an Apple computer", "use --device auto")


def _check_cuda(wanted: str) -> None:
    if (why := _why_no_cuda()) is not None:
        raise ModelError(f"no CUDA device is visible: {why}", "use --device cpu, or auto")
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise ModelError("no CUDA device is visible", "use --device cpu, or auto")
    if int(wanted.partition(":")[2] or 0) >= count:
        raise ModelError(
            f"there is no {wanted}: of CUDA devices {count} can be seen", f"the last one is cuda:{count - 1}"
        )


def _why_no_cuda() -> str | None:
    """Why torch cannot see a GPU, as far as that is known without importing it; None if it may see one."""
    spec = find_spec("torch")
    build = Path(spec.origin).with_name("version.py") if spec is not None and spec.origin else None
    text = build.read_text(encoding="utf-8") if build is not None and build.is_file() else ""
    made_for = dict(re.findall(r"^(cuda|hip)\b[^=]*= *(.+)$", text, re.MULTILINE))
    if made_for and set(made_for.values()) == {"None"}:
        return "this torch is built for the CPU"
    if made_for.get("hip") == "None" and sys.platform == "linux" and not _has_library("libcuda.so.1"):
        return "there is no NVIDIA driver"
    return None


def _has_library(name: str) -> bool:
    """Whether the system can load a shared library."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def pick_device(wanted: str) -> str:
    """The device to use: "auto" is CUDA where there is one, else the CPU; what is asked for by name stays.

    The GPU of "cuda:N" becomes the thread's current one, so that what torch measures and says is said of it. MPS is
    used only if asked for.

    Raises:
        ModelError: as `check_device`.
    """
    require("torch")
    check_device(wanted)
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda:"):
        torch.cuda.set_device(wanted)
    return wanted


def setting(device: str, dtype: Any, *libraries: str) -> dict[str, Any]:
    """What provenance records of the machine: device, precision, threads, library versions."""
    from importlib.metadata import version

    import torch

    kind = kind_of(device)
    name = torch.cuda.get_device_name() if kind == "cuda" else platform.machine()
    return {
        "device": kind,
        "device-name": name,
        "dtype": str(dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "versions": {library: version(library) for library in ("augforge", "numpy", "pillow", "torch", *libraries)},
    }
