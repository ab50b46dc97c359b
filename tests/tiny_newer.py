"""Tiny checkpoints of SANA, PixArt, LCM, Chroma and DiT: real classes, random weights."""

from __future__ import annotations

import json
from pathlib import Path

from tests.tiny import SIDE, WIDTH, clip_tokenizer
from tests.tiny_backends import LAYERS, _image_encoder, _text_encoder, _unet, _vae
from tests.tiny_references import SHAPE, _tokenizer

LABELS = {0: "tench, Tinca tinca", 1: "goldfish", 207: "golden retriever"}
"""Some of ImageNet's classes, as DiT's `id2label` has them."""


def save_tiny_sana(folder: Path, name: str = "SanaPipeline") -> Path:
    """SanaPipeline at 64 px: a deep compression autoencoder and Gemma 2."""
    import diffusers
    import torch
    from transformers import Gemma2Config, Gemma2Model

    torch.manual_seed(0)
    tokenizer = _tokenizer(folder / "words")
    blocks = {"block_types": ("ResBlock", "EfficientViTBlock"), "block_out_channels": (8, 8)}
    sides = {f"{side}_{part}": value for side in ("encoder", "decoder") for part, value in blocks.items()}
    vae = diffusers.AutoencoderDC(
        latent_channels=4,
        attention_head_dim=2,
        encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        downsample_block_type="conv",
        **sides,
    )
    sprint = name != "SanaPipeline"
    transformer = diffusers.SanaTransformer2DModel(
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        num_attention_heads=2,
        attention_head_dim=8,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        caption_channels=16,
        sample_size=32,
        qk_norm="rms_norm_across_heads" if sprint else None,
        guidance_embeds=sprint,
    )
    _drawn_anew(transformer)
    solver = diffusers.DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    scheduler = diffusers.SCMScheduler() if sprint else solver
    getattr(diffusers, name)(
        tokenizer=tokenizer,
        text_encoder=Gemma2Model(Gemma2Config(**SHAPE, head_dim=8, num_hidden_layers=1, vocab_size=len(tokenizer))),
        vae=vae,
        transformer=transformer,
        scheduler=scheduler,
    ).save_pretrained(folder)
    return folder


def save_tiny_sana_sprint(folder: Path) -> Path:
    """SanaSprintPipeline, of the same parts with an embedding of the guidance."""
    return save_tiny_sana(folder, "SanaSprintPipeline")


def save_tiny_pixart_alpha(folder: Path) -> Path:
    """PixArtAlphaPipeline as it is for 1,024 px: it is told the size of its images."""
    return save_tiny_pixart_sigma(folder, "PixArtAlphaPipeline", 128)


def save_tiny_pixart_sigma(folder: Path, name: str = "PixArtSigmaPipeline", sample_size: int = 16) -> Path:
    """PixArtSigmaPipeline at 32 px."""
    import diffusers
    import torch
    from diffusers import DDIMScheduler, PixArtTransformer2DModel

    torch.manual_seed(0)
    tokenizer = clip_tokenizer(folder / "words")
    is_told_sizes = sample_size == 128
    heads = 3 if is_told_sizes else 2  # height, width and their ratio have a third of the embedding each
    transformer = PixArtTransformer2DModel(
        sample_size=sample_size,
        num_layers=1,
        num_attention_heads=heads,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8,
        cross_attention_dim=8 * heads,
        caption_channels=WIDTH,
        use_additional_conditions=is_told_sizes,
    )
    _drawn_anew(transformer)
    getattr(diffusers, name)(
        tokenizer=tokenizer,
        text_encoder=_t5(tokenizer),
        vae=_vae(),
        transformer=transformer,
        scheduler=DDIMScheduler(clip_sample=False),
    ).save_pretrained(folder)
    return folder


def save_tiny_lcm(folder: Path) -> Path:
    """LatentConsistencyModelPipeline at 32 px: the guidance is an input of its U-Net."""
    import torch
    from diffusers import LatentConsistencyModelPipeline, LCMScheduler

    torch.manual_seed(0)
    tokenizer = clip_tokenizer(folder / "words")
    LatentConsistencyModelPipeline(
        vae=_vae(),
        text_encoder=_text_encoder(tokenizer),
        tokenizer=tokenizer,
        unet=_unet(cross_attention_dim=WIDTH, time_cond_proj_dim=16),
        scheduler=LCMScheduler(beta_schedule="scaled_linear"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def save_tiny_chroma(folder: Path) -> Path:
    """ChromaPipeline at 32 px: Flux with one text encoder, and guided."""
    import torch
    from diffusers import ChromaPipeline, ChromaTransformer2DModel, FlowMatchEulerDiscreteScheduler

    torch.manual_seed(0)
    tokenizer = clip_tokenizer(folder / "words")
    transformer = ChromaTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(4, 4, 8),
        approximator_num_channels=8,
        approximator_hidden_dim=WIDTH,
        approximator_layers=1,
    )
    ChromaPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=_vae(shift_factor=0.06, scaling_factor=1.5),
        text_encoder=_t5(tokenizer),
        tokenizer=tokenizer,
        transformer=transformer,
    ).save_pretrained(folder)
    return folder


def save_tiny_dit(folder: Path) -> Path:
    """DiTPipeline at 32 px, of `LABELS`."""
    import torch
    from diffusers import DDIMScheduler, DiTPipeline, DiTTransformer2DModel

    torch.manual_seed(0)
    transformer = DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=2, sample_size=16
    )
    _drawn_anew(transformer)
    DiTPipeline(transformer=transformer, vae=_vae(), scheduler=DDIMScheduler(clip_sample=False)).save_pretrained(folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "id2label": LABELS}))
    return folder


def save_tiny_adapter_flux(folder: Path, base: Path) -> Path:
    """An IP-Adapter for the Flux or Chroma in `base`, with the names of the published file and a CLIP encoder."""
    import torch
    from diffusers import DiffusionPipeline
    from safetensors.torch import save_file

    torch.manual_seed(1)
    transformer = DiffusionPipeline.from_pretrained(base).transformer
    state = {
        "ip_adapter_proj_model.proj.weight": torch.randn(4 * WIDTH, WIDTH) * 0.3,
        "ip_adapter_proj_model.proj.bias": torch.zeros(4 * WIDTH),
        "ip_adapter_proj_model.norm.weight": torch.ones(WIDTH),
        "ip_adapter_proj_model.norm.bias": torch.zeros(WIDTH),
    }
    for block in range(len(transformer.transformer_blocks)):
        for part in "kv":
            name = f"double_blocks.{block}.processor.ip_adapter_double_stream_{part}_proj"
            state[f"{name}.weight"] = torch.randn(transformer.inner_dim, WIDTH) * 0.3
            state[f"{name}.bias"] = torch.zeros(transformer.inner_dim)
    folder.mkdir(parents=True)
    save_file(state, folder / "ip_adapter.safetensors")
    _image_encoder().save_pretrained(folder / "image_encoder")
    return folder


def save_tiny_adapter_sd3(folder: Path, base: Path) -> Path:
    """An IP-Adapter for the Stable Diffusion 3 in `base`: a resampler of SigLIP's features, and attention to it."""
    import torch
    from diffusers import SD3Transformer2DModel
    from diffusers.models.attention_processor import SD3IPAdapterJointAttnProcessor2_0
    from diffusers.models.embeddings import IPAdapterTimeImageProjection
    from safetensors.torch import save_file
    from transformers import SiglipVisionConfig, SiglipVisionModel

    torch.manual_seed(1)
    transformer = SD3Transformer2DModel.from_pretrained(base / "transformer")
    width = transformer.config.attention_head_dim * transformer.config.num_attention_heads
    resampler = IPAdapterTimeImageProjection(
        embed_dim=WIDTH, output_dim=width, hidden_dim=64, depth=4, heads=1, num_queries=4, timestep_in_dim=16
    )
    state = {f"image_proj.{name}": value for name, value in resampler.state_dict().items()}
    for block in range(len(transformer.attn_processors)):
        processor = SD3IPAdapterJointAttnProcessor2_0(
            hidden_size=width,
            ip_hidden_states_dim=width,
            head_dim=transformer.config.attention_head_dim,
            timesteps_emb_dim=64,
        )
        _drawn_anew(processor)
        state |= {f"ip_adapter.{block}.{name}": value for name, value in processor.state_dict().items()}
    folder.mkdir(parents=True)
    save_file(state, folder / "ip-adapter.safetensors")
    SiglipVisionModel(SiglipVisionConfig(**LAYERS, image_size=SIDE, patch_size=8)).save_pretrained(
        folder / "image_encoder"
    )
    return folder


def _drawn_anew(net) -> None:
    """Other weights than those of a fresh network, whose last layers begin as zeros."""
    import torch

    with torch.no_grad():
        for weights in net.parameters():
            weights.copy_(torch.randn_like(weights) * 0.15)


def _t5(tokenizer):
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(vocab_size=len(tokenizer), d_model=WIDTH, d_kv=8, d_ff=37, num_layers=1, num_heads=4)
    )
