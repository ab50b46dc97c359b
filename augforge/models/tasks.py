"""What models can do: the tasks, the back-ends that do them, and which of those a model directory is for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from augforge.errors import ModelError
from augforge.models.known import named_classes

PIPELINES = ("image-to-image", "text-to-image", "inpainting", "controlnet", "t2i-adapter")
"""The back-ends of an ordinary pipeline of diffusers."""
LORA_WEIGHTS = "pytorch_lora_weights.safetensors"
"""What diffusers calls a file of LoRA weights."""
TOKEN_WEIGHTS = "learned_embeds.safetensors"
"""What diffusers calls a file of new words."""
REFERENCES = ("Flux2KleinPipeline", "Flux2KleinKVPipeline", "Flux2Pipeline", "QwenImageEditPlusPipeline")
"""Pipelines to which a list of images is several references of every prompt, not one image for each."""
TEXTS = "transformers-image-text"
"""The back-end of a directory of transformers whose model has a tower for texts beside that for images."""
TEXT_MODELS = ("clip", "siglip", "metaclip_2")
"""What the configurations of such models call themselves."""
CLASSIFIER = "image-classifier"
"""The back-end of a directory of transformers or timm whose network has a head with named classes."""
COPIES = "sscd"
"""The back-end of a directory with SSCD, which embeds images so that copies are near; its config.json says so."""
REWARD = "image-reward"
"""The back-end of a directory with ImageReward, which scores images for prompts; its config.json says so."""
DETECTOR = "text-detector"
"""The back-end of a directory of transformers that says where in a picture there is text."""
TEXT_DETECTOR = re.compile(r"pp_ocrv\d+_\w+_det")
"""What the configurations of such models call themselves."""
TASKS: dict[str, tuple[str, ...]] = {
    "image-text": ("open_clip", TEXTS),
    "image-embedding": ("open_clip", "transformers", "timm", "efficientnet-lite2", COPIES),
    "image-reward": (REWARD,),
    "preference": ("open_clip", TEXTS, REWARD),
    "safety": ("open-nsfw", "open_clip", TEXTS),
    "conditioning": (
        *("unclip", "kandinsky-2.2", "ip-adapter", "ip-adapter-flux", "ip-adapter-sd3", "redux", "variation"),
        *("image-to-image", "references"),
    ),
    "text-to-image": ("text-to-image", "class-conditional"),
    "image-to-image": ("image-to-image", "ip-adapter", "ip-adapter-flux", "ip-adapter-sd3", "references"),
    "variation": ("variation",),
    "night": ("night",),
    "paired": ("paired",),
    "classification": ("classification", "efficientnet-lite2", CLASSIFIER),
    "anomaly": ("anomaly",),
    "edges": ("edges",),
    "depth-estimation": ("transformers",),
    "unconditional": ("unconditional",),
    "outpainting": ("unconditional", "inpainting"),
    "inpainting": ("inpainting",),
    "controlled": ("controlnet", "t2i-adapter"),
    "control": ("control-net", "control-adapter"),
    "autoencoder": ("autoencoder", "image-to-image", "unclip"),
    "attention": ("timm", "transformers"),
    "fine-tuning": ("unclip", "kandinsky-2.2", "text-to-image", "class-conditional"),
    "lora": ("lora",),
    "image-text-to-text": ("vision-language", "transformers"),
    "text-generation": ("language", "transformers"),
    "score-head": ("score-head",),
    "text-detection": (DETECTOR,),
}
"""What a stage can ask of a model, and the back-ends that do it, the preferred one first."""


DIFFUSERS = {"AutoencoderKL": "autoencoder", "T2IAdapter": "control-adapter"}
"""What loads a directory with one network of diffusers, by its class."""


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
        if (folder / LORA_WEIGHTS).is_file():
            return ("lora",)
        if backend := vision_backend(folder):
            return (backend, *_more_of(folder, backend))
        raise ModelError(
            f"{folder} is no model directory: it has none of model.json, model_index.json, open_clip_config.json",
            "give the directory that augforge train, save_pretrained (diffusers) or push_to_hf_hub (open_clip) wrote",
        )
    kind = _pipeline_index(folder).get("_class_name", "")
    only = {
        "StableUnCLIPImg2ImgPipeline": ("unclip", "variation"),
        "KandinskyV22Pipeline": ("kandinsky-2.2",),
        "DiTPipeline": ("class-conditional",),
        "StableDiffusionImageVariationPipeline": ("variation",),
        "DDPMPipeline": ("unconditional",),
        "DDIMPipeline": ("unconditional",),
        **dict.fromkeys(REFERENCES, ("references", "text-to-image")),
    }
    return only.get(kind, PIPELINES)


def classes_of(folder: Path) -> frozenset[str] | None:
    """The names of the only classes that the pipeline in a directory makes; None of one that reads text, or none."""
    if not (folder / "model_index.json").is_file():
        return None
    return named_classes(_pipeline_index(folder).get("id2label") or {})


def _pipeline_index(folder: Path) -> dict[str, Any]:
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        return dict(index.items())
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{folder / 'model_index.json'} is damaged: {error}", "is the directory complete?") from error


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
    kind = str(found.get("_class_name", ""))
    if backend := "control-net" if "ControlNet" in kind else DIFFUSERS.get(kind):
        return backend
    if found.get("model_type") in (COPIES, REWARD):
        return str(found["model_type"])
    if TEXT_DETECTOR.fullmatch(str(found.get("model_type", ""))):
        return DETECTOR
    return "transformers" if "model_type" in found else None


def _more_of(folder: Path, backend: str) -> tuple[str, ...]:
    """What else a directory with a sound config.json can do beside embedding images: read texts, or tell classes."""
    if backend not in ("transformers", "timm"):
        return ()
    found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    heads = [name.endswith("ForImageClassification") for name in found.get("architectures") or ()]
    classifies = any(heads) or (backend == "timm" and bool(found.get("num_classes")))
    reads = backend == "transformers" and found.get("model_type") in TEXT_MODELS and not any(heads)
    return (TEXTS,) * reads + (CLASSIFIER,) * classifies


def _task_of(record: Path) -> tuple[str, ...]:
    """The task of a model that we trained."""
    try:
        task = json.loads(record.read_text(encoding="utf-8"))["task"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{record} is damaged: {error}", "train the model again") from error
    if task not in TASKS:
        raise ModelError(f"{record} is of a model for {task!r}, which this augforge does not know", "update augforge")
    return (task,)
