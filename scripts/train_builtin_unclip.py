"""Train `builtin-unclip`, the small image generator that augforge carries, on the CPU.

    python scripts/train_builtin_unclip.py --data data --minutes 40

writes `augforge/models/weights/builtin-unclip/`, a `diffusers.StableUnCLIPImg2ImgPipeline` of 32x32 pictures.
It needs `builtin-clip` (train_builtin_clip.py), whose image embeddings its image encoder learns to give. Four stages,
which can also be run one by one with `--stage`: the image encoder (7 % of the minutes), the autoencoder (19 %), the
denoising network with its text encoder (62 %) and the autoencoder's decoder once more (12 %).
Cost: the minutes asked for plus about three, 2.5 GB of memory, on a 2-core CPU.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from _training_data import (
    CLASSES,
    CONTEXT,
    SETS,
    Pictures,
    busy_seconds,
    class_prompt,
    load_pictures,
    shift_and_flip,
    write_tokenizer,
)
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from train_builtin_clip import model_input, tokenise

SIZE = 32
EMBED = 128
TEXT_WIDTH = 64
MEAN, STD = 0.48, 0.25
SHARE = {"encoder": 0.075, "vae": 0.19, "unet": 0.62, "polish": 0.115}
"""Share of the minutes that each stage gets."""
MIX = {"cifar10": 0.72, "flowers": 0.14, "digits": 0.14}
"""Share of each data set in the denoiser's batches."""


# ---------------------------------------------------------------- the parts


def new_image_encoder() -> Any:
    """A vision transformer of 17 tokens that gives the image embedding."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=96, intermediate_size=192, num_hidden_layers=4, num_attention_heads=3, image_size=SIZE,
            patch_size=8, projection_dim=EMBED,
        )
    )  # fmt: skip


def new_vae() -> Any:
    """An autoencoder from 3x32x32 to 4x8x8."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 48), layers_per_block=1, latent_channels=4, norm_num_groups=8, sample_size=SIZE,
        mid_block_add_attention=False,
    )  # fmt: skip


def new_text_encoder(vocabulary: int) -> Any:
    """Two transformer layers over a prompt of at most CONTEXT tokens."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary, hidden_size=TEXT_WIDTH, intermediate_size=2 * TEXT_WIDTH, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=CONTEXT, pad_token_id=0, bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1, projection_dim=TEXT_WIDTH,
        )
    )  # fmt: skip


def new_unet() -> Any:
    """Two levels, 8x8 and 4x4; the image embedding enters with the time step, the prompt by attention at 4x4."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(64, 80), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH, attention_head_dim=2, norm_num_groups=16, class_embed_type="projection",
        projection_class_embeddings_input_dim=2 * EMBED,
    )  # fmt: skip


def new_scheduler() -> Any:
    """The noise schedule of training, with the solver used for sampling."""
    from diffusers import DPMSolverMultistepScheduler

    return DPMSolverMultistepScheduler(
        beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction", timestep_spacing="trailing"
    )


def new_noising_scheduler() -> Any:
    """The schedule of `noise_level`, as in the published unCLIP checkpoints."""
    from diffusers import DDPMScheduler

    return DDPMScheduler(beta_schedule="squaredcos_cap_v2")


# ---------------------------------------------------------------- helpers


def cycle(
    minutes: float, rate: float, optimizer: torch.optim.Optimizer, warm: int = 200
) -> Iterator[tuple[int, float]]:
    """Step numbers and seconds until the time is up; sets the learning rate: warm-up, then half a cosine to zero."""
    start, step, progress = busy_seconds(), 0, 0.0
    while progress < 1:
        progress = min(1.0, (busy_seconds() - start) / (60 * minutes))
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / warm) * (0.5 + 0.5 * math.cos(math.pi * progress))
        yield step, busy_seconds() - start
        step += 1


class Average:
    """Exponential moving average of a model's weights."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.shadow = [p.detach().clone() for p in model.parameters()]

    def update(self, step: int) -> None:
        """One step; the memory grows with the step number up to about 1000 steps."""
        weight = max(0.001, 1 / (step / 10 + 1))
        torch._foreach_lerp_(self.shadow, [p.detach() for p in self.model.parameters()], weight)

    def apply(self) -> None:
        """Put the averages into the model."""
        for parameter, average in zip(self.model.parameters(), self.shadow, strict=True):
            parameter.data.copy_(average)


def unit(images: Tensor) -> Tensor:
    """uint8 pictures as -1..1, the autoencoder's range."""
    return images.float() / 127.5 - 1


def encoder_input(images: Tensor) -> Tensor:
    """uint8 32x32 pictures as the image encoder's normalised input (what the feature extractor gives)."""
    return (images.float() / 255 - MEAN) / STD


def in_parts(function: Callable[[Tensor], Tensor], data: Tensor, size: int = 500) -> Tensor:
    """`function` over slices of `data`, without gradients."""
    with torch.no_grad():
        return torch.cat([function(part) for part in data.split(size)])


def training_pool(data: Path) -> Pictures:
    """Every training picture; of the small sets also variants: flipped crops of flowers, shifts of digits."""
    generator = torch.Generator().manual_seed(0)
    sets = load_pictures(data, "train", SIZE, flower_crops=3)
    digits = sets["digits"].images
    shifted = [shift_and_flip(digits, 1, False, generator).round().byte() for _ in range(3)]
    flowers = sets["flowers"].images
    images = torch.cat([digits, *shifted, sets["cifar10"].images, flowers, flowers.flip(-1)])
    labels = torch.cat([sets["digits"].labels.repeat(4), sets["cifar10"].labels, sets["flowers"].labels.repeat(2)])
    return Pictures(images, labels)


def set_weights(labels: Tensor) -> Tensor:
    """Sampling weight of every picture, so that the sets come in the shares of MIX."""
    weights = torch.zeros(len(labels))
    for name, (first, last) in SETS.items():
        members = (labels >= first) & (labels < last)
        if count := int(members.sum()):
            weights[members] = MIX[name] / count
    return weights


# ---------------------------------------------------------------- stage 1: image encoder


def load_clip(folder: Path) -> Any:
    """builtin-clip's image tower, frozen."""
    import open_clip

    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    visual: Any = model.visual
    return visual.eval().requires_grad_(False)


def train_encoder(pool: Pictures, visual: Any, minutes: float) -> Any:
    """Learn builtin-clip's image embeddings (scaled to about 1 a coordinate) at 32 px."""
    visual.to(memory_format=torch.channels_last)

    def teach(images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return visual(model_input(images).contiguous(memory_format=torch.channels_last)).float()

    teacher = F.normalize(in_parts(teach, pool.images), dim=-1) * math.sqrt(EMBED)
    model = new_image_encoder().train()
    print(f"image encoder: {sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    weights = set_weights(pool.labels)
    for step, seconds in cycle(minutes, 1.5e-3, optimizer):
        index = torch.multinomial(weights, 128, replacement=True)
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            embeds = model(encoder_input(pool.images[index])).image_embeds
        loss = F.mse_loss(embeds.float(), teacher[index])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 200 == 0:
            print(f"encoder {seconds:5.0f} s  step {step}  loss {loss.item():.4f}", flush=True)
    return model.eval()


# ---------------------------------------------------------------- stage 2: autoencoder


def features(visual: Any, images: Tensor) -> list[Tensor]:
    """Feature maps of builtin-clip's first two blocks for pictures in -1..1."""
    scaled = F.interpolate(images, scale_factor=2, mode="bilinear")
    maps = visual.trunk.forward_intermediates((scaled / 2 + 0.5 - MEAN) / STD, indices=[1, 2], intermediates_only=True)
    return [F.normalize(m.float(), dim=1) for m in maps]


def train_vae(pool: Pictures, visual: Any, minutes: float, polish: Any = None) -> Any:
    """L1, a feature distance under builtin-clip and a light KL; then the scaling factor from the latents.

    Given an autoencoder to `polish`, only its decoder learns: the latents stay what the denoiser learned.
    """
    model = (polish or new_vae()).train().to(memory_format=torch.channels_last)
    if polish:
        model.encoder.requires_grad_(False)
        model.quant_conv.requires_grad_(False)
    else:
        print(f"autoencoder: {sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    rate, looked_at = (1e-3, 16) if polish else (2e-3, 48)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0, betas=(0.9, 0.98))
    average = Average(model)
    weights = set_weights(pool.labels)
    for step, seconds in cycle(minutes, rate, optimizer, warm=100):
        index = torch.multinomial(weights, 48, replacement=True)
        images = unit(pool.images[index]).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = model.encode(images).latent_dist
            output = model.decode(posterior.sample()).sample
            fake, real = features(visual, output[:looked_at]), features(visual, images[:looked_at])
        pixel = F.l1_loss(output.float(), images)
        look = torch.stack([((a - b) ** 2).sum(1).mean() for a, b in zip(fake, real, strict=True)]).mean()
        kl = posterior.kl().mean() / (4 * 8 * 8)
        optimizer.zero_grad(set_to_none=True)
        (pixel + 0.2 * look + 1e-3 * kl).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update(step)
        if step % 200 == 0:
            print(
                f"vae {seconds:5.0f} s  step {step}  L1 {pixel.item():.4f}  look {look.item():.4f}  KL {kl.item():.2f}",
                flush=True,
            )
    average.apply()
    model.eval()
    if not polish:
        latents = in_parts(lambda x: model.encode(unit(x)).latent_dist.mean, pool.images[:: max(1, len(pool) // 4000)])
        model.register_to_config(scaling_factor=round(1 / latents.std().item(), 4))
    return model


# ---------------------------------------------------------------- stage 3: denoiser


def drop_coordinates(embeds: Tensor, labels: Tensor) -> Tensor:
    """Embeddings as users vary them: a third mixed with another of the class, a third with coordinates zeroed."""
    order = torch.argsort(labels + 0.5 * torch.rand(len(labels)))
    neighbour = torch.empty_like(order)
    neighbour[order] = order.roll(1)
    mixable = (labels[neighbour] == labels) & (torch.rand(len(labels)) < 0.33)
    coordinate_from_other = torch.rand_like(embeds) < torch.rand(len(embeds), 1)
    embeds = torch.where(mixable[:, None] & coordinate_from_other, embeds[neighbour], embeds)
    dropped = torch.rand_like(embeds) < 0.6 * torch.rand(len(embeds), 1)
    return torch.where(dropped & (torch.rand(len(embeds), 1) < 0.33), 0.0, embeds)


def condition(embeds: Tensor, normalizer: Any, noising: Any) -> Tensor:
    """What `StableUnCLIPImg2ImgPipeline.noise_image_embeddings` makes of embeddings, at mostly level 0."""
    from diffusers.models.embeddings import get_timestep_embedding

    level = torch.randint(0, 300, (len(embeds),)) * (torch.rand(len(embeds)) < 0.15)
    noisy = noising.add_noise(normalizer.scale(embeds), torch.randn_like(embeds), level)
    sinusoid = get_timestep_embedding(level, EMBED, flip_sin_to_cos=True, downscale_freq_shift=0)
    return torch.cat([normalizer.unscale(noisy), sinusoid], 1)


def fit_normalizer(embeds: Tensor) -> Any:
    """Mean and deviation of every coordinate."""
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer

    normalizer = StableUnCLIPImageNormalizer(EMBED).requires_grad_(False)
    normalizer.mean.copy_(embeds.mean(0, keepdim=True))
    normalizer.std.copy_(embeds.std(0, keepdim=True))
    return normalizer


def prompt_table(tokenizer: Any, count: int = 200) -> Tensor:
    """Token ids [class, variant, CONTEXT] of random prompts; the last row is the empty prompt's."""
    rng = random.Random(0)
    rows = [tokenise(tokenizer, [class_prompt(label, rng) for _ in range(count)]) for label in range(len(CLASSES))]
    return torch.stack([*rows, tokenise(tokenizer, [""] * count)])


@dataclass
class Denoising:
    """What the denoiser learns from: latents (n, 4, 8, 8) and embeddings (n, EMBED) of pictures, prompts, schedules."""

    latents: Tensor
    embeds: Tensor
    labels: Tensor
    prompts: Tensor
    normalizer: Any
    noising: Any
    alphas: Tensor

    def loss(self, model: nn.ModuleDict, index: Tensor) -> Tensor:
        """The squared error of the velocity for the pictures at `index`, each with its own noise, level and prompt."""
        target, label = self.latents[index], self.labels[index]
        cond = condition(drop_coordinates(self.embeds[index], label), self.normalizer, self.noising)
        everything, only_prompt = torch.rand(2, len(label)) < 0.1
        cond = torch.where(everything[:, None], 0.0, cond)
        row = torch.where(everything | only_prompt, len(CLASSES), label)
        ids = self.prompts[row, torch.randint(self.prompts.shape[1], row.shape)]
        noise, level = torch.randn_like(target), torch.randint(0, 1000, row.shape)
        alpha = self.alphas[level].sqrt()[:, None, None, None]
        sigma = (1 - self.alphas[level]).sqrt()[:, None, None, None]
        with torch.autocast(target.device.type, torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            hidden = model["text"](ids).last_hidden_state
            predicted = model["unet"](alpha * target + sigma * noise, level, hidden, cond).sample
        return F.mse_loss(predicted.float(), alpha * noise - sigma * target)


def denoising_of(pool: Pictures, encoder: Any, vae: Any, tokenizer: Any, normalizer: Any = None) -> Denoising:
    """The pictures as the finished parts see them; the normaliser is fitted to them unless there is one."""
    scale, device = vae.config.scaling_factor, vae.device
    latents = in_parts(lambda x: vae.encode(unit(x.to(device))).latent_dist.mean, pool.images).mul(scale)
    embeds = in_parts(lambda x: encoder(encoder_input(x.to(device))).image_embeds, pool.images)
    normalizer, noising = normalizer or fit_normalizer(embeds), new_noising_scheduler()
    alphas = new_scheduler().alphas_cumprod
    return Denoising(latents, embeds, pool.labels, prompt_table(tokenizer), normalizer, noising, alphas)


def learn(model: nn.ModuleDict, optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    """One step down the loss; its value."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def train_unet(pool: Pictures, encoder: Any, vae: Any, tokenizer: Any, minutes: float, out: Path, rate: float) -> None:
    """Learn to denoise the latents; writes the whole pipeline after a quarter of the time and at the end."""
    material, weights = denoising_of(pool, encoder, vae, tokenizer), set_weights(pool.labels)
    normalizer = material.normalizer
    model = nn.ModuleDict({"unet": new_unet(), "text": new_text_encoder(len(tokenizer))}).train()
    print(f"denoiser and text encoder: {sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01, betas=(0.9, 0.98))
    average = Average(model)
    losses: list[float] = []
    saved = False
    for step, seconds in cycle(minutes, rate, optimizer):
        index = torch.multinomial(weights, 128, replacement=True)
        losses.append(learn(model, optimizer, material.loss(model, index)))
        average.update(step)
        if not saved and seconds > 15 * minutes:
            saved = True
            early = copy.deepcopy(average)
            early.apply()
            save_pipeline(early.model.eval(), encoder, vae, tokenizer, normalizer, out)
        if step % 200 == 0:
            print(f"unet {seconds:5.0f} s  step {step}  loss {sum(losses[-200:]) / len(losses[-200:]):.4f}", flush=True)
    average.apply()
    save_pipeline(model.eval(), encoder, vae, tokenizer, normalizer, out)


def save_pipeline(model: Any, encoder: Any, vae: Any, tokenizer: Any, normalizer: Any, out: Path) -> None:
    """Write the fp16 pipeline to a folder beside `out`, then put it in place."""
    from diffusers import StableUnCLIPImg2ImgPipeline
    from transformers import CLIPImageProcessor

    extractor = CLIPImageProcessor(
        size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE}, image_mean=[MEAN] * 3,
        image_std=[STD] * 3, resample=3,
    )  # fmt: skip
    encoder, vae, normalizer, model = (copy.deepcopy(part).half() for part in (encoder, vae, normalizer, model))
    pipeline = StableUnCLIPImg2ImgPipeline(
        feature_extractor=extractor, image_encoder=encoder, image_normalizer=normalizer,
        image_noising_scheduler=new_noising_scheduler(), tokenizer=tokenizer, text_encoder=model["text"],
        unet=model["unet"], scheduler=new_scheduler(), vae=vae,
    )  # fmt: skip
    fresh = out.with_name(out.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    pipeline.save_pretrained(fresh, safe_serialization=True)
    tidy(fresh)
    card = out / "README.md"
    if card.exists():
        shutil.copy(card, fresh / "README.md")
    shutil.rmtree(out, ignore_errors=True)
    fresh.rename(out)


def tidy(folder: Path) -> None:
    """Configurations without the path they were loaded from, to be loaded in single precision; plain file modes."""
    for path in folder.rglob("config.json"):
        config = json.loads(path.read_text("utf-8"))
        config.pop("_name_or_path", None)
        if "dtype" in config:
            config["dtype"] = "float32"
        path.write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


# ---------------------------------------------------------------- command line


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with the data files")
    parser.add_argument("--out", type=Path, default=Path("augforge/models/weights/builtin-unclip"))
    parser.add_argument("--clip", type=Path, default=Path("augforge/models/weights/builtin-clip"))
    parser.add_argument("--work", type=Path, default=Path("build/unclip-parts"), help="the stages' own results")
    parser.add_argument("--stage", choices=["all", *SHARE], default="all")
    parser.add_argument("--minutes", type=float, default=40.0, help="training time of all stages together")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate of the denoiser")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    from diffusers import AutoencoderKL
    from transformers import CLIPTokenizer, CLIPVisionModelWithProjection

    torch.set_num_threads(options.threads)
    pool = training_pool(options.data)
    print(f"{len(pool):,} training pictures with their variants", flush=True)
    work, chosen = options.work, list(SHARE) if options.stage == "all" else [options.stage]
    for stage in chosen:
        torch.manual_seed(options.seed)
        minutes = options.minutes * SHARE[stage]
        if stage == "encoder":
            train_encoder(pool, load_clip(options.clip), minutes).save_pretrained(work / "encoder")
        elif stage == "vae":
            train_vae(pool, load_clip(options.clip), minutes).save_pretrained(work / "vae")
        elif stage == "polish":
            vae = AutoencoderKL.from_pretrained(work / "vae")
            vae = train_vae(pool, load_clip(options.clip), minutes, polish=vae)
            vae.half().save_pretrained(options.out / "vae")
            tidy(options.out)
        else:
            write_tokenizer(work / "tokenizer")
            encoder = CLIPVisionModelWithProjection.from_pretrained(work / "encoder").eval()
            vae = AutoencoderKL.from_pretrained(work / "vae").eval()
            tokenizer = CLIPTokenizer.from_pretrained(work / "tokenizer")
            train_unet(pool, encoder, vae, tokenizer, minutes, options.out, options.rate)


if __name__ == "__main__":
    main()
