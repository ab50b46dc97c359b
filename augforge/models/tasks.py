"""What models can do: the tasks, the back-ends that do them, and which of those a model directory is for."""

from __future__ import annotations

import json
from pathlib import Path

from augforge.errors import ModelError

PIPELINES = ("image-to-image", "text-to-image", "inpainting")
"""The back-ends of an ordinary pipeline of diffusers."""
REFERENCES = ("Flux2KleinPipeline", "Flux2KleinKVPipeline", "Flux2Pipeline", "QwenImageEditPlusPipeline")
"""Pipelines to which a list of images is several references of every prompt, not one image for each."""
TASKS: dict[str, tuple[str, ...]] = {
    "image-text": ("open_clip",),
    "image-embedding": ("open_clip", "transformers", "timm", "efficientnet-lite2"),
    "safety": ("open-nsfw", "open_clip"),
    "conditioning": ("unclip", "kandinsky-2.2", "ip-adapter", "variation", "image-to-image", "references"),
    "text-to-image": ("text-to-image",),
    "image-to-image": ("image-to-image", "ip-adapter", "references"),
    "variation": ("variation",),
    "night": ("night",),
    "paired": ("paired",),
    "classification": ("classification", "efficientnet-lite2"),
    "anomaly": ("anomaly",),
    "edges": ("edges",),
    "depth-estimation": ("transformers",),
    "unconditional": ("unconditional",),
    "outpainting": ("unconditional", "inpainting"),
    "autoencoder": ("autoencoder", "image-to-image", "unclip"),
    "attention": ("timm", "transformers"),
}
"""What a stage can ask of a model, and the back-ends that do it, the preferred one first."""


def task_of(backend: str) -> str:
    """The first task that a back-end of diffusers is the preferred one for, or does at all."""
    preferred = (task for task, backends in TASKS.items() if backends[0] == backend)
    return next(preferred, None) or next(task for task, backends in TASKS.items() if backend in backends)


def backends_of(folder: Path) -> tuple[str, ...]:
    """The back-ends that load a model directory. ModelError if it is none, or damaged."""
    if (folder / "open_clip_config.json").is_file():
        return ("open_clip",)
    if (folder / "model.json").is_file():
        return _task_of(folder / "model.json")
    if not (folder / "model_index.json").is_file():
        if backend := vision_backend(folder):
            return (backend,)
        raise ModelError(
            f"{folder} is no model directory: it has none of model.json, model_index.json, open_clip_config.json",
            "give the directory that augforge train, save_pretrained (diffusers) or push_to_hf_hub (open_clip) wrote",
        )
    try:
        kind = json.loads((folder / "model_index.json").read_text(encoding="utf-8")).get("_class_name", "")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{folder / 'model_index.json'} is damaged: {error}", "is the directory complete?") from error
    only = {
        "StableUnCLIPImg2ImgPipeline": ("unclip", "variation"),
        "KandinskyV22Pipeline": ("kandinsky-2.2",),
        "StableDiffusionImageVariationPipeline": ("variation",),
        "DDPMPipeline": ("unconditional",),
        "DDIMPipeline": ("unconditional",),
        **dict.fromkeys(REFERENCES, ("references", "text-to-image")),
    }
    return only.get(kind, PIPELINES)


def vision_backend(folder: Path) -> str | None:
    """What loads a directory that holds one network, such as one that embeds images; None if it is none known."""
    if (folder / "open_clip_config.json").is_file():
        return "open_clip"
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ModelError(f"{folder / 'config.json'} is damaged: {error}", "is the directory complete?") from error
    if "architecture" in found:
        return "timm"
    if found.get("_class_name") == "AutoencoderKL":
        return "autoencoder"
    return "transformers" if "model_type" in found else None


def _task_of(record: Path) -> tuple[str, ...]:
    """The task of a model that we trained."""
    try:
        task = json.loads(record.read_text(encoding="utf-8"))["task"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{record} is damaged: {error}", "train the model again") from error
    if task not in TASKS:
        raise ModelError(f"{record} is of a model for {task!r}, which this augforge does not know", "update augforge")
    return (task,)
