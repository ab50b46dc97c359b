"""Train `builtin-controlnet`, the small ControlNet that augforge carries for `builtin-sd`, on the CPU.

    python scripts/train_builtin_controlnet.py --minutes 10

writes `augforge/models/weights/builtin-controlnet/`, a `diffusers.ControlNetModel` that makes `builtin-sd` draw a digit
along Canny's edges of another one. It begins as a copy of the denoiser whose additions are zeros (Zhang et al.,
*Adding Conditional Control to Text-to-Image Diffusion Models*, ICCV 2023); `builtin-sd` stays as it is. Needs nothing
but scikit-learn's digits. Cost: the minutes asked for plus half a minute, 1 GB of memory, on a 2-core CPU.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _training_data import DIGITS, Pictures
from torch import Tensor
from torch.nn import functional as F
from train_builtin_sd import PROMPTS, prompt_table, training_pool
from train_builtin_unclip import Average, cycle, in_parts, learn, new_scheduler, tidy, unit

from augforge.algorithms.control import draw_edges
from augforge.algorithms.shifts.base import grey_of
from augforge.algorithms.shifts.edges import edges_of

WITHOUT_PROMPT = 0.3
"""Share of the pictures without a prompt, so that the edges alone say what is drawn."""


def control_pictures(pool: Pictures) -> Tensor:
    """(n, 3, 32, 32) uint8, the edges of each picture, as `generate controlled` draws them."""
    drawn = [draw_edges(edges_of(grey_of(image.permute(1, 2, 0).numpy()), 1.0, "otsu")) for image in pool.images]
    return torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2)


def new_controlnet(unet: Any) -> Any:
    """A copy of the denoiser's way down, for control pictures of four times its size."""
    from diffusers import ControlNetModel

    return ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 16, 32))


def train(pool: Pictures, parts: Any, prompts: Tensor, minutes: float, rate: float) -> Any:
    """Learn what to add to the denoiser, which stays as it is."""
    unet, vae = parts.unet.float().requires_grad_(False), parts.vae.float()
    latents = in_parts(lambda x: vae.encode(unit(x)).latent_dist.mean, pool.images) * vae.config.scaling_factor
    controls, alphas = control_pictures(pool), new_scheduler().alphas_cumprod
    model = new_controlnet(unet).train()
    print(f"ControlNet: {sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01, betas=(0.9, 0.98))
    average, losses = Average(model), []
    for step, seconds in cycle(minutes, rate, optimizer):
        index = torch.randint(len(pool), (128,))
        target, label = latents[index], pool.labels[index]
        row = torch.where(torch.rand(len(label)) < WITHOUT_PROMPT, len(DIGITS), label)
        hidden = prompts[row, torch.randint(PROMPTS, row.shape)]
        noise, level = torch.randn_like(target), torch.randint(0, 1000, row.shape)
        alpha = alphas[level].sqrt()[:, None, None, None]
        sigma = (1 - alphas[level]).sqrt()[:, None, None, None]
        noisy = alpha * target + sigma * noise
        down, middle = model(noisy, level, hidden, controls[index].float() / 255, return_dict=False)
        predicted = unet(
            noisy, level, hidden, down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample
        losses.append(learn(model, optimizer, F.mse_loss(predicted, alpha * noise - sigma * target)))
        average.update(step)
        if step % 200 == 0:
            print(f"control {seconds:5.0f} s  step {step}  loss {sum(losses[-200:]) / 200:.4f}", flush=True)
    average.apply()
    return model.eval()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("augforge/models/weights/builtin-controlnet"))
    parser.add_argument("--model", type=Path, default=Path("augforge/models/weights/builtin-sd"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    from diffusers import StableDiffusionPipeline

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    parts = StableDiffusionPipeline.from_pretrained(options.model, safety_checker=None, dtype=torch.float32)
    prompts = prompt_table(parts.tokenizer, parts.text_encoder)
    trained = train(training_pool(), parts, prompts, options.minutes, options.rate)
    copy.deepcopy(trained).half().save_pretrained(options.out, safe_serialization=True)
    tidy(options.out)


if __name__ == "__main__":
    main()
