"""The table of models. Built-in, local and hub models differ only in their row, and load through the same adapters."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from augforge.catalog import did_you_mean
from augforge.errors import ModelError
from augforge.ids import key

WEIGHTS = Path(__file__).parent / "weights"

Task = Literal["image-text", "unclip"]


@dataclass(frozen=True, slots=True)
class Model:
    """One row. `location` is a directory, `hub:owner/name`, or `arch/pretrained` of open_clip."""

    name: str
    task: Task
    loader: Literal["open_clip", "diffusers"]
    location: str
    licence: str
    about: str
    revision: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def directory(self) -> Path | None:
        """The local directory with the weights, None for a model that lies on a hub."""
        return None if self.location.startswith("hub:") or self.loader_names_weights else Path(self.location)

    @property
    def loader_names_weights(self) -> bool:
        """Whether `location` is one of open_clip's own `arch/pretrained` names."""
        return self.loader == "open_clip" and not Path(self.location).is_absolute()

    def facts(self) -> dict[str, Any]:
        """What provenance records of this model."""
        digest = model_digest(self)
        return {"name": self.name, "revision": self.revision, "digest": digest, "licence": self.licence}


MODELS: dict[str, Model] = {
    row.name: row
    for row in (
        Model(
            "builtin-clip",
            "image-text",
            "open_clip",
            str(WEIGHTS / "builtin-clip"),
            "Apache-2.0",
            "tiny, 32 px: digits, CIFAR-10 classes, five flowers",
        ),
        Model(
            "builtin-unclip",
            "unclip",
            "diffusers",
            str(WEIGHTS / "builtin-unclip"),
            "Apache-2.0",
            "tiny, 32 px: digits, CIFAR-10 classes, five flowers",
            defaults={"steps": 12, "guidance": 2.5},
        ),
        Model(
            "vit-b-32",
            "image-text",
            "open_clip",
            "ViT-B-32/laion2b_s34b_b79k",
            "MIT",
            "the usual small CLIP, 224 px, 605 MB",
        ),
        Model(
            "sd21-unclip",
            "unclip",
            "diffusers",
            "hub:sd2-community/stable-diffusion-2-1-unclip",
            "CreativeML Open RAIL++-M",
            "Stable Diffusion 2.1 unCLIP, 768 px; the model of the augmented-conditioning paper (a mirror)",
            defaults={"steps": 20, "guidance": 2.0},
        ),
    )
}


def find_model(name: str, task: str) -> Model:
    """The row called `name`, or one made up for a directory, `hub:owner/name` or `arch/pretrained`.

    Raises:
        ModelError: no such model, or it cannot do `task`.
    """
    model = MODELS.get(name) or _made_up(name, task)
    if model is None:
        fit = sorted(row.name for row in MODELS.values() if row.task == task)
        raise ModelError(f"there is no model called {name!r}", did_you_mean(name, fit))
    if model.task != task:
        fit = sorted(row.name for row in MODELS.values() if row.task == task)
        raise ModelError(f"{name!r} is a model for {model.task}, not for {task}", "use for example " + " or ".join(fit))
    return model


def _made_up(name: str, task: str) -> Model | None:
    about = "named by the user"
    folder = Path(name)
    if folder.is_dir():
        if (folder / "open_clip_config.json").is_file():
            return Model(name, "image-text", "open_clip", str(folder.resolve()), "not stated", about)
        if (folder / "model_index.json").is_file():
            return Model(name, "unclip", "diffusers", str(folder.resolve()), "not stated", about)
        raise ModelError(
            f"{name} is no model directory: it has neither model_index.json nor open_clip_config.json",
            "give the directory that save_pretrained (diffusers) or push_to_hf_hub (open_clip) wrote",
        )
    if name.startswith("hub:"):
        loader: Literal["open_clip", "diffusers"] = "open_clip" if task == "image-text" else "diffusers"
        return Model(name, task, loader, name, "not stated", about)  # type: ignore[arg-type]  # tasks come from stages
    if task == "image-text" and re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return Model(name, "image-text", "open_clip", name, "not stated", about)
    return None


def model_key(model: Model, *settings: Any) -> str:
    """What a stored result of this model depends on: its weights, revision, defaults and `settings`."""
    return key("model", model_digest(model), model.revision, dict(model.defaults), *settings)


def model_digest(model: Model) -> str:
    """SHA-256 over the names and contents of the model's files; of name and revision for a hub model.

    Raises:
        ModelError: a built-in or local model whose files are missing.
    """
    if model.directory is None:
        return hashlib.sha256(f"{model.location}@{model.revision}".encode()).hexdigest()
    return _directory_digest(model.directory)


@cache
def _directory_digest(folder: Path) -> str:
    files = sorted(p for p in folder.rglob("*") if p.suffix in {".safetensors", ".json", ".txt"} and p.is_file())
    if not any(p.suffix == ".safetensors" for p in files):
        raise ModelError(f"no safetensors weights in {folder}", "pickled weights are not loaded; convert them first")
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return total.hexdigest()
