"""Packages that not every command needs: each belongs to an extra of augforge, and its absence is said with it.

`require("faiss")` stands before `import faiss`; a package whose modules import one on top calls it in its `__init__`.
"""

from __future__ import annotations

from importlib.util import find_spec

from augforge.errors import AugforgeError

EXTRAS = {
    "accelerate": "train",
    "adlfs": "az",
    "av": "video",
    "c2pa": "c2pa",
    "cleanlab": "labels",
    "cryptography": "c2pa",
    "diffusers": "generate",
    "faiss": "select",
    "gcsfs": "gs",
    "h5py": "hed",
    "jinja2": "report",
    "matplotlib": "report",
    "onnxruntime": "nsfw",
    "open_clip": "embed",
    "peft": "generate",
    "pillow_heif": "heif",
    "pillow_jxl": "jxl",
    "ray": "ray",
    "s3fs": "s3",
    "safetensors": "embed",
    "simplejpeg": "jpeg",
    "skimage": "shifts",
    "starlette": "view",
    "timm": "embed",
    "torch": "embed",
    "torchvision": "embed",
    "transformers": "embed",
    "umap": "umap",
    "uvicorn": "view",
}
"""The extra that brings each package, by the name it is imported under."""


def installed(package: str) -> bool:
    """Whether a package can be imported; it is looked up, not imported."""
    return find_spec(package) is not None


def install_command(extra: str) -> str:
    """What to type to get an extra."""
    return f"pip install 'augforge[{extra}]'"


def require(
    *packages: str, who: str = "this", extra: str | None = None, error: type[AugforgeError] = AugforgeError
) -> None:
    """Raise an error that says what to install, unless every one of `packages` is.

    Args:
        packages: names of `EXTRAS`.
        who: what needs them, as the error is to call it.
        extra: the extra to name; by default the one that brings the first package that is missing.
        error: what to raise.
    """
    for package in packages:
        if not installed(package):
            raise error(f"{who} needs {package}, which is not installed", install_command(extra or EXTRAS[package]))
