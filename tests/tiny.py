"""Tiny models of the real classes with fixed-seed random weights, saved and loaded through the code of real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VOCABULARY = 300
SIDE = 32
WIDTH = 32


def save_tokenizer(folder: Path) -> None:
    """A byte-level BPE tokenizer without merges: any text becomes tokens."""
    from tokenizers import pre_tokenizers

    folder.mkdir(parents=True, exist_ok=True)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")


def clip_tokenizer(folder: Path):
    from transformers import CLIPTokenizer

    save_tokenizer(folder)
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16)


def save_tiny_unclip(folder: Path) -> Path:
    """StableUnCLIPImg2ImgPipeline at 32 px with about 30 thousand parameters."""
    import torch
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        DDPMScheduler,
        StableUnCLIPImg2ImgPipeline,
        UNet2DConditionModel,
    )
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
    from transformers import (
        CLIPImageProcessor,
        CLIPTextConfig,
        CLIPTextModel,
        CLIPVisionConfig,
        CLIPVisionModelWithProjection,
    )

    torch.manual_seed(0)
    tokenizer = clip_tokenizer(folder / "words")
    layers = {"hidden_size": WIDTH, "intermediate_size": 37, "num_attention_heads": 4, "num_hidden_layers": 2}
    vision = CLIPVisionConfig(**layers, projection_dim=WIDTH, image_size=SIDE, patch_size=8)
    text = CLIPTextConfig(
        **layers,
        vocab_size=len(tokenizer),
        max_position_embeddings=16,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(16, 32),
        norm_num_groups=8,
        attention_head_dim=(2, 4),
        class_embed_type="projection",
        projection_class_embeddings_input_dim=WIDTH * 2,
        cross_attention_dim=WIDTH,
        layers_per_block=1,
        use_linear_projection=True,
    )
    vae = AutoencoderKL(
        block_out_channels=(16, 16),
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        norm_num_groups=8,
        latent_channels=4,
        sample_size=SIDE,
    )
    pipe = StableUnCLIPImg2ImgPipeline(
        feature_extractor=CLIPImageProcessor(crop_size={"height": SIDE, "width": SIDE}, size={"shortest_edge": SIDE}),
        image_encoder=CLIPVisionModelWithProjection(vision),
        image_normalizer=StableUnCLIPImageNormalizer(embedding_dim=WIDTH),
        image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        tokenizer=tokenizer,
        text_encoder=CLIPTextModel(text),
        unet=unet,
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", prediction_type="v_prediction", set_alpha_to_one=False),
        vae=vae,
    )
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def save_tiny_clip(folder: Path) -> Path:
    """An open_clip CLIP at 32 px with a vision transformer of two layers."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    clip_tokenizer(folder).save_pretrained(folder)
    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": SIDE, "layers": 2, "width": WIDTH, "head_width": 16, "patch_size": 8},
        "text_cfg": {
            "context_length": 16,
            "vocab_size": 514,
            "hf_tokenizer_name": "local",
            "width": WIDTH,
            "heads": 2,
            "layers": 1,
        },
    }
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    torch.manual_seed(0)
    model = open_clip.model.CLIP(**{key: config[key] for key in ("embed_dim", "vision_cfg", "text_cfg")})
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}))
    return folder


def save_tiny_text_detector(folder: Path) -> Path:
    """PPOCRV5MobileDetForObjectDetection with a narrow backbone."""
    import torch
    from transformers import PPOCRV5MobileDetConfig, PPOCRV5MobileDetForObjectDetection
    from transformers.models.pp_ocrv5_server_det import PPOCRV5ServerDetImageProcessor

    stages = {"out_features": ["stage2", "stage3", "stage4", "stage5"], "out_indices": [2, 3, 4, 5]}
    narrow = {"model_type": "pp_lcnet_v3", "scale": 0.25, "divisor": 4, **stages}
    torch.manual_seed(0)
    config = PPOCRV5MobileDetConfig(backbone_config=narrow, neck_out_channels=32, layer_list_out_channels=[8, 8, 8, 8])
    PPOCRV5MobileDetForObjectDetection(config).save_pretrained(folder)
    PPOCRV5ServerDetImageProcessor().save_pretrained(folder)
    return folder


def save_tiny_reward(folder: Path) -> Path:
    """ImageReward with one layer in each encoder, its tensors under their published names, and BERT's tokenizer."""
    import torch
    from safetensors.torch import save_file
    from transformers import BertTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizer(str(folder / "vocab.txt"), clean_up_tokenization_spaces=False).save_pretrained(folder)
    wide, seen, inner = 16, 24, 20
    shapes = {"cls_token": (1, 1, seen), "pos_embed": (1, 17, seen), "patch_embed.proj.weight": (seen, 3, 8, 8),
              "patch_embed.proj.bias": (seen,), "norm.weight": (seen,), "norm.bias": (seen,)}  # fmt: skip
    for name, out, into in (("attn.qkv", 3 * seen, seen), ("attn.proj", seen, seen), ("mlp.fc1", inner, seen),
                            ("mlp.fc2", seen, inner), ("norm1", seen, 0), ("norm2", seen, 0)):  # fmt: skip
        shapes |= {f"blocks.0.{name}.weight": (out, into) if into else (out,), f"blocks.0.{name}.bias": (out,)}
    shapes = {f"blip.visual_encoder.{name}": shape for name, shape in shapes.items()}
    text = {"word_embeddings.weight": (len(words), wide), "position_embeddings.weight": (40, wide),
            "LayerNorm.weight": (wide,), "LayerNorm.bias": (wide,)}  # fmt: skip
    shapes |= {f"blip.text_encoder.embeddings.{name}": shape for name, shape in text.items()}
    for name, out, into in (
        *((f"attention.self.{part}", wide, wide) for part in ("query", "key", "value")),
        ("crossattention.self.query", wide, wide),
        *((f"crossattention.self.{part}", wide, seen) for part in ("key", "value")),
        *((f"{part}.output.{of}", wide, into) for part in ("attention", "crossattention")
          for of, into in (("dense", wide), ("LayerNorm", 0))),
        ("intermediate.dense", inner, wide), ("output.dense", wide, inner), ("output.LayerNorm", wide, 0),
    ):  # fmt: skip
        name = f"blip.text_encoder.encoder.layer.0.{name}"
        shapes |= {f"{name}.weight": (out, into) if into else (out,), f"{name}.bias": (out,)}
    for number, (out, into) in {0: (8, wide), 2: (4, 8), 4: (1, 4)}.items():
        shapes |= {f"mlp.layers.{number}.weight": (out, into), f"mlp.layers.{number}.bias": (out,)}
    shapes |= {f"blip.{name}_proj.{of}": (4, size) if of == "weight" else (4,)
               for name, size in (("vision", seen), ("text", wide)) for of in ("weight", "bias")}  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    weights = {name: 0.4 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    weights["blip.text_encoder.embeddings.position_ids"] = torch.arange(40)[None]
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "image-reward", "heads": [3, 2]}))
    return folder


def save_tiny_head(path: Path) -> Path:
    """A head of two linear layers on the vectors of `save_tiny_clip`."""
    import numpy as np
    from safetensors.numpy import save_file

    random, shapes = np.random.default_rng(0), {"layers.0": (4, 16), "layers.2": (1, 4)}
    weights = {f"{name}.weight": random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    biases = {f"{name}.bias": np.zeros(shape[0], dtype=np.float32) for name, shape in shapes.items()}
    save_file({**weights, **biases}, path)
    return path


def save_tiny_depth(folder: Path) -> Path:
    """DPTForDepthEstimation at 32 px with about 30 thousand parameters; it answers in inverse depths."""
    import torch
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor

    config = DPTConfig(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=16, image_size=SIDE, patch_size=8,
        backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8] * 4, fusion_hidden_size=8, initializer_range=0.5,
    )  # fmt: skip
    torch.manual_seed(5)
    DPTForDepthEstimation(config).save_pretrained(folder)
    DPTImageProcessor(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


def save_tiny_vit(folder: Path, **options: Any) -> Path:
    """A vision transformer of timm at 32 px with two blocks and 16 patches, saved as timm's are."""
    import timm
    import torch

    layers = {"img_size": SIDE, "patch_size": 8, "embed_dim": WIDTH, "depth": 2, "num_heads": 4, **options}
    net = timm.create_model("vit_tiny_patch16_224", num_classes=3, **layers)
    generator = torch.Generator().manual_seed(0)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.3, generator=generator)
    timm.models.save_for_hf(net, folder, model_config={}, model_args=layers, safe_serialization=True)
    return folder
