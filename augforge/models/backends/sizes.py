"""Which widths and heights a diffusion model can make, from its configuration alone: no weights, no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from augforge.errors import RecipeError
from augforge.models.table import Model
from augforge.optional import installed

SCHEDULER_FILE = "scheduler_config.json"
PIXELS = 8
"""What diffusers asks of every U-Net, and the factor of the usual autoencoder."""


DEEP = "encoder_block_out_channels"
"""Where SANA's deep compression autoencoder has its blocks; its latents are not packed into pairs."""


def size_multiple(model: Model, backend: str, revision: str | None = None) -> int:
    """The number of px that width and height must be a multiple of.

    A U-Net takes multiples of 8 that its autoencoder can halve as often as it does, an unconditional one what it halves
    itself; a transformer whole patches, 2 or more latents wide; the decoder of Kandinsky 2.2 rounds up to the square of
    its factor. Others are refused by diffusers, or give an image of another size. A model on a hub is judged by what of
    it is in the local cache, and where nothing is, as the usual ones are.
    """
    if backend == "kandinsky-2.2":
        return _factor(part_config(model, "movq", revision)) ** 2
    if backend == "unconditional":
        return _factor(part_config(model, "unet", revision))
    autoencoder = part_config(model, "vae", revision)
    factor = _factor(autoencoder)
    if transformer := part_config(model, "transformer", revision):
        patch = transformer.get("patch_size")
        least = 1 if DEEP in autoencoder else 2
        return factor * max(least, patch if isinstance(patch, int) else 2)
    return math.lcm(PIXELS, factor)


def check_size(given: Mapping[str, int], multiple: int, model: str) -> None:
    """RecipeError where one of the `given` sides, in px by name, is no multiple of what `model` needs."""
    for name, px in given.items():
        if px % multiple:
            lower = px // multiple * multiple
            near = f"{lower} or {lower + multiple}" if lower else f"{multiple}"
            raise RecipeError(
                f"key {name!r}: {px} px is no multiple of {multiple}, which {model} needs", f"give {near}"
            )


def _factor(config: Mapping[str, Any]) -> int:
    """By how much an autoencoder shrinks a side, or a U-Net within."""
    blocks = config.get("block_out_channels") or config.get(DEEP)
    return int(2 ** (len(blocks) - 1)) if isinstance(blocks, list) and blocks else PIXELS


def part_config(model: Model, part: str, revision: str | None = None, name: str = "config.json") -> dict[str, Any]:
    """The configuration of a part of a pipeline, of itself for "", {} where there is none on this machine."""
    path = _config_file(model, f"{part}/{name}" if part else name, revision)
    if path is None or not path.is_file():
        return {}
    try:
        config = json.loads(path.read_bytes())
    except ValueError:  # loading the model says so
        return {}
    return config if isinstance(config, dict) else {}


def _config_file(model: Model, name: str, revision: str | None) -> Path | None:
    if not model.location.startswith("hub:"):
        return None if model.directory is None else model.directory / name
    repository = model.location.removeprefix("hub:")
    if not installed("huggingface_hub") or repository.count("/") != 1:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, name, revision=revision or model.revision)
    return Path(found) if isinstance(found, str) else None
