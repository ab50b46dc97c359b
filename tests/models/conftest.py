"""Tiny checkpoints of every kind, built once a session, and back-ends opened on them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from augforge.models.backends import Backend, open_backend
from tests import tiny_backends, tiny_references

CASES = {
    "unclip": ("unclip", "unclip"),
    "kandinsky-2.2": ("kandinsky-2.2", "kandinsky"),
    "ip-adapter": ("ip-adapter", "sd"),
    "ip-adapter-xl": ("ip-adapter", "sdxl"),
    "image-to-image": ("image-to-image", "sd"),
    "image-to-image-xl": ("image-to-image", "sdxl"),
    "image-to-image-3": ("image-to-image", "sd3"),
    "text-to-image": ("text-to-image", "sd"),
    "text-to-image-xl": ("text-to-image", "sdxl"),
    "text-to-image-3": ("text-to-image", "sd3"),
    "text-to-image-flux": ("text-to-image", "flux"),
    "references": ("references", "flux2_klein"),
    "variation": ("variation", "variation"),
    "inpainting": ("inpainting", "sd"),
    "inpainting-xl": ("inpainting", "sdxl"),
    "unconditional": ("unconditional", "ddpm"),
}
EMBEDDING = ("unclip", "kandinsky-2.2", "ip-adapter", "ip-adapter-xl")
Checkpoint = Callable[[str], Path]
Opener = Callable[..., Backend]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The folder of the tiny checkpoint called "sd", "sdxl", "sd3", "flux", "ddpm", "unclip" and the like."""
    root = tmp_path_factory.mktemp("checkpoints")

    @cache
    def built(name: str) -> Path:
        if name.startswith("adapter-"):
            return tiny_backends.save_tiny_adapter(root / name, built(name.removeprefix("adapter-")))
        module = tiny_references if hasattr(tiny_references, f"save_tiny_{name}") else tiny_backends
        return getattr(module, f"save_tiny_{name}")(root / name)

    return built


@pytest.fixture(scope="session")
def opened(checkpoint: Checkpoint) -> Opener:
    """Opens the back-end of one of `CASES`, each combination of options once."""

    @cache
    def backend(case: str, dtype: str = "auto", **options: object) -> Backend:
        name, kind = CASES[case]
        if name == "kandinsky-2.2":
            options = {"prior": str(checkpoint(kind) / "prior"), **options}
        if name == "ip-adapter":
            options = {"adapter": str(checkpoint(f"adapter-{kind}")), **options}
        return open_backend(name, str(checkpoint(kind)), "cpu", dtype, **options)

    return backend
