"""Tiny checkpoints of every kind, built once a session, and back-ends opened on them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from augforge.models.backends import Backend, open_backend
from tests import tiny_backends, tiny_controls, tiny_newer, tiny_references

CASES = {
    "unclip": ("unclip", "unclip"),
    "kandinsky-2.2": ("kandinsky-2.2", "kandinsky"),
    "ip-adapter": ("ip-adapter", "sd"),
    "ip-adapter-xl": ("ip-adapter", "sdxl"),
    "ip-adapter-plus": ("ip-adapter", "sd"),
    "ip-adapter-kolors": ("ip-adapter", "kolors"),
    "ip-adapter-flux": ("ip-adapter-flux", "flux"),
    "ip-adapter-chroma": ("ip-adapter-flux", "chroma"),
    "ip-adapter-sd3": ("ip-adapter-sd3", "sd3"),
    "redux": ("redux", "flux"),
    "image-to-image": ("image-to-image", "sd"),
    "image-to-image-xl": ("image-to-image", "sdxl"),
    "image-to-image-3": ("image-to-image", "sd3"),
    "text-to-image": ("text-to-image", "sd"),
    "text-to-image-xl": ("text-to-image", "sdxl"),
    "text-to-image-3": ("text-to-image", "sd3"),
    "text-to-image-flux": ("text-to-image", "flux"),
    "references": ("references", "flux2_klein"),
    "class-conditional": ("class-conditional", "dit"),
    "variation": ("variation", "variation"),
    "inpainting": ("inpainting", "sd"),
    "inpainting-xl": ("inpainting", "sdxl"),
    "controlnet": ("controlnet", "sd"),
    "controlnet-xl": ("controlnet", "sdxl"),
    "controlnet-3": ("controlnet", "sd3"),
    "controlnet-flux": ("controlnet", "flux"),
    "t2i-adapter": ("t2i-adapter", "sd"),
    "t2i-adapter-xl": ("t2i-adapter", "sdxl"),
    "unconditional": ("unconditional", "ddpm"),
}
EMBEDDING = (
    "unclip",
    "kandinsky-2.2",
    "ip-adapter",
    "ip-adapter-xl",
    "ip-adapter-plus",
    "ip-adapter-kolors",
    "ip-adapter-flux",
    "ip-adapter-chroma",
    "ip-adapter-sd3",
    "redux",
)
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
        if name.startswith("adapter_plus-"):
            return tiny_backends.save_tiny_adapter_plus(root / name, built(name.removeprefix("adapter_plus-")))
        for kind in ("controlnet", "t2i_adapter"):
            if name.startswith(f"{kind}-"):
                base = built(name.removeprefix(f"{kind}-"))
                return getattr(tiny_controls, f"save_tiny_{kind}")(root / name, base)
        saved = f"save_tiny_{name}"
        module = next(found for found in (tiny_references, tiny_newer, tiny_backends) if hasattr(found, saved))
        return getattr(module, saved)(root / name)

    return built


@pytest.fixture(scope="session")
def opened(checkpoint: Checkpoint) -> Opener:
    """Opens the back-end of one of `CASES`, each combination of options once."""

    @cache
    def saved_once(save: Callable[[Path, Path], Path], kind: str) -> Path:
        return save(checkpoint(kind).with_name(f"beside-{kind}"), checkpoint(kind))

    @cache
    def backend(case: str, dtype: str = "auto", **options: object) -> Backend:
        name, kind = CASES[case]
        if name == "kandinsky-2.2":
            options = {"prior": str(checkpoint(kind) / "prior"), **options}
        if name == "redux":
            options = {"prior": str(checkpoint("redux")), **options}
        if name.startswith("ip-adapter-"):
            saved = tiny_newer.save_tiny_adapter_sd3 if kind == "sd3" else tiny_newer.save_tiny_adapter_flux
            weights = "ip-adapter.safetensors" if kind == "sd3" else "ip_adapter.safetensors"
            adapter = saved_once(saved, kind)
            options = {"adapter": str(adapter), "adapter_weights": weights, "image_encoder": "image_encoder", **options}
        if name == "ip-adapter":
            saved = "adapter_plus" if case in ("ip-adapter-plus", "ip-adapter-kolors") else "adapter"
            options = {"adapter": str(checkpoint(f"{saved}-{kind}")), **options}
        if name in ("controlnet", "t2i-adapter"):
            options = {"control": str(checkpoint(f"{name.replace('-', '_')}-{kind}")), **options}
        return open_backend(name, str(checkpoint(kind)), "cpu", dtype, **options)

    return backend
