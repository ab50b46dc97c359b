"""Prompt embeddings, computed once for every distinct pair of prompt and negative prompt."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any

from augforge.errors import ModelError
from augforge.models.backends.base import Request

NOTHING = " "
"""The negative prompt of Qwen-Image's own examples, where there is nothing that an image should not show."""
TEXTS_ALONE = frozenset({"KolorsImg2ImgPipeline"})
"""Pipelines whose call drops the pooled embeddings that it is given, and fails without them (diffusers 0.42)."""
KEPT = 256  # pairs; of the largest usual text encoders about 4 MB each

# What `encode_prompt` returns, by how many tensors it returns and whether the pipeline knows pooled embeddings.
_RETURNED = {
    (2, False): ("prompt_embeds", "negative_prompt_embeds"),
    (4, True): (
        "prompt_embeds",
        "negative_prompt_embeds",
        "pooled_prompt_embeds",
        "negative_pooled_prompt_embeds",
    ),
    (3, True): ("prompt_embeds", "pooled_prompt_embeds"),  # Flux; the third holds position ids
}


class Prompts:
    """Turns a request's texts into a pipeline's arguments.

    Each pair is encoded by itself, so that an embedding never depends on its neighbours. Pipelines whose embeddings
    differ in length (Qwen-Image and others) are given the texts instead.
    """

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._takes = set(inspect.signature(type(pipe).__call__).parameters)
        self._encode = lru_cache(maxsize=KEPT)(self._encode_pair)

    def forget(self) -> None:
        """Encode every text anew: the text encoders have changed."""
        self._encode.cache_clear()

    def arguments(self, request: Request, pipe: Any = None) -> dict[str, Any]:
        """The text arguments for n rows, of `pipe` where it is not the pipeline itself but one for images.

        ModelError where the pipeline has no use for a negative prompt.
        """
        if "prompt" not in self._takes:
            return {}
        if any(request.negatives) and not self._takes & {"negative_prompt", "negative_prompt_embeds"}:
            raise ModelError(f"{type(self._pipe).__name__} takes no negative prompt", "leave `negative` out")
        if type(pipe).__name__ in TEXTS_ALONE:
            return self._texts(request)
        if self._true_guidance(request):
            return {**self._texts(request), "true_cfg_scale": request.guidance}
        if self._guides_by_a_negative_alone and request.guidance > 1:
            nothing_said = {"negative_prompt": [NOTHING] * len(request)}
            return {**self._texts(request), **nothing_said, "true_cfg_scale": request.guidance}
        return self._embedded(request) or self._texts(request)

    def _true_guidance(self, request: Request) -> bool:
        """Guidance-distilled models (Flux, Qwen-Image) guide away from a negative by an argument of its own."""
        return "true_cfg_scale" in self._takes and any(request.negatives)

    @property
    def _guides_by_a_negative_alone(self) -> bool:
        """Qwen-Image is no distilled model, and yet is not guided at all unless there is a negative prompt."""
        transformer = getattr(self._pipe, "transformer", None)
        is_distilled = getattr(getattr(transformer, "config", None), "guidance_embeds", False)
        return (
            type(self._pipe).__name__.startswith("QwenImage") and "true_cfg_scale" in self._takes and not is_distilled
        )

    def _texts(self, request: Request) -> dict[str, Any]:
        texts: dict[str, Any] = {"prompt": list(request.prompts)}
        if any(request.negatives):
            texts["negative_prompt"] = list(request.negatives)
        return texts

    def _embedded(self, request: Request) -> dict[str, Any]:
        """Embeddings of the pairs, stacked; {} for a pipeline that must be given texts."""
        import torch

        guided = is_guided(self._pipe, request.guidance)
        rows = [
            self._encode(prompt, negative if guided else "", guided)
            for prompt, negative in zip(request.prompts, request.negatives, strict=True)
        ]
        if not rows[0]:
            return {}
        return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}

    def _encode_pair(self, prompt: str, negative: str, guided: bool) -> dict[str, Any]:
        if not hasattr(self._pipe, "encode_prompt"):
            return {}
        known = inspect.signature(self._pipe.encode_prompt).parameters
        if "negative_prompt" not in known and "pooled_prompt_embeds" not in self._takes:
            return {}  # what it returns second is no negative: a mask (Qwen-Image) or position ids (Flux.2)
        if "prompt_attention_mask" in self._takes:
            return {}  # SANA's call adds instructions to the text; Chroma's and PixArt's embeddings have masks
        wanted = {
            "prompt": prompt,
            "prompt_2": None,
            "prompt_3": None,
            "negative_prompt": negative or None,
            "device": self._pipe.device,
            "num_images_per_prompt": 1,
            "do_classifier_free_guidance": guided,
        }
        returned = self._pipe.encode_prompt(**{name: value for name, value in wanted.items() if name in known})
        return self._named(returned, guided)

    def _named(self, returned: Any, guided: bool) -> dict[str, Any]:
        names = _RETURNED.get((len(returned), "pooled_prompt_embeds" in self._takes), ())
        if not self._takes.issuperset(names) or isinstance(returned[0], list):  # Z-Image has a list of embeddings
            return {}
        named = dict(zip(names, returned, strict=False))
        return {name: value for name, value in named.items() if guided or not name.startswith("negative")}


def is_guided(pipe: Any, guidance: float) -> bool:
    """Whether the pipeline denoises with and without the condition; never where guidance is an input of the U-Net."""
    unet = getattr(pipe, "unet", None)
    return guidance > 1.0 and getattr(getattr(unet, "config", None), "time_cond_proj_dim", None) is None
