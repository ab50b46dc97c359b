"""Train `builtin-sd`, the small text-to-image model that augforge carries, on the CPU.

    python scripts/train_builtin_sd.py --minutes 10

writes `augforge/models/weights/builtin-sd/`, a `diffusers.StableDiffusionPipeline` of 32x32 pictures that draws
scikit-learn's handwritten digits by their names. It needs nothing but scikit-learn's digits and the text encoder of
`builtin-unclip` (train_builtin_unclip.py), which stays as it is. Two stages: the autoencoder (a fifth of the minutes)
and the denoising network. Cost: the minutes asked for plus half a minute, 1 GB of memory, on a 2-core CPU.
"""

from __future__ import annotations

import argparse
import copy
import random
import shutil
import string
from pathlib import Path
from typing import Any

import torch
from _training_data import DIGITS, Pictures, class_prompt, load_digits, shift_and_flip
from torch import Tensor, nn
from torch.nn import functional as F
from train_builtin_clip import tokenise
from train_builtin_unclip import Average, cycle, in_parts, learn, new_scheduler, tidy, unit

from augforge.stages.prompts import USUAL

SIZE = 32
TEXT_WIDTH = 64
COPIES = 8
"""Variants of every digit, shifted by up to two pixels."""
PROMPTS = 300
"""Prompts of each class that the denoiser meets."""


def new_vae() -> Any:
    """An autoencoder from 3x32x32 to 4x8x8."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 16, 16), layers_per_block=1, latent_channels=4, norm_num_groups=8, sample_size=SIZE,
        mid_block_add_attention=False,
    )  # fmt: skip


def new_unet() -> Any:
    """Two levels, 8x8 and 4x4; the prompt enters by attention at 4x4."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(24, 32), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH, attention_head_dim=2, norm_num_groups=8,
    )  # fmt: skip


def training_pool() -> Pictures:
    """The training digits and shifted variants of them."""
    generator = torch.Generator().manual_seed(0)
    digits = load_digits("train")
    shifted = [shift_and_flip(digits.images, 2, False, generator).round().byte() for _ in range(COPIES - 1)]
    return Pictures(torch.cat([digits.images, *shifted]), digits.labels.repeat(COPIES))


def train_vae(pool: Pictures, minutes: float) -> Any:
    """L1 and a light KL; then the scaling factor from the latents."""
    model = new_vae().train()
    print(f"autoencoder: {sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0, betas=(0.9, 0.98))
    average = Average(model)
    for step, seconds in cycle(minutes, 3e-3, optimizer, warm=100):
        images = unit(pool.images[torch.randint(len(pool), (48,))])
        posterior = model.encode(images).latent_dist
        error = F.l1_loss(model.decode(posterior.sample()).sample, images)
        learn(model, optimizer, error + 1e-3 * posterior.kl().mean() / (4 * 8 * 8))
        average.update(step)
        if step % 200 == 0:
            print(f"vae {seconds:5.0f} s  step {step}  L1 {error.item():.4f}", flush=True)
    average.apply()
    latents = in_parts(lambda x: model.encode(unit(x)).latent_dist.mean, pool.images)
    model.register_to_config(scaling_factor=round(1 / latents.std().item(), 4))
    return model.eval()


def some_prompt(label: int, rng: random.Random) -> str:
    """A prompt of a class: one that the built-in models were trained on, or one of the `usual` templates."""
    if rng.random() < 0.6:
        return class_prompt(label, rng)
    name = rng.choice([DIGITS[label], str(label), "".join(rng.choices(string.ascii_lowercase, k=3)) + f" {label}"])
    return rng.choice(USUAL).format(label=name)


def prompt_table(tokenizer: Any, text: Any) -> Tensor:
    """(classes + 1, PROMPTS, CONTEXT, TEXT_WIDTH) encoded prompts; the last row is the empty prompt's."""
    rng = random.Random(0)
    rows = [tokenise(tokenizer, [some_prompt(label, rng) for _ in range(PROMPTS)]) for label in range(len(DIGITS))]
    rows.append(tokenise(tokenizer, [""] * PROMPTS))
    with torch.no_grad():
        return torch.stack([text(ids).last_hidden_state for ids in rows])


def train_unet(pool: Pictures, vae: Any, prompts: Tensor, minutes: float, rate: float) -> Any:
    """Learn to denoise the latents; a tenth of the pictures comes without a prompt, for guidance."""
    latents = in_parts(lambda x: vae.encode(unit(x)).latent_dist.mean, pool.images) * vae.config.scaling_factor
    alphas = new_scheduler().alphas_cumprod
    model = new_unet().train()
    print(f"denoiser: {sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01, betas=(0.9, 0.98))
    average, losses = Average(model), []
    for step, seconds in cycle(minutes, rate, optimizer):
        index = torch.randint(len(pool), (128,))
        target, label = latents[index], pool.labels[index]
        row = torch.where(torch.rand(len(label)) < 0.1, len(DIGITS), label)
        hidden = prompts[row, torch.randint(PROMPTS, row.shape)]
        noise, level = torch.randn_like(target), torch.randint(0, 1000, row.shape)
        alpha = alphas[level].sqrt()[:, None, None, None]
        sigma = (1 - alphas[level]).sqrt()[:, None, None, None]
        predicted = model(alpha * target + sigma * noise, level, hidden).sample
        losses.append(learn(model, optimizer, F.mse_loss(predicted, alpha * noise - sigma * target)))
        average.update(step)
        if step % 200 == 0:
            print(f"unet {seconds:5.0f} s  step {step}  loss {sum(losses[-200:]) / len(losses[-200:]):.4f}", flush=True)
    average.apply()
    return model.eval()


def save_pipeline(unet: nn.Module, vae: nn.Module, tokenizer: Any, text: nn.Module, out: Path) -> None:
    """Write the fp16 pipeline; the card that is there stays."""
    from diffusers import StableDiffusionPipeline

    unet, vae, text = (copy.deepcopy(part).half() for part in (unet, vae, text))
    pipeline = StableDiffusionPipeline(
        vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, scheduler=new_scheduler(), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    for part in ("vae", "text_encoder", "tokenizer", "unet", "scheduler"):
        shutil.rmtree(out / part, ignore_errors=True)
    pipeline.save_pretrained(out, safe_serialization=True)
    tidy(out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("augforge/models/weights/builtin-sd"))
    parser.add_argument("--unclip", type=Path, default=Path("augforge/models/weights/builtin-unclip"))
    parser.add_argument("--minutes", type=float, default=10.0, help="training time of both stages together")
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate of the denoiser")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    from transformers import CLIPTextModel, CLIPTokenizer

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    tokenizer = CLIPTokenizer.from_pretrained(options.unclip / "tokenizer")
    text = CLIPTextModel.from_pretrained(options.unclip / "text_encoder", dtype=torch.float32).eval()
    pool = training_pool()
    vae = train_vae(pool, options.minutes / 5)
    unet = train_unet(pool, vae, prompt_table(tokenizer, text), 4 * options.minutes / 5, options.rate)
    save_pipeline(unet, vae, tokenizer, text, options.out)


if __name__ == "__main__":
    main()
