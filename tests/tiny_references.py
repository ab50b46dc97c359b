"""Tiny checkpoints of newer pipelines, of those that take several references too: real classes, random weights."""

from __future__ import annotations

from inspect import signature
from pathlib import Path

from tests.tiny import save_tokenizer
from tests.tiny_backends import _vae

CHAT = "{% for message in messages %}{% if message['content'] is string %}{{ message['content'] }}{% else %}\
{% for part in message['content'] %}{{ part['text'] }}{% endfor %}{% endif %}{% endfor %}"
SHAPE = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
}
VISION_TOKENS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


def save_tiny_flux2_klein_kv(folder: Path) -> Path:
    """Flux2KleinKVPipeline, of the same parts as the one without a cache."""
    return save_tiny_flux2_klein(folder, "Flux2KleinKVPipeline")


def save_tiny_flux2_klein(folder: Path, name: str = "Flux2KleinPipeline") -> Path:
    """Flux2KleinPipeline, whose text encoder has the 27 layers that the pipeline reads."""
    import diffusers
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    tokenizer = _tokenizer(folder / "words")
    config = Qwen3Config(**SHAPE, head_dim=8, num_hidden_layers=27, vocab_size=len(tokenizer))
    getattr(diffusers, name)(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        vae=_flux2_vae(),
        text_encoder=Qwen3ForCausalLM(config),
        tokenizer=tokenizer,
        transformer=_flux2_transformer(guidance_embeds=False),
    ).save_pretrained(folder)
    return folder


def save_tiny_flux2(folder: Path) -> Path:
    """Flux2Pipeline, whose text encoder has the 30 layers that the pipeline reads."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, Flux2Pipeline
    from transformers import (
        Mistral3Config,
        Mistral3ForConditionalGeneration,
        MistralConfig,
        PixtralImageProcessor,
        PixtralProcessor,
        PixtralVisionConfig,
    )

    torch.manual_seed(0)
    tokenizer = _tokenizer(folder / "words", ("[IMG]", "[IMG_BREAK]", "[IMG_END]"))
    config = Mistral3Config(
        text_config=MistralConfig(**SHAPE, head_dim=8, num_hidden_layers=30, vocab_size=len(tokenizer)),
        vision_config=PixtralVisionConfig(
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=1,
            image_size=28,
            patch_size=14,
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
    )
    Flux2Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=_flux2_vae(),
        text_encoder=Mistral3ForConditionalGeneration(config),
        tokenizer=PixtralProcessor(PixtralImageProcessor(), tokenizer, patch_size=14, chat_template=CHAT),
        transformer=_flux2_transformer(guidance_embeds=True),
    ).save_pretrained(folder)
    return folder


def save_tiny_qwen_edit_plus(folder: Path) -> Path:
    """QwenImageEditPlusPipeline; it resizes references to a megapixel, unless its `VAE_IMAGE_SIZE` is set lower."""
    import torch
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImageEditPlusPipeline,
        QwenImageTransformer2DModel,
    )
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    torch.manual_seed(0)
    tokenizer = _tokenizer(folder / "words", VISION_TOKENS)
    special = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in (
            ("image", "image_pad"),
            ("video", "video_pad"),
            ("vision_start", "vision_start"),
            ("vision_end", "vision_end"),
        )
    }
    config = Qwen2_5_VLConfig(
        text_config={
            **SHAPE,
            "num_hidden_layers": 1,
            "vocab_size": len(tokenizer),
            "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3], "rope_type": "default"},
        },
        vision_config={"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16},
        **special,
    )
    vae = AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 2],
        num_res_blocks=1,
        temperal_downsample=[False],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(4, 6, 6),
    )
    QwenImageEditPlusPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=Qwen2_5_VLForConditionalGeneration(config),
        tokenizer=tokenizer,
        processor=Qwen2VLProcessor(Qwen2VLImageProcessor(), tokenizer, Qwen2VLVideoProcessor(), chat_template=CHAT),
        transformer=transformer,
    ).save_pretrained(folder)
    return folder


def save_tiny_qwen_image(folder: Path) -> Path:
    """QwenImagePipeline, of the same parts as the one that edits."""
    return saved_as("QwenImagePipeline", save_tiny_qwen_edit_plus(folder.with_name("qwen_parts")), folder)


def save_tiny_z_image(folder: Path) -> Path:
    """ZImagePipeline at 64 px; its last layers begin as zeros, so that all weights are drawn anew."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    torch.manual_seed(0)
    tokenizer = _tokenizer(folder / "words")
    transformer = ZImageTransformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=16,
        axes_dims=[8, 4, 4],
        axes_lens=[256, 64, 64],
    )
    with torch.no_grad():
        for weights in transformer.parameters():
            weights.copy_(torch.randn_like(weights) * 0.1)
    config = Qwen3Config(**SHAPE, head_dim=8, num_hidden_layers=2, vocab_size=len(tokenizer))
    ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=_vae(shift_factor=0.06, scaling_factor=1.5),
        text_encoder=Qwen3Model(config),
        tokenizer=tokenizer,
        transformer=transformer,
    ).save_pretrained(folder)
    return folder


def saved_as(name: str, source: Path, folder: Path) -> Path:
    """The parts of the pipeline in `source` as a pipeline of another class, without the parts that it lacks."""
    import diffusers

    found = getattr(diffusers, name)
    parts = diffusers.DiffusionPipeline.from_pretrained(source).components
    wanted = set(signature(found.__init__).parameters) - {"self", "is_distilled"}
    found(**{part: parts.get(part) for part in wanted}).save_pretrained(folder)
    return folder


def _tokenizer(folder: Path, special: tuple[str, ...] = ()):
    from transformers import Qwen2TokenizerFast

    save_tokenizer(folder)
    tokenizer = Qwen2TokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    tokenizer.chat_template = CHAT
    return tokenizer


def _flux2_vae():
    from diffusers import AutoencoderKLFlux2

    return AutoencoderKLFlux2(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=32,
    )


def _flux2_transformer(guidance_embeds: bool):
    from diffusers import Flux2Transformer2DModel

    return Flux2Transformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=48,
        timestep_guidance_channels=16,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=guidance_embeds,
    )
