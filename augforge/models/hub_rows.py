"""Diffusion models of the hub as rows of the table; what is known of each as training data: docs/models.md."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from augforge.models.tasks import PIPELINES

UNKNOWN = "unknown"
"""The licence of a model that states none where we could read it; no policy allows it."""
FLUX_1 = "FLUX.1 [dev] Non-Commercial License"
STABILITY = "Stability AI Community License"
KOLORS = "Kolors model licence"
"""The tag of its card says Apache-2.0; its MODEL_LICENSE has terms of its own for commercial use."""
RAIL = "CreativeML Open RAIL++-M"
_TEXT_AND_IMAGE = ("image-to-image", "text-to-image")


class HubRow(NamedTuple):
    """A diffusion model on the hub, with the steps and guidance that suit it.

    `billions` of parameters are about what is loaded, text encoders and all; `native` is its side in px.
    """

    name: str
    backends: tuple[str, ...]
    repository: str
    licence: str
    steps: int
    guidance: float
    native: int
    billions: float
    about: str
    options: Mapping[str, Any] = MappingProxyType({})


HUB_ROWS = (
    HubRow(
        "flux-dev",
        ("redux", *PIPELINES),
        "black-forest-labs/FLUX.1-dev",
        FLUX_1,
        28,
        3.5,
        1024,
        16.9,
        "Flux.1; with the Redux prior for augmented-conditioning",
    ),
    HubRow(
        "flux-kontext",
        ("image-to-image",),
        "black-forest-labs/FLUX.1-Kontext-dev",
        FLUX_1,
        28,
        2.5,
        1024,
        16.9,
        "edits an image as the prompt says; no strength",
    ),
    HubRow(
        "flux2-klein",
        ("references", "text-to-image"),
        "black-forest-labs/FLUX.2-klein-4B",
        "Apache-2.0",
        4,
        1.0,
        1024,
        8.0,
        "four steps; refers to one image or several",
    ),
    HubRow(
        "z-image-turbo",
        PIPELINES,
        "Tongyi-MAI/Z-Image-Turbo",
        "Apache-2.0",
        8,
        0.0,
        1024,
        10.2,
        "eight steps, no guidance",
    ),
    HubRow("qwen-image", PIPELINES, "Qwen/Qwen-Image", "Apache-2.0", 50, 4.0, 1328, 28.8, "large and slow"),
    HubRow(
        "qwen-image-edit",
        ("image-to-image",),
        "Qwen/Qwen-Image-Edit",
        "Apache-2.0",
        50,
        4.0,
        1024,
        28.8,
        "edits an image as the prompt says; no strength",
    ),
    HubRow(
        "sana-sprint",
        _TEXT_AND_IMAGE,
        "Efficient-Large-Model/Sana_Sprint_1.6B_1024px_diffusers",
        UNKNOWN,
        2,
        4.5,
        1024,
        4.5,
        "two steps; the licence of its weights is on its card",
    ),
    HubRow(
        "sd35-medium",
        PIPELINES,
        "stabilityai/stable-diffusion-3.5-medium",
        STABILITY,
        40,
        4.5,
        1024,
        8.1,
        "Stable Diffusion 3.5, the smaller one; free below 1 M$ of revenue",
    ),
    HubRow(
        "sdxl-turbo",
        PIPELINES,
        "stabilityai/sdxl-turbo",
        "Stability AI Non-Commercial Community License",
        1,
        0.0,
        512,
        3.5,
        "one to four steps, no guidance",
        {"scheduler": "EulerAncestralDiscreteScheduler:trailing"},
    ),
    HubRow(
        "sdxl-lightning",
        PIPELINES,
        "ByteDance/SDXL-Lightning/sdxl_lightning_4step.safetensors",
        RAIL,
        4,
        0.0,
        1024,
        3.5,
        "four steps, no guidance",
        {"scheduler": "EulerDiscreteScheduler:trailing", "config": "stabilityai/stable-diffusion-xl-base-1.0"},
    ),
    HubRow(
        "kolors",
        ("ip-adapter", "text-to-image", "image-to-image"),
        "Kwai-Kolors/Kolors-diffusers",
        KOLORS,
        50,
        5.0,
        1024,
        8.9,
        "reads Chinese and English; with its own IP-Adapter for augmented-conditioning",
        {
            "variant": "fp16",
            "adapter": "hub:Kwai-Kolors/Kolors-IP-Adapter-Plus",
            "adapter_subfolder": "",
            "adapter_weights": "ip_adapter_plus_general.safetensors",
            "adapter_revision": "refs/pr/4",
        },
    ),
    HubRow(
        "lcm-dreamshaper",
        _TEXT_AND_IMAGE,
        "SimianLuo/LCM_Dreamshaper_v7",
        "MIT",
        4,
        8.5,
        768,
        1.1,
        "a consistency model of Stable Diffusion 1.5: four steps",
    ),
    HubRow(
        "pixart-sigma",
        ("text-to-image",),
        "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS",
        RAIL,
        20,
        4.5,
        1024,
        5.5,
        "a small transformer with a large text encoder",
    ),
    HubRow(
        "dit-xl-2",
        ("class-conditional",),
        "facebook/DiT-XL-2-256",
        "CC-BY-NC-4.0",
        50,
        4.0,
        256,
        0.8,
        "the 1,000 classes of ImageNet, no text",
    ),
)

COMPANIONS = {
    "h94/IP-Adapter": "Apache-2.0",
    "Kwai-Kolors/Kolors-IP-Adapter-Plus": KOLORS,
    "XLabs-AI/flux-ip-adapter": FLUX_1,
    "InstantX/SD3.5-Large-IP-Adapter": STABILITY,
    "kandinsky-community/kandinsky-2-2-prior": "Apache-2.0",
    "black-forest-labs/FLUX.1-Redux-dev": FLUX_1,
}
"""The licences of adapters and priors on the hub."""
