"""Finding a checkpoint: a directory, a single file or a hub id, all on the disk before anything is loaded."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augforge.errors import ModelError
from augforge.models.backends.options import Options
from augforge.models.digests import PICKLED, digest
from augforge.models.hub import check_location, failure
from augforge.models.table import Model

__all__ = ["PICKLED", "Checkpoint", "declared_dtype", "digest", "fetch", "find_checkpoint", "refuse_pickles"]

DENOISERS = ("unet", "transformer")
_PICKLE_HINT = "such a file can run any code when it is read: convert it to safetensors, or trust it with allow-pickle"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint on the disk: a diffusers directory, or one file with all weights.

    Attributes:
        name: as the user called it.
        path: of the directory or the file.
        index: the content of `model_index.json`; empty for a single file.
        facts: what provenance records of it.
    """

    name: str
    path: Path
    index: Mapping[str, Any]
    facts: Mapping[str, Any]

    @property
    def pipeline(self) -> str:
        """The name of the pipeline class that it was saved from, "" for a single file."""
        return str(self.index.get("_class_name", ""))

    @property
    def components(self) -> list[str]:
        """The names of the parts that it has."""
        return [name for name, value in self.index.items() if isinstance(value, list) and value[0] is not None]


def find_checkpoint(model: Model | str, options: Options) -> Checkpoint:
    """Bring `model` to the disk and look what it is.

    Raises:
        ModelError: it cannot be had, is no checkpoint, or has pickled weights and `allow_pickle` is not set.
    """
    name = model if isinstance(model, str) else model.name
    location = model if isinstance(model, str) else model.location
    revision = options.revision or (None if isinstance(model, str) else model.revision)
    path = fetch(location, revision, options)
    index = read_index(path, name)
    refuse_pickles(path, [part for part, value in index.items() if isinstance(value, list) and value[0]], options)
    return Checkpoint(name, path, index, _facts(model, path, location, revision, options))


def fetch(location: str, revision: str | None, options: Options) -> Path:
    """The local path of a directory, a file or a hub id (downloaded, or from the local cache)."""
    if Path(location).exists():
        return Path(location).resolve()
    if not location.startswith("hub:") and not _looks_like_hub(location):
        raise ModelError(f"there is no model {location!r}", "give a directory, a .safetensors file, or hub:owner/name")
    repository = location.removeprefix("hub:")
    check_location(f"hub:{repository}", revision)
    import diffusers
    from huggingface_hub import hf_hub_download

    owner, name, *file = repository.split("/", 2)
    try:
        if file:
            refuse_pickles(Path(file[0]), [], options)
            return Path(hf_hub_download(f"{owner}/{name}", file[0], revision=revision))
        kept = None if options.allow_pickle else True
        return Path(
            diffusers.DiffusionPipeline.download(
                repository, revision=revision, variant=options.variant, use_safetensors=kept
            )
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the model {location!r} cannot be had from the hub: {failure(error)}",
            "is the hub in reach, are revision and variant right, and has it safetensors weights?",
        ) from error


def read_index(path: Path, name: str) -> dict[str, Any]:
    """The content of `model_index.json`, {} for a single file; ModelError for any other directory."""
    if path.is_file():
        return {}
    try:
        index: dict[str, Any] = json.loads((path / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"model {name!r} is no diffusers pipeline: {error}", "give the directory that save_pretrained wrote"
        ) from error
    return index


def refuse_pickles(path: Path, parts: list[str], options: Options) -> None:
    """ModelError for a pickled file, or for a directory of which one of `parts` has pickled weights only."""
    if options.allow_pickle:
        return
    if path.suffix in PICKLED:
        raise ModelError(f"{path.name} holds pickled weights", _PICKLE_HINT)
    for part in parts:
        files = [file.suffix for file in (path / part).glob("*") if file.is_file()]
        if PICKLED.intersection(files) and ".safetensors" not in files:
            raise ModelError(f"{part} in {path} has pickled weights only", _PICKLE_HINT)


def declared_dtype(checkpoint: Checkpoint, variant: str | None) -> str | None:
    """The precision that a checkpoint's denoiser is stored in: "fp32", "fp16", "bf16", or None if it cannot be told."""
    if variant in {"fp16", "bf16"}:
        return variant
    if checkpoint.path.is_file():
        files = [checkpoint.path]
    else:
        files = [file for part in DENOISERS for file in sorted((checkpoint.path / part).glob("*.safetensors"))]
    names = {"F32": "fp32", "F16": "fp16", "BF16": "bf16"}
    return names.get(_stored_dtype(files[0])) if files and files[0].suffix == ".safetensors" else None


def _stored_dtype(file: Path) -> str:
    """The commonest dtype in a safetensors file, from its header."""
    with file.open("rb") as content:
        header = json.loads(content.read(int.from_bytes(content.read(8), "little")))
    kinds = Counter(str(entry["dtype"]) for key, entry in header.items() if key != "__metadata__")
    return kinds.most_common(1)[0][0]


def _looks_like_hub(location: str) -> bool:
    return not location.startswith(("/", ".", "~")) and location.count("/") >= 1


def _facts(model: Model | str, path: Path, location: str, revision: str | None, options: Options) -> dict[str, Any]:
    stands_for_it = "" if isinstance(model, str) else model.identity
    return {
        "name": location if isinstance(model, str) else model.name,
        "revision": revision,
        "variant": options.variant,
        "digest": stands_for_it or digest(path),
        "licence": "not stated" if isinstance(model, str) else model.licence,
    }
