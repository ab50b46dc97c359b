"""About how much memory a batch takes in a diffusion model beyond its weights, from configurations alone.

An estimate of the largest sum of tensors that live at the same time while nothing is trained: of the denoiser at one
step, or of the decoder after the last one, whichever is more. The factors were read off the real classes of diffusers
0.42 (tests/models/test_activations.py); allocators, workspaces of kernels and text encoders come on top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from augforge.models.backends.sizes import DEEP

ATTENTION_BLOCK, PLAIN_BLOCK = 18, 10
"""Widths of a pixel that live within a block of a U-Net, with attention (its feed-forward is gated) and without."""
TOKEN = 16
"""Widths of a token that live within a block of a transformer."""
SCORES = 12
"""Bytes of each attention score where all are kept: two copies and a softmax in fp32."""
TEXT = 512
"""The most tokens of text that stand beside those of the image where both attend to each other."""
FACTOR = 8
USUAL_DECODER: Mapping[str, Any] = {"block_out_channels": (128, 256, 512, 512)}
FLUX_LIKE = frozenset(
    {
        "FluxTransformer2DModel",
        "Flux2Transformer2DModel",
        "ChromaTransformer2DModel",
        "QwenImageTransformer2DModel",
    }
)
"""Denoisers that are asked twice where the image is guided, and whose pipelines pack 2 x 2 latents into a token; others
are asked once, with two rows an image, and cut their patches themselves."""


@dataclass(frozen=True, slots=True)
class Calls:
    """How a model is called.

    Attributes:
        size: (width, height) of the images in px.
        denoised: how many images are denoised at once.
        decoded: how many are decoded at once.
        guided: whether classifier-free guidance is on.
        upcast: whether the decoder runs in fp32 whatever the rest does, as that of Stable Diffusion XL.
        pictures: how many pictures of this size a row is given to read whole (Kontext, Flux.2), beside what it makes.
        scores: whether attention keeps all of its scores, as without the memory-efficient kernels of torch's SDPA.
    """

    size: tuple[int, int]
    denoised: int = 1
    decoded: int = 1
    guided: bool = True
    upcast: bool = False
    pictures: int = 0
    scores: bool = False


def batch_bytes(denoiser: Mapping[str, Any], decoder: Mapping[str, Any], calls: Calls, width: int) -> int:
    """Bytes that a batch takes beyond the weights, where a number has `width` bytes (2 in half precision, 4 in fp32).

    `denoiser` and `decoder` are as the `config.json` of the U-Net or transformer and of the autoencoder.
    """
    twice = calls.guided and not _asked_twice(denoiser)
    rows = calls.denoised * (2 if twice else 1)
    numbers, scores = denoiser_numbers(denoiser, decoder, calls)
    denoised = rows * (numbers * width + (scores * SCORES if calls.scores else 0))
    return max(denoised, calls.decoded * decoder_numbers(decoder, calls.size) * (4 if calls.upcast else width))


def denoiser_numbers(denoiser: Mapping[str, Any], decoder: Mapping[str, Any], calls: Calls) -> tuple[int, int]:
    """Numbers that live at the peak of one row in the denoiser, and attention scores of its largest layer."""
    if blocks := denoiser.get("block_out_channels"):
        wide, high = (side // factor(decoder) for side in calls.size)
        return _unet(denoiser, blocks, wide * high)
    tokens = image_tokens(denoiser, decoder, calls.size) * (1 + calls.pictures) + text_tokens(denoiser)
    heads = _heads(denoiser)
    return TOKEN * tokens * transformer_width(denoiser), heads * tokens**2


def decoder_numbers(decoder: Mapping[str, Any], size: tuple[int, int]) -> int:
    """Numbers that live at the peak of the decoder for one image: at full size, after the last doubling."""
    if base := decoder.get("base_dim"):  # Qwen-Image's, of films: each layer keeps its past
        return int(9 * base * decoder["dim_mult"][1]) * size[0] * size[1]
    blocks = _blocks(decoder)
    following = blocks[1] if len(blocks) > 1 else blocks[0]
    return max(3 * following, 5 * blocks[0]) * size[0] * size[1]


def factor(decoder: Mapping[str, Any]) -> int:
    """How many px of a side are one latent."""
    return FACTOR if decoder.get("base_dim") else 1 << (len(_blocks(decoder)) - 1)


def image_tokens(denoiser: Mapping[str, Any], decoder: Mapping[str, Any], size: tuple[int, int]) -> int:
    """How many tokens an image is in a transformer: one for each patch of latents."""
    patch = denoiser.get("patch_size")
    side = factor(decoder) * (patch if isinstance(patch, int) and denoiser.get("_class_name") not in FLUX_LIKE else 2)
    return (size[0] // side) * (size[1] // side)


def text_tokens(denoiser: Mapping[str, Any]) -> int:
    """How many tokens of text stand beside those of the image: none where text is only looked at."""
    return TEXT if "joint_attention_dim" in denoiser or "cap_feat_dim" in denoiser else 0


def transformer_width(denoiser: Mapping[str, Any]) -> int:
    """The length of a token."""
    dim = denoiser.get("dim")
    return int(dim) if dim else _heads(denoiser) * int(denoiser["attention_head_dim"])


def _unet(denoiser: Mapping[str, Any], blocks: Sequence[int], latents: int) -> tuple[int, int]:
    """What is kept for the way up, and the widest block; a level has a quarter of the pixels of that before it."""
    layers = denoiser.get("layers_per_block", 2)
    attends = ["Attn" in name for name in denoiser.get("down_block_types", ("CrossAttn",) * (len(blocks) - 1) + ("",))]
    kept = widest = scores = 0
    for level, channels in enumerate(blocks):
        pixels = latents >> 2 * level
        kept += (_of(layers, level) + 1) * channels * pixels
        widest = max(widest, (ATTENTION_BLOCK if attends[level] else PLAIN_BLOCK) * channels * pixels)
        if attends[level]:
            scores = max(scores, _heads_at(denoiser, level) * pixels**2)
    return kept + widest, scores


def _heads_at(denoiser: Mapping[str, Any], level: int) -> int:
    """Heads at a level of a U-Net; diffusers calls them `attention_head_dim` in older configurations."""
    return _of(denoiser.get("num_attention_heads") or denoiser.get("attention_head_dim", 8), level)


def _heads(denoiser: Mapping[str, Any]) -> int:
    return int(denoiser.get("num_attention_heads") or denoiser.get("n_heads") or 1)


def _of(value: int | Sequence[int], level: int) -> int:
    """The number for a level, where there is one for each or one for all."""
    return int(value) if isinstance(value, int) else int(value[level])


def _blocks(decoder: Mapping[str, Any]) -> Sequence[int]:
    found: Sequence[int] = decoder.get("block_out_channels") or decoder.get(DEEP) or USUAL_DECODER["block_out_channels"]
    return found


def _asked_twice(denoiser: Mapping[str, Any]) -> bool:
    """Whether guidance is a second call, or a number that the network reads (LCM, SANA-Sprint)."""
    distilled = bool(denoiser.get("time_cond_proj_dim")) or bool(denoiser.get("guidance_embeds"))
    return denoiser.get("_class_name") in FLUX_LIKE or distilled
