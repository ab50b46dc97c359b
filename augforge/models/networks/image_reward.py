"""The network of ImageReward: BLIP's text encoder looks at an image, and linear layers say how well people like it.

*ImageReward: Learning and Evaluating Human Preferences for Text-to-Image Generation* (Xu et al., NeurIPS 2023). The
encoders are those of transformers; the published tensors have the names of BLIP's own code, which `renamed` maps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers import BlipTextConfig, BlipTextModel, BlipVisionConfig, BlipVisionModel

HEAD = 64
"""The width of an attention head in BERT and in vision transformers of every size."""
VISION_EPS, TEXT_EPS = 1e-6, 1e-12
"""What layer norms add to a variance, as published."""
NOT_ASKED = re.compile(r"blip\.(vision_proj|text_proj)\.(weight|bias)|blip\.text_encoder\.embeddings\.position_ids")
"""What the published file has beside: projections for a contrastive loss, and a list of numbers."""
_NAMES = (
    (r"blip\.visual_encoder\.cls_token", "vision.embeddings.class_embedding"),
    (r"blip\.visual_encoder\.pos_embed", "vision.embeddings.position_embedding"),
    (r"blip\.visual_encoder\.patch_embed\.proj\.(\w+)", r"vision.embeddings.patch_embedding.\1"),
    (r"blip\.visual_encoder\.norm\.(\w+)", r"vision.post_layernorm.\1"),
    (r"blip\.visual_encoder\.blocks\.(\d+)\.norm([12])\.(\w+)", r"vision.encoder.layers.\1.layer_norm\2.\3"),
    (r"blip\.visual_encoder\.blocks\.(\d+)\.attn\.qkv\.(\w+)", r"vision.encoder.layers.\1.self_attn.qkv.\2"),
    (r"blip\.visual_encoder\.blocks\.(\d+)\.attn\.proj\.(\w+)", r"vision.encoder.layers.\1.self_attn.projection.\2"),
    (r"blip\.visual_encoder\.blocks\.(\d+)\.mlp\.(fc[12])\.(\w+)", r"vision.encoder.layers.\1.mlp.\2.\3"),
    (r"blip\.text_encoder\.(.+)", r"text.\1"),
    (r"mlp\.layers\.(\d+)\.(\w+)", r"head.\1.\2"),
)


class ImageReward(nn.Module):
    """Pictures (n, 3, s, s) and tokens (n, t) to (n,): the head's answer for the first token, as it is."""

    def __init__(self, vision: BlipVisionModel, text: BlipTextModel, head: nn.ModuleDict) -> None:
        super().__init__()
        self.vision, self.text, self.head = vision, text, head

    def forward(self, pictures: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """`mask` (n, t) is 1 where there is a token, and 0 where there is padding."""
        seen = self.vision(pixel_values=pictures).last_hidden_state
        told: Tensor = self.text(input_ids=tokens, attention_mask=mask, encoder_hidden_states=seen).last_hidden_state[
            :, 0
        ]
        for number in sorted(self.head, key=int):
            told = self.head[number](told)
        return told[:, 0]


def renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that have the names of BLIP's own code, under those of `ImageReward`; KeyError at another name."""
    return {_renamed(name): tensor for name, tensor in weights.items() if not NOT_ASKED.fullmatch(name)}


def _renamed(name: str) -> str:
    for pattern, own in _NAMES:
        if found := re.fullmatch(pattern, name):
            return found.expand(own)
    raise KeyError(f"no tensor of ImageReward is called {name!r}")


def image_reward(weights: Mapping[str, Tensor], heads: tuple[int, int] | None = None) -> ImageReward:
    """The network that published tensors are of; depths and widths are read from them.

    Args:
        weights: under their published names.
        heads: attention heads of the vision and the text encoder; None is one for each 64 numbers.

    Raises:
        KeyError, RuntimeError: the tensors are of another network, or some are missing.
    """
    own = renamed(weights)
    vision, text = _vision_config(own), _text_config(own)
    if heads is not None:
        vision["num_attention_heads"], text["num_attention_heads"] = heads
    linears = sorted({name.split(".")[1] for name in own if name.startswith("head.")}, key=int)
    shapes = {number: own[f"head.{number}.weight"].shape for number in linears}
    head = nn.ModuleDict({number: nn.Linear(wide, out) for number, (out, wide) in shapes.items()})
    net = ImageReward(
        BlipVisionModel(BlipVisionConfig(**vision)),
        BlipTextModel(BlipTextConfig(**text), add_pooling_layer=False),
        head,
    )
    net.load_state_dict(own)
    return net


def _vision_config(own: Mapping[str, Tensor]) -> dict[str, Any]:
    patches = own["vision.embeddings.position_embedding"].shape[1] - 1
    wide, _, patch, _ = own["vision.embeddings.patch_embedding.weight"].shape
    return {
        "hidden_size": wide,
        "intermediate_size": own["vision.encoder.layers.0.mlp.fc1.weight"].shape[0],
        "num_hidden_layers": _depth(own, "vision.encoder.layers"),
        "num_attention_heads": max(1, wide // HEAD),
        "patch_size": patch,
        "image_size": patch * round(patches**0.5),
        "layer_norm_eps": VISION_EPS,
    }


def _text_config(own: Mapping[str, Tensor]) -> dict[str, Any]:
    words, wide = own["text.embeddings.word_embeddings.weight"].shape
    return {
        "vocab_size": words,
        "hidden_size": wide,
        "encoder_hidden_size": own["text.encoder.layer.0.crossattention.self.key.weight"].shape[1],
        "intermediate_size": own["text.encoder.layer.0.intermediate.dense.weight"].shape[0],
        "num_hidden_layers": _depth(own, "text.encoder.layer"),
        "num_attention_heads": max(1, wide // HEAD),
        "max_position_embeddings": own["text.embeddings.position_embeddings.weight"].shape[0],
        "layer_norm_eps": TEXT_EPS,
        "is_decoder": True,  # only such layers look at an image; text is read in both directions
    }


def _depth(own: Mapping[str, Tensor], prefix: str) -> int:
    """How many layers there are under a prefix."""
    return 1 + max(int(found[1]) for name in own if (found := re.match(rf"{re.escape(prefix)}\.(\d+)\.", name)))
