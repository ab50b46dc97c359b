"""Tiny checkpoints for every back-end: the real classes, fixed-seed random weights, saved as real ones are."""

from __future__ import annotations

from pathlib import Path

from tests.tiny import SIDE, WIDTH, clip_tokenizer, save_tiny_unclip

LAYERS = {"hidden_size": WIDTH, "intermediate_size": 37, "num_attention_heads": 4, "num_hidden_layers": 2}
__all__ = [
    "save_tiny_adapter",
    "save_tiny_ddpm",
    "save_tiny_flux",
    "save_tiny_kandinsky",
    "save_tiny_redux",
    "save_tiny_sd",
    "save_tiny_sd3",
    "save_tiny_sdxl",
    "save_tiny_unclip",
    "save_tiny_variation",
]


def save_tiny_sd(folder: Path) -> Path:
    """StableDiffusionPipeline at 32 px."""
    import torch
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    torch.manual_seed(0)
    tokenizer = clip_tokenizer(folder / "words")
    pipe = StableDiffusionPipeline(
        vae=_vae(),
        text_encoder=_text_encoder(tokenizer),
        tokenizer=tokenizer,
        unet=_unet(cross_attention_dim=WIDTH),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(folder)
    return folder


def save_tiny_ddpm(folder: Path) -> Path:
    """DDPMPipeline at 32 px, of 30 steps."""
    import torch
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    from augforge.models.networks.unconditional import unet_config

    torch.manual_seed(0)
    net = UNet2DModel(**unet_config(32, 8, 2, 1))
    DDPMPipeline(net, DDPMScheduler(num_train_timesteps=30)).save_pretrained(folder)
    return folder


def save_tiny_sdxl(folder: Path) -> Path:
    """StableDiffusionXLPipeline at 32 px, both text encoders."""
    import torch
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    torch.manual_seed(0)
    tokenizer = clip_tokenizer(folder / "words")
    pipe = StableDiffusionXLPipeline(
        vae=_vae(),
        text_encoder=_text_encoder(tokenizer),
        text_encoder_2=_text_encoder(tokenizer, projected=True),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=_unet(
            cross_attention_dim=2 * WIDTH,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + WIDTH,
            transformer_layers_per_block=(1, 1),
        ),
        scheduler=EulerDiscreteScheduler(beta_schedule="scaled_linear", timestep_spacing="leading"),
    )
    pipe.save_pretrained(folder)
    return folder


def save_tiny_variation(folder: Path) -> Path:
    """StableDiffusionImageVariationPipeline at 32 px."""
    import torch
    from diffusers import DDIMScheduler, StableDiffusionImageVariationPipeline

    torch.manual_seed(0)
    pipe = StableDiffusionImageVariationPipeline(
        vae=_vae(),
        image_encoder=_image_encoder(),
        unet=_unet(cross_attention_dim=WIDTH),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False),
        safety_checker=None,
        feature_extractor=_processor(),
        requires_safety_checker=False,
    )
    pipe.save_pretrained(folder)
    return folder


def save_tiny_kandinsky(folder: Path) -> Path:
    """KandinskyV22Pipeline at 32 px, and the image encoder of its prior in the folder `prior`."""
    import torch
    from diffusers import DDPMScheduler, KandinskyV22Pipeline, UNet2DConditionModel, VQModel

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=SIDE // 2,
        in_channels=4,
        out_channels=8,
        addition_embed_type="image",
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        block_out_channels=(16, 32),
        norm_num_groups=8,
        layers_per_block=1,
        encoder_hid_dim=WIDTH,
        encoder_hid_dim_type="image_proj",
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        resnet_time_scale_shift="scale_shift",
        class_embed_type=None,
    )
    movq = VQModel(
        block_out_channels=[32, 64],
        down_block_types=["DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
        up_block_types=["AttnUpDecoderBlock2D", "UpDecoderBlock2D"],
        in_channels=3,
        out_channels=3,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=32,
        norm_type="spatial",
        num_vq_embeddings=12,
        vq_embed_dim=4,
    )
    scheduler = DDPMScheduler(beta_schedule="linear", beta_start=0.00085, beta_end=0.012, clip_sample_range=2.0)
    KandinskyV22Pipeline(unet=unet, scheduler=scheduler, movq=movq).save_pretrained(folder)
    _image_encoder().save_pretrained(folder / "prior" / "image_encoder")
    _processor().save_pretrained(folder / "prior" / "image_processor")
    return folder


def save_tiny_adapter(folder: Path, base: Path) -> Path:
    """An IP-Adapter for the U-Net of the pipeline in `base`, in the layout of the published files.

    `image_proj.proj` and `image_proj.norm`, then for every cross-attention of the U-Net the odd numbers of
    `ip_adapter.{number}.to_k_ip` and `to_v_ip`; the image encoder lies beside it.
    """
    import torch
    from diffusers import UNet2DConditionModel
    from safetensors.torch import save_file

    torch.manual_seed(1)
    unet = UNet2DConditionModel.from_pretrained(base / "unet")
    width = unet.config.cross_attention_dim
    state = {
        "image_proj.proj.weight": torch.randn(4 * width, WIDTH) * 0.3,
        "image_proj.proj.bias": torch.zeros(4 * width),
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }
    number = 1
    for name, _ in unet.attn_processors.items():
        if not name.endswith("attn2.processor"):
            continue
        inner = unet.get_submodule(name.removesuffix(".processor")).to_k.weight.shape[0]
        for part in ("to_k_ip", "to_v_ip"):
            state[f"ip_adapter.{number}.{part}.weight"] = torch.randn(inner, width) * 0.3
        number += 2
    (folder / "models").mkdir(parents=True)
    save_file(state, folder / "models" / "ip-adapter_sd15.safetensors")
    _image_encoder().save_pretrained(folder / "models" / "image_encoder")
    return folder


def save_tiny_adapter_plus(folder: Path, base: Path) -> Path:
    """One of the "plus" kind: a resampler of four layers and one head of 64 numbers, which reads hidden states."""
    import torch
    from safetensors.torch import load_file, save_file

    save_tiny_adapter(folder, base)
    file = folder / "models" / "ip-adapter_sd15.safetensors"
    state = load_file(file)
    out, inner = state["image_proj.norm.weight"].shape[0], 16
    state = {name: tensor for name, tensor in state.items() if not name.startswith("image_proj")}
    drawn = torch.Generator().manual_seed(2)
    shapes = {"latents": (1, 4, inner), "proj_in.weight": (inner, WIDTH), "proj_out.weight": (out, inner)}
    normed = {"norm_out": out}
    for layer in (f"layers.{number}" for number in range(4)):
        shapes |= {f"{layer}.0.to_q.weight": (64, inner), f"{layer}.0.to_kv.weight": (128, inner)}
        shapes |= {f"{layer}.0.to_out.weight": (inner, 64)}
        shapes |= {f"{layer}.1.1.weight": (4 * inner, inner), f"{layer}.1.3.weight": (inner, 4 * inner)}
        normed |= {f"{layer}.0.norm1": inner, f"{layer}.0.norm2": inner, f"{layer}.1.0": inner}
    state |= {f"image_proj.{name}": torch.randn(shape, generator=drawn) * 0.3 for name, shape in shapes.items()}
    for name, size in normed.items():
        state |= {f"image_proj.{name}.weight": torch.ones(size), f"image_proj.{name}.bias": torch.zeros(size)}
    state |= {"image_proj.proj_in.bias": torch.zeros(inner), "image_proj.proj_out.bias": torch.zeros(out)}
    save_file(state, file)
    return folder


def save_tiny_kolors(folder: Path) -> Path:
    """KolorsPipeline at 32 px, with a ChatGLM of two layers and a tokenizer of sentencepiece."""
    import sentencepiece
    import torch
    from diffusers import EulerDiscreteScheduler, KolorsPipeline
    from diffusers.pipelines.kolors.text_encoder import ChatGLMConfig, ChatGLMModel
    from diffusers.pipelines.kolors.tokenizer import ChatGLMTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "words.txt").write_text("\n".join(["a photo of a cat", "a dog on a boat", "a red house"] * 20))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "words.txt"), model_prefix=str(folder / "tokenizer"), vocab_size=60, model_type="bpe",
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    torch.manual_seed(0)
    config = ChatGLMConfig(
        num_layers=2, padded_vocab_size=100, hidden_size=WIDTH, ffn_hidden_size=37, kv_channels=8, seq_length=256,
        num_attention_heads=4, add_qkv_bias=True, multi_query_attention=True, multi_query_group_num=2,
        original_rope=True,
    )  # fmt: skip
    words = ChatGLMModel(config)
    for weights in words.parameters():  # it leaves them as the memory was
        torch.nn.init.normal_(weights, mean=float(weights.ndim == 1), std=0.1)
    KolorsPipeline(
        vae=_vae(),
        text_encoder=words,
        tokenizer=ChatGLMTokenizer(str(folder / "tokenizer.model")),
        unet=_unet(
            cross_attention_dim=WIDTH,
            encoder_hid_dim=WIDTH,
            encoder_hid_dim_type="text_proj",
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + WIDTH,
        ),
        scheduler=EulerDiscreteScheduler(beta_schedule="scaled_linear", timestep_spacing="leading"),
    ).save_pretrained(folder)
    return folder


def save_tiny_sd3(folder: Path) -> Path:
    """StableDiffusion3Pipeline at 32 px without the T5 encoder; its last block takes nothing from a ControlNet."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    torch.manual_seed(0)
    tokenizer = clip_tokenizer(folder / "words")
    transformer = SD3Transformer2DModel(
        sample_size=SIDE // 2,
        patch_size=1,
        in_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=WIDTH,
        joint_attention_dim=2 * WIDTH,
        pooled_projection_dim=2 * WIDTH,
        out_channels=4,
    )
    StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=_vae(shift_factor=0.06, scaling_factor=1.5),
        text_encoder=_text_encoder(tokenizer, projected=True),
        tokenizer=tokenizer,
        text_encoder_2=_text_encoder(tokenizer, projected=True),
        tokenizer_2=tokenizer,
        text_encoder_3=None,
        tokenizer_3=None,
    ).save_pretrained(folder)
    return folder


def save_tiny_flux(folder: Path) -> Path:
    """FluxPipeline at 32 px: packed latents, and a transformer with a step cache."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(0)
    tokenizer = clip_tokenizer(folder / "words")
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=2,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        axes_dims_rope=[4, 4, 8],
        guidance_embeds=True,
    )
    t5 = T5EncoderModel(T5Config(vocab_size=len(tokenizer), d_model=WIDTH, d_kv=8, d_ff=37, num_layers=1, num_heads=4))
    FluxPipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=_vae(shift_factor=0.06, scaling_factor=1.5),
        text_encoder=_text_encoder(tokenizer),
        tokenizer=tokenizer,
        text_encoder_2=t5,
        tokenizer_2=tokenizer,
    ).save_pretrained(folder)
    return folder


def save_tiny_redux(folder: Path) -> Path:
    """FluxPriorReduxPipeline without text encoders, for the tiny Flux: 16 tokens of an image."""
    import torch
    from diffusers import FluxPriorReduxPipeline
    from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder
    from transformers import SiglipImageProcessor, SiglipVisionConfig, SiglipVisionModel

    torch.manual_seed(0)
    FluxPriorReduxPipeline(
        image_encoder=SiglipVisionModel(SiglipVisionConfig(**LAYERS, image_size=SIDE, patch_size=8)),
        feature_extractor=SiglipImageProcessor(size={"height": SIDE, "width": SIDE}),
        image_embedder=ReduxImageEncoder(redux_dim=WIDTH, txt_in_features=WIDTH),
    ).save_pretrained(folder)
    return folder


def _vae(**settings):
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(16, 16),
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        norm_num_groups=8,
        latent_channels=4,
        sample_size=SIDE,
        **settings,
    )


def _unet(**settings):
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=SIDE // 2,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(16, 32),
        norm_num_groups=8,
        attention_head_dim=(2, 4),
        layers_per_block=1,
        use_linear_projection=True,
        **settings,
    )


def _text_encoder(tokenizer, projected: bool = False):
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        **LAYERS,
        projection_dim=WIDTH,
        vocab_size=len(tokenizer),
        max_position_embeddings=16 if not projected else 77,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    return CLIPTextModelWithProjection(config) if projected else CLIPTextModel(config)


def _image_encoder():
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(**LAYERS, projection_dim=WIDTH, image_size=SIDE, patch_size=8)
    )


def _processor():
    from transformers import CLIPImageProcessor

    return CLIPImageProcessor(crop_size={"height": SIDE, "width": SIDE}, size={"shortest_edge": SIDE})
